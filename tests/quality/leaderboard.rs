//! The leaderboard over real HTTP, and blind tests between two models.

use laurel::{
    db::tasks::{self, NewRankingTask},
    domain::role::Role,
};
use uuid::Uuid;

use crate::{
    prefer, project, rank,
    support::{
        Server,
        seed::{self, Seed},
        server,
    },
};

const BOARD: &str = "/admin/projects/test/leaderboard";

/// Makes a task to rank an answer of each of these models to a new prompt.
async fn task_of(server: &Server, project: Uuid, text: &str, models: &[&str]) {
    let prompt = seed::prompt(server.pool(), project, text).await;
    let mut responses = Vec::new();
    for model in models {
        responses.push(seed::response(server.pool(), prompt, &format!("An answer of {model}."), model).await);
    }
    let new = NewRankingTask { project, prompt, responses: &responses, round: 0, priority: 0, job: None };
    let mut connection = server.pool().acquire().await.expect("a connection");
    tasks::create_ranking_task(&mut connection, new).await.expect("a task").expect("a new task");
}

async fn change(server: &Server, sql: &'static str) {
    let changed = sqlx::query(sql).execute(server.pool()).await.expect(sql);
    assert_eq!(changed.rows_affected(), 1, "{sql}");
}

#[tokio::test]
async fn models_stand_by_what_people_preferred_and_two_can_be_tested_blindly() {
    let server = server().await;
    project(&server, 2).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    rosa.figures("/admin/projects/test/leaderboard").await.assert_contains("Nothing to compare yet");
    let ada = server.user("Ada", Role::Annotator).await;
    rank(&ada, &[1, 2, 3]).await;
    rank(&ada, &[1, 3, 2]).await;
    let page = rosa.figures("/admin/projects/test/leaderboard").await;
    page.assert_contains("secret-model-0").assert_contains("6 comparisons on 2 prompts");
    page.assert_contains("Fewer than 10 prompts were compared");
    assert!(!page.text.contains("name=\"whose\""), "no program gave a label");
    let table = rosa.get("/admin/projects/test/leaderboard/models.csv").await.assert(200);
    let first = table.text.lines().nth(1).expect("a model");
    assert!(first.starts_with("secret-model-0,") && first.ends_with(",1.000000,4,0,0"), "{first}");
    let pairs = rosa.get("/admin/projects/test/leaderboard/win-rates.csv").await.assert(200);
    pairs.assert_contains("secret-model-1,secret-model-2,0.500000,2");
    rosa.figures("/admin/projects/test/leaderboard?language=zh").await.assert_contains("Nothing to compare yet");

    let root = server.user("Root", Role::Admin).await;
    let form = [("first", "secret-model-0"), ("second", "secret-model-2"), ("prompts", "50")];
    let twins = [("first", "secret-model-0"), ("second", "secret-model-0"), ("prompts", "50")];
    root.post("/admin/projects/test/leaderboard", &twins).await.assert(422);
    let made = root.post("/admin/projects/test/leaderboard", &form).await;
    assert_eq!(made.leads_to(), "/admin/projects/test/leaderboard?made=2#blind-tests");
    root.post("/admin/projects/test/leaderboard", &form).await.assert(422).assert_contains("no prompt in common");
    // Handed out before anything else, and the page names no model.
    let bob = server.user("Bob", Role::Annotator).await;
    let assignment = prefer(&server, &bob, "secret-model-2").await;
    let page = bob.get(&format!("/tasks/{assignment}")).await.assert(200);
    assert!(!page.text.contains("secret-model"), "the page names a model");
    let page = rosa.figures("/admin/projects/test/leaderboard").await;
    page.assert_contains("secret-model-0 : secret-model-2").assert_contains("1 of 4 labels").assert_contains("0.0 %");
}

#[tokio::test]
async fn models_that_no_comparison_joins_are_named_as_groups_until_one_does() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    task_of(&server, project, "First?", &["alpha", "beta"]).await;
    task_of(&server, project, "Second?", &["gamma", "delta"]).await;
    rank(&ada, &[1, 2]).await;
    rank(&ada, &[1, 2]).await;
    let page = rosa.figures(BOARD).await;
    page.assert_contains("scores of different groups can’t be compared");
    page.assert_contains(": alpha, beta</li>").assert_contains(": gamma, delta</li>");
    page.assert_contains("<th scope=\"col\" class=\"number\">Group</th>");
    let table = rosa.get(&format!("{BOARD}/models.csv")).await.assert(200).text;
    assert!(table.lines().next().is_some_and(|columns| columns.ends_with(",losses,group")), "{table}");
    let group = |model: &str| {
        let row = table.lines().find(|row| row.split(',').next() == Some(model)).expect("a row");
        row.rsplit(',').next().map(str::to_owned)
    };
    assert_eq!(group("alpha"), group("beta"));
    assert_eq!(group("gamma"), group("delta"));
    assert_ne!(group("alpha"), group("gamma"));
    // One comparison each: who lost it may be the better one.
    let alpha = table.lines().find(|row| row.starts_with("alpha,")).expect("a row");
    assert!(alpha.starts_with("alpha,0.756308,-1.178"), "{alpha}");

    task_of(&server, project, "Third?", &["beta", "gamma"]).await;
    rank(&ada, &[1, 2]).await;
    let page = rosa.figures(BOARD).await;
    page.assert_contains("3 comparisons on 3 prompts");
    assert!(!page.text.contains("can’t be compared") && !page.text.contains(">Group</th>"), "{}", page.text);
    let table = rosa.get(&format!("{BOARD}/models.csv")).await.assert(200).text;
    assert!(table.lines().next().is_some_and(|columns| columns.ends_with(",losses")), "{table}");
}

#[tokio::test]
async fn labels_of_programs_can_be_left_out_of_page_files_and_blind_tests() {
    let server = server().await;
    project(&server, 1).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let robo = server.user("Robo", Role::Annotator).await;
    change(&server, "UPDATE users SET simulated = true WHERE email = 'robo@example.org'").await;
    rank(&ada, &[1, 2, 3]).await;
    rank(&robo, &[3, 2, 1]).await;
    let root = server.user("Root", Role::Admin).await;
    let form = [("first", "secret-model-0"), ("second", "secret-model-2"), ("prompts", "50")];
    root.post(BOARD, &form).await.leads_to();
    prefer(&server, &ada, "secret-model-0").await;
    prefer(&server, &robo, "secret-model-2").await;

    let outcomes = |first: u32, second: u32| {
        let cells = [first, 0, second].map(|number| format!("<td class=\"number\">{number}</td>"));
        format!("2 of 2 labels</td>{}", cells.concat())
    };
    let page = rosa.figures(BOARD).await;
    page.assert_contains("name=\"whose\"").assert_contains("8 comparisons on 1 prompt.");
    page.assert_contains(&outcomes(1, 1));
    let page = rosa.figures(&format!("{BOARD}?whose=people")).await;
    page.assert_contains("value=\"people\" selected").assert_contains("4 comparisons on 1 prompt.");
    page.assert_contains(&outcomes(1, 0));
    page.assert_contains("models.csv?language=&amp;tag=&amp;whose=people");
    page.assert_contains("win-rates.csv?language=&amp;tag=&amp;whose=people");
    let table = rosa.get(&format!("{BOARD}/models.csv?whose=people")).await.assert(200);
    let first = table.text.lines().nth(1).expect("a model");
    assert!(first.starts_with("secret-model-0,") && first.ends_with(",1.000000,3,0,0"), "{first}");
    let pairs = rosa.get(&format!("{BOARD}/win-rates.csv?whose=people")).await.assert(200);
    pairs.assert_contains("secret-model-0,secret-model-2,1.000000,2");
    // The choice stands there although no program gave a label in this language.
    let page = rosa.figures(&format!("{BOARD}?language=zh&whose=people")).await;
    page.assert_contains("name=\"whose\"").assert_contains("Nothing to compare yet");
}

#[tokio::test]
async fn blind_tests_ask_about_open_prompts_only_and_again_where_a_task_was_withdrawn() {
    let server = server().await;
    project(&server, 4).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let root = server.user("Root", Role::Admin).await;
    change(&server, "UPDATE prompts SET withdrawn_at = now() WHERE conversation -> 0 ->> 'content' = 'Question 0?'")
        .await;
    change(
        &server,
        "UPDATE prompts
         SET held_back_at = now(), duplicate_of = (SELECT id FROM prompts WHERE conversation -> 0 ->> 'content' = 'Question 2?')
         WHERE conversation -> 0 ->> 'content' = 'Question 1?'",
    )
    .await;
    let form = [("first", "secret-model-0"), ("second", "secret-model-2"), ("prompts", "50")];
    let made = root.post(BOARD, &form).await;
    assert_eq!(made.leads_to(), "/admin/projects/test/leaderboard?made=2#blind-tests");
    rosa.figures(BOARD).await.assert_contains("0 of 4 labels");
    root.post(BOARD, &form).await.assert(422).assert_contains("no prompt in common");

    change(
        &server,
        "UPDATE tasks SET withdrawn_at = now() WHERE id = (SELECT task_id FROM blind_test_tasks ORDER BY task_id LIMIT 1)",
    )
    .await;
    rosa.figures(BOARD).await.assert_contains("0 of 2 labels");
    let made = root.post(BOARD, &form).await;
    assert_eq!(made.leads_to(), "/admin/projects/test/leaderboard?made=1#blind-tests");
}
