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
    let today = time::OffsetDateTime::now_utc().date();
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
