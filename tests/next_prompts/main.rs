//! Which prompts come next: by hand, by chance, by the reward model's uncertainty; near-duplicates are held back.

mod rounds;
#[path = "../support/mod.rs"]
mod support;

use laurel::{
    db::{audit::Actor, near_duplicates, projects, tokens::TokenRole},
    domain::role::Role,
    import::{self, Kind},
};
use serde_json::json;
use support::{
    Client, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};
use uuid::Uuid;

async fn send_scores(server: &Server, token: &str, scores: &serde_json::Value) -> reqwest::Response {
    let address = format!("{}/api/v1/projects/test/prompt-scores", server.address);
    reqwest::Client::new().post(address).bearer_auth(token).json(scores).send().await.expect("an answer")
}

/// What the next task asks.
async fn next_question(who: &Client) -> String {
    let task = assignment_in(who.post("/queue/next", &[]).await.leads_to());
    let page = who.get(&format!("/tasks/{task}")).await.assert(200).text;
    who.post(&format!("/tasks/{task}/submit"), &[("completion", "Done.")]).await.assert(303);
    let number = page.split("Write number ").nth(1).expect("a prompt").chars().next();
    number.expect("a number").to_string()
}

#[tokio::test]
async fn what_the_reward_model_is_least_sure_of_comes_first() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    let mut prompts = Vec::new();
    for number in 1..=4 {
        prompts.push(seed::demonstration_task(&server.state, project, &format!("Write number {number}.")).await);
    }
    let ada = server.user("Ada", Role::Admin).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let token = server.token(TokenRole::Trainer).await;
    let order = [("order", "uncertain"), ("percent", "80")];
    ada.post("/admin/projects/test/next", &order).await.leads_to();
    let stranger = Uuid::now_v7();
    let scores = json!({ "model": "reward-3", "scores": [
        { "prompt_id": prompts[1], "uncertainty": 0.2 },
        { "prompt_id": prompts[2], "uncertainty": 1.7 },
        { "prompt_id": stranger, "uncertainty": 9.0 },
    ]});
    let answer = send_scores(&server, &token, &scores).await;
    let answer: serde_json::Value = answer.json().await.expect("JSON");
    assert_eq!(answer, json!({ "stored": 2, "unknown": [stranger] }));
    let page = ada.get("/admin/projects/test/next").await.assert(200);
    page.assert_contains("2 of 4 prompts have a score").assert_contains("reward-3");
    // By hand goes before all; then the least sure; what has no score comes last, the oldest of it first.
    let task: Uuid = sqlx::query_scalar("SELECT id FROM tasks WHERE prompt_id = $1")
        .bind(prompts[3])
        .fetch_one(pool)
        .await
        .expect("a task");
    ada.post(&format!("/admin/projects/test/tasks/{task}/priority"), &[("priority", "1")]).await.leads_to();
    let mut asked = Vec::new();
    for _ in 0..4 {
        asked.push(next_question(&bob).await);
    }
    assert_eq!(asked, ["4", "3", "2", "1"]);

    let wrong = json!({ "scores": [{ "prompt_id": prompts[0], "uncertainty": -1.0 }] });
    assert_eq!(send_scores(&server, &token, &wrong).await.status(), 422);
    let annotator = server.token(TokenRole::Annotator).await;
    assert_eq!(send_scores(&server, &annotator, &scores).await.status(), 403);
    ada.post("/admin/projects/test/next", &[("order", "sideways"), ("percent", "80")]).await.assert(422);
}

#[tokio::test]
async fn scores_that_come_while_a_lead_turns_to_them_move_tasks_too() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    let prompt = seed::demonstration_task(&server.state, project, "Write number 1.").await;
    let token = server.token(TokenRole::Trainer).await;
    // As the order is set: it stands, and no task has a score to follow.
    let mut setting = pool.begin().await.expect("a transaction");
    for sql in ["UPDATE projects SET task_order = 'uncertain'", "UPDATE tasks SET priority = -1000000"] {
        sqlx::query(sql).execute(&mut *setting).await.expect("set");
    }
    let set = async {
        seed::until_somebody_waits(pool).await;
        setting.commit().await.expect("set");
    };
    let scores = json!({ "model": "reward-3", "scores": [{ "prompt_id": prompt, "uncertainty": 1.0 }] });
    let (answer, ()) = tokio::join!(send_scores(&server, &token, &scores), set);
    assert_eq!(answer.status(), 200);
    assert_eq!(count(pool, "SELECT priority::bigint FROM tasks").await, -1_000_000 + 499_999);
}

#[tokio::test]
async fn saving_the_order_that_is_set_moves_no_task() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Write number 1.").await;
    let ada = server.user("Ada", Role::Admin).await;
    for order in ["as_made", "random", "uncertain"] {
        let form = [("order", order), ("percent", "80")];
        ada.post("/admin/projects/test/next", &form).await.leads_to();
        // As somebody who is just being given it holds it.
        let mut given = pool.begin().await.expect("a transaction");
        sqlx::query("SELECT id FROM tasks FOR UPDATE").fetch_all(&mut *given).await.expect("locked");
        let again = ada.post("/admin/projects/test/next", &form);
        let again = tokio::time::timeout(std::time::Duration::from_secs(10), again).await;
        again.expect("it waits for a task that is in its place").leads_to();
        given.rollback().await.expect("let go");
    }
}

/// What a worker asks before it scores: the prompts whose answers wait for people, each with the answers of its newest task.
#[tokio::test]
async fn answers_that_wait_to_be_ranked_go_out_until_they_are_ranked() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Write one.").await;
    seed::ranking_task(&server.state, project, "Rank first.", &["a", "b"]).await;
    let (newer, _) = seed::ranking_task(&server.state, project, "Rank second.", &["c", "d", "e"]).await;
    let job = Uuid::now_v7();
    sqlx::query("INSERT INTO jobs (id, project_id, kind, round, config) VALUES ($1, $2, 'nightly', 1, '{}')")
        .bind(job)
        .bind(project)
        .execute(server.pool())
        .await
        .expect("a job");
    let token = server.token(TokenRole::Trainer).await;
    let waiting = async || {
        let address = format!("{}/api/v1/jobs/{job}/waiting", server.address);
        let answer = reqwest::Client::new().get(address).bearer_auth(&token).send().await.expect("an answer");
        let text = answer.text().await.expect("text");
        let line = |line: &str| serde_json::from_str::<laurel_records::ResponsesRecord>(line).expect("a record");
        text.lines().map(line).collect::<Vec<_>>()
    };
    let found = waiting().await;
    let answers: Vec<Vec<&str>> =
        found.iter().map(|record| record.responses.iter().map(|one| one.content.as_str()).collect()).collect();
    assert_eq!(answers, [vec!["c", "d", "e"], vec!["a", "b"]]);
    assert_eq!(found[0].prompt[0].content, "Rank second.");

    // The ids are those that the scores are told by.
    let prompt = found[0].prompt_id.as_deref().expect("an id");
    let scores = json!({ "model": "reward-1", "scores": [{ "prompt_id": prompt, "uncertainty": 0.4 }] });
    let answer: serde_json::Value = send_scores(&server, &token, &scores).await.json().await.expect("JSON");
    assert_eq!(answer, json!({ "stored": 1, "unknown": [] }));
    sqlx::query("UPDATE tasks SET labels = overlap WHERE id = $1")
        .bind(newer)
        .execute(server.pool())
        .await
        .expect("done");
    assert_eq!(waiting().await.len(), 1);
}

#[tokio::test]
async fn near_duplicates_are_held_back_until_somebody_lets_them_go() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    let bee = "Write a short poem about a bee that is afraid of flowers in the spring.";
    seed::demonstration_task(&server.state, project, bee).await;
    seed::demonstration_task(&server.state, project, "How do bees make honey? Explain it to a child of ten.").await;
    let again = seed::demonstration_task(&server.state, project, &bee.replace("flowers", "flowers,")).await;
    let ada = server.user("Ada", Role::Admin).await;
    let waiting = "SELECT count(*) FROM tasks WHERE withdrawn_at IS NULL";
    let done = ada.post("/admin/projects/test/next/duplicates", &[]).await;
    assert_eq!(done.leads_to(), "/admin/projects/test/next?found=1#duplicates");
    ada.get("/admin/projects/test/next").await.assert(200).assert_contains("One prompt is held back");
    assert_eq!(count(pool, waiting).await, 2);
    // What is withdrawn besides, by a report or because its writer has corrected it, is not let go by this.
    let withdraw = "UPDATE prompts SET withdrawn_at = CASE WHEN $2 THEN now() END WHERE id = $1";
    sqlx::query(withdraw).bind(again).bind(true).execute(pool).await.expect("withdrawn");
    ada.post(&format!("/admin/projects/test/next/{again}/release"), &[]).await.assert(404);
    ada.get("/admin/projects/test/next").await.assert(200).assert_contains("No prompt is held back");
    assert_eq!(count(pool, waiting).await, 2);
    sqlx::query(withdraw).bind(again).bind(false).execute(pool).await.expect("restored");
    // Let go, it is asked again, and another search leaves it alone.
    ada.post(&format!("/admin/projects/test/next/{again}/release"), &[]).await.leads_to();
    assert_eq!(count(pool, waiting).await, 3);
    let done = ada.post("/admin/projects/test/next/duplicates", &[]).await;
    assert_eq!(done.leads_to(), "/admin/projects/test/next?found=0#duplicates");
    ada.post(&format!("/admin/projects/test/next/{again}/release"), &[]).await.assert(404);

    // With every import, where the project wants it: the task that comes with the prompt is not asked.
    let form = [("order", "as_made"), ("hold_back", "on"), ("percent", "80")];
    ada.post("/admin/projects/test/next", &form).await.leads_to();
    let project = projects::by_slug(pool, "test").await.expect("the project");
    let lines = json!({ "prompt": format!("{bee}!!") }).to_string();
    let actor = laurel::db::audit::Actor::program("test");
    import::import(pool, &actor, &project, Kind::Prompts, &mut lines.as_bytes()).await.expect("imported");
    let noted = "SELECT count(*) FROM audit_log
                 WHERE action = 'prompts.hold_back' AND actor = 'test' AND detail ->> 'held_back' = '1'";
    assert_eq!(count(pool, noted).await, 1, "what the import held back is noted");
    assert_eq!(count(pool, "SELECT count(*) FROM prompts WHERE held_back_at IS NOT NULL").await, 1);
    assert_eq!(count(pool, waiting).await, 3);

    // What was let go is asked, and what is nearly the same as it is not.
    let tea = "Tell a guest how to brew green tea so that it does not taste bitter.";
    let let_go = seed::demonstration_task(&server.state, project.id, tea).await;
    sqlx::query("UPDATE prompts SET never_held_back = true WHERE id = $1")
        .bind(let_go)
        .execute(pool)
        .await
        .expect("let go");
    seed::demonstration_task(&server.state, project.id, &tea.replace("guest", "guest:")).await;
    let done = ada.post("/admin/projects/test/next/duplicates", &[]).await;
    assert_eq!(done.leads_to(), "/admin/projects/test/next?found=1#duplicates");
}

#[tokio::test]
async fn a_near_duplicate_that_somebody_writes_is_held_back_and_the_log_says_so() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    let bee = "Write a short poem about a bee that is afraid of flowers in the spring.";
    seed::prompt(pool, project, bee).await;
    let lea = server.user("Lea", Role::Admin).await;
    let form = [("order", "as_made"), ("hold_back", "on"), ("percent", "80")];
    lea.post("/admin/projects/test/next", &form).await.leads_to();
    let form = [("kind", "plain"), ("count", "2"), ("language", "en"), ("about", "")];
    lea.post("/admin/projects/test/writing", &form).await.assert(303);
    sqlx::query("UPDATE projects SET plan_demonstrations = 0").execute(pool).await.expect("set");
    let ada = server.user("Ada", Role::Annotator).await;
    let held_back = "SELECT count(*) FROM prompts WHERE held_back_at IS NOT NULL";
    let again = format!("{bee}!!");
    for text in ["How do bees make honey? Explain it to a child of ten.", again.as_str()] {
        let task = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
        ada.post(&format!("/tasks/{task}/submit"), &[("prompt", text)]).await.assert(303);
    }
    // Nobody waits for the search.
    let begun = std::time::Instant::now();
    while count(pool, held_back).await == 0 {
        assert!(begun.elapsed().as_secs() < 30, "nothing is held back");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let noted: Vec<(String, serde_json::Value)> =
        sqlx::query_as("SELECT actor, detail FROM audit_log WHERE action = 'prompts.hold_back'")
            .fetch_all(pool)
            .await
            .expect("entries");
    assert_eq!(noted, [("ada@example.org".to_owned(), json!({ "prompts": 3, "held_back": 1 }))]);
    lea.get("/admin/audit?action=prompts.hold_back").await.assert(200).assert_contains("Held near-duplicates back");
}

/// Time of the search for near-duplicates among 100,000 prompts of about 40 words, one in ten of them nearly another:
/// `cargo test --release -p laurel --test next_prompts -- --ignored --nocapture hundred_thousand`.
#[tokio::test]
#[ignore = "a measurement, for an optimised build"]
async fn near_duplicates_of_a_hundred_thousand_prompts_are_found() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { demonstration_overlap: 0, ..Seed::default() }).await;
    sqlx::query(
        "INSERT INTO prompts (id, project_id, conversation, language, split, content_hash)
         SELECT gen_random_uuid(), $1, jsonb_build_array(jsonb_build_object('role', 'user', 'content', said.text)), 'en',
             'train', sha256(convert_to(said.text, 'UTF8'))
         FROM generate_series(1, 100000) AS n
         CROSS JOIN LATERAL (
             SELECT string_agg(left(md5((word + 1000 * (n - n % 10 + least(n % 10, 8)))::text), 6), ' ' ORDER BY word)
                 || CASE n % 10 WHEN 9 THEN ' please' ELSE '' END AS text
             FROM generate_series(1, 40) AS word
         ) AS said",
    )
    .bind(project)
    .execute(pool)
    .await
    .expect("prompts");
    let begun = std::time::Instant::now();
    let found = near_duplicates::hold_back(pool, &Actor::program("test"), (project, "test")).await.expect("searched");
    println!("{found:?} in {:?}", begun.elapsed());
    assert_eq!((found.prompts, found.held_back), (100_000, 10_000));
}
