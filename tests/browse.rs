//! Finding every prompt, answer and label again, and what a lead changes of a prompt's tasks.

mod support;

use laurel::domain::role::Role;
use support::{
    seed::{self, Seed, assignment_in},
    server,
};
use uuid::Uuid;

#[tokio::test]
async fn prompts_are_found_by_what_is_said_and_by_nothing_else() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    // Before they are made: midnight may pass.
    let today = time::OffsetDateTime::now_utc().date();
    for text in ["Why is the sky blue?", "蜜蜂怎样酿蜜？请简单说明。", "He said \"stop\".\nThen 100% silence."]
    {
        seed::prompt(pool, project, text).await;
    }
    let rosa = server.user("Rosa", Role::Reviewer).await;
    for (search, found) in [
        ("SKY", "sky blue"),
        ("酿蜜", "蜜蜂怎样酿蜜"),
        ("蜜", "蜜蜂怎样酿蜜"),
        ("said \"stop\"", "He said"),
        ("100%", "He said"),
    ] {
        let query = serde_html_form::to_string([("q", search)]).expect("a query");
        let page = rosa.get(&format!("/admin/projects/test/prompts?{query}")).await.assert(200);
        page.assert_contains("1 prompt").assert_contains(found);
    }
    // Roles and keys are how a conversation is kept, not what is said; signs of patterns are signs.
    for search in ["content", "role", "100_"] {
        rosa.get(&format!("/admin/projects/test/prompts?q={search}"))
            .await
            .assert(200)
            .assert_contains("Nothing matches");
    }
    let yesterday = today.previous_day().expect("a day");
    rosa.get(&format!("/admin/projects/test/prompts?from={today}")).await.assert(200).assert_contains("3 prompts");
    let before = rosa.get(&format!("/admin/projects/test/prompts?until={yesterday}")).await.assert(200);
    before.assert_contains("Nothing matches");
}

#[tokio::test]
async fn answers_and_labels_are_found_by_who_made_them() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    let bob = server.user("Bob", Role::Annotator).await;
    seed::ranking_task(&server.state, project, "Which?", &["The first answer", "The second answer"]).await;
    let task = assignment_in(bob.post("/queue/next", &[]).await.leads_to());
    bob.post(&format!("/tasks/{task}/submit"), &[("rank_0", "2"), ("rank_1", "1")]).await.assert(303);
    let prompt = seed::demonstration_task(&server.state, project, "Write.").await;
    let task = assignment_in(bob.post("/queue/next", &[]).await.leads_to());
    bob.post(&format!("/tasks/{task}/submit"), &[("completion", "Written in hatse.")]).await.assert(303);
    // The correction is a new row that names what it replaces.
    sqlx::query(
        "INSERT INTO demonstrations (id, prompt_id, user_id, annotator, completion, assignment_id, replaces_id)
         SELECT $1, prompt_id, user_id, annotator, 'Written in haste.', assignment_id, id FROM demonstrations",
    )
    .bind(Uuid::now_v7())
    .execute(pool)
    .await
    .expect("a correction");

    let rosa = server.user("Rosa", Role::Reviewer).await;
    let answers = rosa.get("/admin/projects/test/answers?model=secret-model-1").await.assert(200);
    answers.assert_contains("The second answer");
    assert!(!answers.text.contains("The first answer"));
    let standing = rosa.get("/admin/projects/test/labels?annotator=bob%40example.org").await.assert(200);
    standing.assert_contains("Written in haste.").assert_contains("Which?");
    assert!(!standing.text.contains("hatse"), "a corrected version is listed unasked");
    rosa.get("/admin/projects/test/labels?replaced=1").await.assert(200).assert_contains("Written in hatse.");
    rosa.get("/admin/projects/test/labels?annotator=nobody").await.assert(200).assert_contains("Nothing matches");
    let demonstrations = rosa.get("/admin/projects/test/labels?kind=demonstration").await.assert(200);
    assert!(!demonstrations.text.contains("Which?"));
    // The prompt's own page has both versions, and who was given the task.
    let page = rosa.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200);
    page.assert_contains("Written in haste.")
        .assert_contains("Written in hatse.")
        .assert_contains("Version 2")
        .assert_contains("submitted");
}

/// What the list of labels shows for a query: how many it says there are, and the notes on it.
async fn notes(client: &support::Client, query: &str) -> (String, Vec<&'static str>) {
    let page = client.get(&format!("/admin/projects/test/labels?{query}")).await.assert(200);
    let counted = page.text.split("class=\"result-count\">").nth(1).and_then(|rest| rest.split('<').next());
    let shown =
        ["fine", "drifts", "awful", "decided"].into_iter().filter(|note| page.text.contains(&format!("note: {note}")));
    (counted.unwrap_or("none").to_owned(), shown.collect())
}

#[tokio::test]
async fn labels_are_found_by_flag_rating_and_what_a_reviewer_made_of_them() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { ranking_overlap: 3, ..Seed::default() }).await;
    seed::ranking_task(&server.state, project, "Which?", &["one", "two"]).await;
    let lead = server.user("Lea", Role::Admin).await;
    lead.post(
        "/admin/projects/test/label-scheme",
        &[("rating", "optional"), ("flag", "sexual"), ("note", "1"), ("new.name.en", "Off topic")],
    )
    .await
    .assert(303);
    for (name, said) in [
        ("Ada", &[("rank_0", "1"), ("rank_1", "2"), ("note", "note: fine"), ("rating_0", "7"), ("rating_1", "6")][..]),
        (
            "Bob",
            &[("rank_0", "1"), ("rank_1", "2"), ("note", "note: drifts"), ("rating_1", "3"), ("flag_1_off_topic", "1")],
        ),
        ("Cy", &[("rank_0", "2"), ("rank_1", "1"), ("note", "note: awful"), ("all_bad", "1"), ("flag_0_sexual", "1")]),
    ] {
        let person = server.user(name, Role::Annotator).await;
        let task = assignment_in(person.post("/queue/next", &[]).await.leads_to());
        let seconds = if name == "Bob" { "0.01" } else { "30" };
        let form = [said, &[("then", "queue"), ("seconds", seconds)]].concat();
        person.post(&format!("/tasks/{task}/submit"), &form).await.assert(303);
    }
    seed::demonstration_task(&server.state, project, "Write.").await;
    let ada = support::Client::new(&server.address);
    ada.log_in("ada@example.org", support::PASSWORD).await;
    let task = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    ada.post(&format!("/tasks/{task}/submit"), &[("completion", "Written.")]).await.assert(303);
    // A reviewer accepts one, rejects one, lets one be corrected by the decision.
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let task: Uuid = sqlx::query_scalar("SELECT task_id FROM rankings LIMIT 1").fetch_one(pool).await.expect("a task");
    let rankings: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT id, note FROM rankings").fetch_all(pool).await.expect("three");
    let verdict = |note: &str| match note {
        "note: fine" => "accepted",
        "note: drifts" => "corrected",
        _ => "rejected",
    };
    let verdicts: Vec<(String, &str)> =
        rankings.iter().map(|(id, note)| (format!("verdict_{id}"), verdict(note))).collect();
    let mut form: Vec<(&str, &str)> = verdicts.iter().map(|(name, verdict)| (name.as_str(), *verdict)).collect();
    form.extend([("rank_0", "1"), ("rank_1", "2"), ("note", "note: decided")]);
    // The written answer waits too.
    assert_eq!(notes(&rosa, "review=none").await, ("4 labels".to_owned(), vec!["fine", "drifts", "awful"]));
    rosa.post(&format!("/admin/projects/test/reviews/{task}"), &form).await.assert(303);

    for (query, count, found) in [
        ("", "5 labels", vec!["fine", "drifts", "awful", "decided"]),
        ("flag=off_topic", "1 label", vec!["drifts"]),
        ("flag=sexual", "1 label", vec!["awful"]),
        ("rating_from=6", "1 label", vec!["fine"]),
        ("rating_from=1&rating_until=6", "2 labels", vec!["fine", "drifts"]),
        ("rating_until=3", "1 label", vec!["drifts"]),
        ("all_bad=1", "1 label", vec!["awful"]),
        ("too_fast=1", "1 label", vec!["drifts"]),
        ("kind=demonstration&too_fast=1", "none", vec![]),
        ("review=accepted", "1 label", vec!["fine"]),
        ("review=corrected", "1 label", vec!["drifts"]),
        ("review=rejected", "1 label", vec!["awful"]),
        ("review=decision", "1 label", vec!["decided"]),
        ("review=none", "1 label", vec![]),
        ("review=none&kind=ranking", "none", vec![]),
        ("kind=demonstration", "1 label", vec![]),
        ("kind=demonstration&all_bad=1", "none", vec![]),
        ("flag=off_topic&review=rejected", "none", vec![]),
        ("flag=off_topic&annotator=bob%40example.org&rating_from=3&rating_until=3", "1 label", vec!["drifts"]),
    ] {
        assert_eq!(notes(&rosa, query).await, (count.to_owned(), found), "{query}");
    }
    let page = rosa.get("/admin/projects/test/labels?flag=off_topic&rating_from=2&review=corrected").await.assert(200);
    for part in [
        r#"value="off_topic" selected"#,
        r#"name="rating_from" value="2""#,
        r#"value="corrected" selected"#,
        ">Off topic</span>",
    ] {
        page.assert_contains(part);
    }
    let nothing = rosa.get("/admin/projects/test/labels?flag=nobodys").await.assert(200);
    nothing
        .assert_contains("Nothing matches")
        .assert_contains(r#"value="nobodys" selected"#)
        .assert_contains("Show all labels");
}

#[tokio::test]
async fn the_next_page_of_labels_keeps_what_is_looked_for() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    let prompt = seed::prompt(pool, project, "Which?").await;
    let answers = [seed::response(pool, prompt, "one", "m").await, seed::response(pool, prompt, "two", "m").await];
    for number in 0..120 {
        let id = Uuid::now_v7();
        sqlx::query("INSERT INTO rankings (id, prompt_id, annotator, all_bad) VALUES ($1, $2, $3, $4)")
            .bind(id)
            .bind(prompt)
            .bind(format!("person {number}"))
            .bind(number % 2 == 0)
            .execute(pool)
            .await
            .expect("a ranking");
        sqlx::query(
            "INSERT INTO ranking_responses (ranking_id, position, response_id, rank, rating)
             VALUES ($1, 0, $2, 1, 7), ($1, 1, $3, 2, NULL)",
        )
        .bind(id)
        .bind(answers[0])
        .bind(answers[1])
        .execute(pool)
        .await
        .expect("its answers");
    }
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let first = rosa.get("/admin/projects/test/labels?all_bad=1&rating_from=7").await.assert(200);
    first.assert_contains("60 labels");
    let rows = |page: &str| page.matches("<tr").count() - 1;
    assert_eq!(rows(&first.text), 50);
    let next = first.text.split("rel=\"next\" href=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("more");
    let second = rosa.get(&next.replace("&#38;", "&").replace("&amp;", "&")).await.assert(200);
    second.assert_contains("60 labels");
    assert_eq!(rows(&second.text), 10);
    // Whoever turns to another language stays there, and with the filter.
    second.assert_contains(&format!("name=\"next\" value=\"{next}\""));
    assert!(!second.text.contains("rel=\"next\""));
}

#[tokio::test]
async fn a_lead_says_which_task_comes_first_and_takes_tasks_back() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let mut prompts = Vec::new();
    for number in 1..=3 {
        prompts.push(seed::demonstration_task(&server.state, project, &format!("Write number {number}.")).await);
    }
    let tasks: Vec<Uuid> =
        sqlx::query_scalar("SELECT id FROM tasks ORDER BY id").fetch_all(pool).await.expect("three tasks");
    let form = |task: usize, name: &str| format!("/admin/projects/test/tasks/{}/{name}", tasks[task]);
    let there = ada.post(&form(2, "priority"), &[("priority", "5")]).await;
    assert_eq!(there.leads_to(), format!("/admin/projects/test/prompts/{}#tasks", prompts[2]));
    ada.post(&form(0, "priority"), &[("priority", "a lot")]).await.assert(422);
    ada.post(&form(0, "withdraw"), &[("withdrawn", "yes")]).await.leads_to();
    let rosa = server.user("Rosa", Role::Reviewer).await;
    rosa.post(&form(0, "withdraw"), &[("withdrawn", "no")]).await.assert(403);

    let first = bob.post("/queue/next", &[]).await;
    let first = assignment_in(first.leads_to());
    bob.get(&format!("/tasks/{first}")).await.assert(200).assert_contains("Write number 3.");
    let second = bob.post(&format!("/tasks/{first}/submit"), &[("completion", "Three.")]).await;
    let second = assignment_in(second.leads_to());
    bob.get(&format!("/tasks/{second}")).await.assert(200).assert_contains("Write number 2.");
    let none = bob.post(&format!("/tasks/{second}/submit"), &[("completion", "Two.")]).await;
    assert!(none.leads_to().starts_with("/queue"), "the task that was taken back is asked: {:?}", none.location);
    ada.post(&form(0, "withdraw"), &[("withdrawn", "no")]).await.leads_to();
    let third = assignment_in(bob.post("/queue/next", &[]).await.leads_to());
    bob.get(&format!("/tasks/{third}")).await.assert(200).assert_contains("Write number 1.");
    // Another project's lead has no hand in it.
    seed::project(pool, Seed { slug: "other", ..Seed::default() }).await;
    ada.post(&format!("/admin/projects/other/tasks/{}/withdraw", tasks[0]), &[("withdrawn", "yes")]).await.assert(404);
}
