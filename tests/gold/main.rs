//! Tasks with known answers: the course before real work, and checks that nobody can tell from it.

mod course;
#[path = "../support/mod.rs"]
mod support;

use laurel::{
    db::{audit::Actor, projects},
    domain::role::Role,
    import::{self, ImportError, Kind},
};
use support::{
    Client, Reply, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};
use uuid::Uuid;

/// A server with one project and an admin who leads it.
async fn led() -> (Server, Uuid, Client) {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { ranking_overlap: 2, ..Seed::default() }).await;
    let admin = server.user("Cy", Role::Admin).await;
    (server, project, admin)
}

/// Makes a task with a known answer as a lead does: good is better than poor.
async fn known(server: &Server, project: Uuid, admin: &Client, text: &str, purpose: &str) {
    let (task, _) = seed::ranking_task(&server.state, project, text, &["poor", "good"]).await;
    let prompt: Uuid = sqlx::query_scalar("SELECT prompt_id FROM tasks WHERE id = $1")
        .bind(task)
        .fetch_one(server.pool())
        .await
        .expect("a prompt");
    let form = admin.get(&format!("/admin/projects/test/gold/new?prompt={prompt}")).await.leads_to().to_owned();
    assert_eq!(form, format!("/admin/projects/test/gold/{task}"));
    admin.get(&form).await.assert(200).assert_contains(text);
    admin.post(&form, &[("rank_0", "1"), ("rank_1", "1"), ("purpose", purpose)]).await.assert(422);
    admin.post(&form, &[("rank_0", "1"), ("purpose", purpose)]).await.assert(422);
    let fields = [("rank_0", "2"), ("rank_1", "1"), ("purpose", purpose), ("explanation", "It is **kinder**.")];
    admin.post(&form, &fields).await.assert(303);
}

async fn checks(admin: &Client, percent: &str, course: &str) {
    let form = [("gold_percent", percent), ("course_tasks", course), ("course_pass_percent", "80")];
    admin.post("/admin/projects/test/gold", &form).await.assert(303);
}

async fn next(client: &Client) -> String {
    client.post("/queue/next", &[]).await.leads_to().to_owned()
}

/// Ranks “good” first, or last, and returns where that leads.
async fn answer(client: &Client, task: &str, right: bool) -> String {
    let ranks = if right { ["2", "1"] } else { ["1", "2"] };
    let form = [("rank_0", ranks[0]), ("rank_1", ranks[1]), ("seconds", "5")];
    client.post(&format!("/tasks/{}/submit", assignment_in(task)), &form).await.leads_to().to_owned()
}

/// Skips a task and returns where that leads.
async fn skip(client: &Client, task: &str, reason: &str, words: &str) -> String {
    let form = [("reason", reason), ("detail", words)];
    client.post(&format!("/tasks/{}/skip", assignment_in(task)), &form).await.leads_to().to_owned()
}

/// What the page after a skip says of the task that was skipped.
async fn said_of_skipped(client: &Client, place: &str) -> String {
    let page = client.get(place).await.assert(200).text;
    let said = page.split(" data-skipped>").nth(1).and_then(|rest| rest.split("</p>").next());
    said.expect("a notice").trim().to_owned()
}

#[tokio::test]
async fn checks_come_unannounced_are_scored_and_are_no_data() {
    let (server, project, admin) = led().await;
    known(&server, project, &admin, "A check.", "check").await;
    for number in 0..3 {
        seed::ranking_task(&server.state, project, &format!("Rank {number}."), &["poor", "good"]).await;
    }
    checks(&admin, "100", "0").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    for (person, right) in [(&ada, true), (&bob, false)] {
        // The task that it was made from is handed out no more, and the queue does not count the check.
        person.get("/queue").await.assert_contains("3 tasks wait for you");
        let mut place = next(person).await;
        let mut pages = Vec::new();
        while place.starts_with("/tasks/") {
            let task = place.clone();
            let page = person.get(&task).await.assert(200).text;
            place = answer(person, &task, right).await;
            // Twice is once, and it leads on as every label does; another order is refused as for every label.
            answer(person, &task, right).await;
            let ranks = if right { ["1", "2"] } else { ["2", "1"] };
            let submit = format!("/tasks/{}/submit", assignment_in(&task));
            person.post(&submit, &[("rank_0", ranks[0]), ("rank_1", ranks[1])]).await.assert(409);
            let done = person.get(&format!("/tasks/{}", assignment_in(&task))).await.assert(200).text;
            assert!(done.contains("What you submitted") && !done.contains("kinder"), "it tells that it was a check");
            pages.push(page);
        }
        assert_eq!(pages.len(), 4);
        assert_eq!(pages.iter().filter(|page| page.contains("A check.")).count(), 1);
        for page in &pages {
            assert!(!page.contains("kinder") && !page.contains("gold"), "the page gives the check away");
        }
    }
    let pool = server.pool();
    assert_eq!(count(pool, "SELECT count(*) FROM rankings").await, 6);
    assert_eq!(count(pool, "SELECT count(*) FROM gold_answers").await, 2);
    assert_eq!(count(pool, "SELECT count(*) FROM rankings r JOIN gold_tasks g ON g.task_id = r.task_id").await, 0);
    // Beside how far people agree stands how far they agree with what is known.
    admin.figures("/admin/projects/test/quality").await.assert_contains("100 %");
    let table = admin.get("/admin/projects/test/quality/annotators.csv").await.assert(200).text;
    let of = |email: &str| table.lines().find(|line| line.starts_with(email)).expect("a line").to_owned();
    assert!(of("ada@example.org").ends_with(",1,1,1"), "{table}");
    assert!(of("bob@example.org").ends_with(",1,0,1"), "{table}");
    let page = admin.get("/admin/projects/test/gold").await.assert(200);
    page.assert_contains("B &#62; A")
        .assert_contains("50 %")
        .assert_contains("100 %")
        .assert_contains("ada@example.org");
}

#[tokio::test]
async fn two_leads_who_make_a_known_answer_of_one_task_make_one() {
    let (server, project, admin) = led().await;
    let other = server.user("Di", Role::Admin).await;
    let (task, _) = seed::ranking_task(&server.state, project, "A check.", &["poor", "good"]).await;
    let form = format!("/admin/projects/test/gold/{task}");
    let fields = [("rank_0", "2"), ("rank_1", "1"), ("purpose", "course")];
    let (one, two) = tokio::join!(admin.post(&form, &fields), other.post(&form, &fields));
    one.assert(303);
    two.assert(303);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM gold_tasks").await, 1);
}

#[tokio::test]
async fn a_prompts_page_offers_nothing_for_its_check_that_is_refused() {
    let (server, project, admin) = led().await;
    known(&server, project, &admin, "A check.", "check").await;
    let (check, prompt): (Uuid, Uuid) =
        sqlx::query_as("SELECT t.id, t.prompt_id FROM tasks t JOIN gold_tasks g ON g.task_id = t.id")
            .fetch_one(server.pool())
            .await
            .expect("a check");
    let page = admin.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200);
    page.assert_contains(&format!("/admin/projects/test/gold/{check}\">Known answers</a>"));
    assert!(!page.text.contains(&format!("/tasks/{check}/")), "{}", page.text);
    // The task that it was made from is an ordinary one, withdrawn.
    assert_eq!(page.text.matches("name=\"withdrawn\" value=\"no\"").count(), 1);
}

#[tokio::test]
async fn of_two_leads_at_one_known_answer_the_second_is_told_and_saves_over_it_knowingly() {
    let (server, project, admin) = led().await;
    let other = server.user("Di", Role::Admin).await;
    let (task, _) = seed::ranking_task(&server.state, project, "A check.", &["poor", "good"]).await;
    let form = format!("/admin/projects/test/gold/{task}");
    let drawn_on = |page: &Reply| {
        let field = page.text.split(r#"name="drawn" value=""#).nth(1).expect("the field");
        field.split('"').next().expect("a value").to_owned()
    };
    let drawn = drawn_on(&admin.get(&form).await.assert(200));
    let good = [("drawn", drawn.as_str()), ("rank_0", "2"), ("rank_1", "1"), ("purpose", "check")];
    let poor = [("drawn", drawn.as_str()), ("rank_0", "1"), ("rank_1", "2"), ("purpose", "check")];
    // Sent once more, as by a double click, what stands already undoes nothing.
    for _ in 0..2 {
        admin.post(&form, &good).await.assert(303);
    }
    let told = other.post(&form, &poor).await.assert(409);
    told.assert_contains("Somebody else has saved this form");
    let typed = |rank: &str| told.text.find(&format!("<option selected>{rank}</option>")).expect("what was typed");
    assert!(typed("1") < typed("2"));
    let stands = "SELECT count(*) FROM gold_tasks WHERE ranks = ARRAY[1, 2]";
    assert_eq!(count(server.pool(), stands).await, 0);
    let seen = drawn_on(&told);
    other.post(&form, &[&[("drawn", seen.as_str())][..], &poor[1..]].concat()).await.assert(303);
    assert_eq!(count(server.pool(), stands).await, 1);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM gold_tasks").await, 1);
}

#[tokio::test]
async fn a_known_answer_is_offered_where_there_is_a_task_to_make_it_from() {
    let (server, project, admin) = led().await;
    let pool = server.pool();
    let (task, _) = seed::ranking_task(&server.state, project, "Asked.", &["poor", "good"]).await;
    let of_project = projects::by_slug(pool, "test").await.expect("the project");
    // Nobody is asked about answers that come with their order.
    let mut ranked = r#"{"prompt": "Ranked elsewhere.", "responses": ["one", "two"], "ranks": [1, 2]}"#.as_bytes();
    import::import(pool, &Actor::program("test"), &of_project, Kind::Rankings, &mut ranked).await.expect("imported");
    for (text, is_offered) in [("Asked.", true), ("Ranked elsewhere.", false)] {
        let prompt: Uuid = sqlx::query_scalar("SELECT id FROM prompts WHERE conversation -> -1 ->> 'content' = $1")
            .bind(text)
            .fetch_one(pool)
            .await
            .expect("the prompt");
        let page = admin.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200);
        let found = admin.get(&format!("/admin/projects/test/gold/new?prompt={prompt}")).await;
        assert_eq!((page.text.contains("gold/new"), found.status.as_u16() == 303), (is_offered, is_offered), "{text}");
    }
    admin.get(&format!("/admin/projects/test/gold/{task}")).await.assert(200);
}

#[tokio::test]
async fn of_a_skipped_check_the_page_says_what_it_says_of_every_task() {
    let (server, project, admin) = led().await;
    known(&server, project, &admin, "A check.", "check").await;
    for number in 0..2 {
        seed::ranking_task(&server.state, project, &format!("Rank {number}."), &["poor", "good"]).await;
    }
    checks(&admin, "100", "0").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let check = next(&ada).await;
    ada.get(&check).await.assert(200).assert_contains("A check.");
    let task = skip(&ada, &check, "knowledge", "").await;
    assert_eq!(said_of_skipped(&ada, &task).await, "Skipped. The task goes to somebody else.");
    let other = skip(&ada, &task, "knowledge", "").await;
    assert_eq!(said_of_skipped(&ada, &other).await, "Skipped. The task goes to somebody else.");
}

#[tokio::test]
async fn a_check_that_came_ahead_is_the_task_that_comes() {
    let (server, project, admin) = led().await;
    known(&server, project, &admin, "A check.", "check").await;
    for number in 0..2 {
        seed::ranking_task(&server.state, project, &format!("Rank {number}."), &["poor", "good"]).await;
    }
    let ada = server.user("Ada", Role::Annotator).await;
    let first = next(&ada).await;
    checks(&admin, "100", "0").await;
    let ahead = format!("/tasks/{}/ahead", assignment_in(&first));
    let page = ada.json(reqwest::Method::POST, &ahead, &serde_json::json!({})).await.assert(200);
    page.assert_contains("A check.");
    let then = answer(&ada, &first, true).await;
    ada.get(&then).await.assert(200).assert_contains("A check.");
    // Its lease ended and she comes back: it is still hers.
    seed::end_lease(server.pool(), assignment_in(&then)).await;
    assert_eq!(assignment_in(&next(&ada).await), assignment_in(&then));
}

#[tokio::test]
async fn known_answers_come_in_from_a_file_whole_or_not_at_all() {
    let (server, _, admin) = led().await;
    let pool = server.pool();
    let project = projects::by_slug(pool, "test").await.expect("the project");
    let bring = async |lines: &str| {
        let mut reader = lines.as_bytes();
        import::import(pool, &Actor::program("test"), &project, Kind::KnownAnswers, &mut reader).await
    };
    let good = concat!(
        r#"{"prompt": "Lesson 0.", "responses": ["poor", {"content": "good", "model": "a"}], "ranks": [2, 1], "#,
        r#""purpose": "course", "explanation": "It is **kinder**."}"#,
        "\n",
        r#"{"prompt": "A check.", "responses": ["one", "two", "three"], "ranks": [1, 2, 2]}"#,
        "\n",
    );
    let wrong = [
        (r#"{"prompt": "x", "responses": ["a", "b"], "ranks": [1, 1]}"#, "ranks"),
        (r#"{"prompt": "x", "responses": ["a", "b"], "ranks": [1, 2], "purpose": "fun"}"#, "purpose"),
        (r#"{"prompt": "x", "responses": ["a"], "ranks": [1]}"#, "responses"),
        (r#"{"prompt": "x", "responses": ["a", "b"], "ranks": [1, 2], "colour": "red"}"#, "colour"),
    ];
    for (line, field) in wrong {
        let Err(ImportError::BadRecords(bad)) = bring(&format!("{good}{line}\n")).await else { panic!("{line}") };
        assert_eq!((bad[0].line, bad[0].field.as_str()), (3, field), "{bad:?}");
    }
    assert_eq!(count(pool, "SELECT count(*) FROM gold_tasks").await, 0);
    let report = bring(good).await.expect("imported");
    assert_eq!((report.added, report.duplicates, report.tasks), (2, 0, 2));
    let again = bring(good).await.expect("nothing new");
    assert_eq!((again.added, again.duplicates), (0, 2));
    let turned = r#"{"prompt": "A check.", "responses": ["two", "one", "three"], "ranks": [1, 2, 2]}"#;
    let Err(ImportError::BadRecords(bad)) = bring(turned).await else { panic!("another order of the same answers") };
    assert_eq!(bad[0].field, "ranks");

    checks(&admin, "0", "1").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let task = next(&ada).await;
    ada.get(&task).await.assert(200).assert_contains("Lesson 0.");
    ada.get(&answer(&ada, &task, true).await).await.assert_contains("<strong>kinder</strong>");
    assert!(!next(&ada).await.starts_with("/tasks/"), "nothing of it is an ordinary task");
    let page = admin.get("/admin/projects/test/import?kind=known-answers").await.assert(200);
    page.assert_contains(r#"<option value="known-answers" selected>"#);
}
