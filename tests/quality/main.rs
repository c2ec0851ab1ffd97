//! The pages of quality over real HTTP: people rank, and what they agree on is shown as it can be counted by hand.

#[path = "../support/mod.rs"]
mod support;

mod blind_list;
mod blind_tests;
mod leaderboard;
mod reviews;

use std::collections::HashMap;

use futures_util::TryStreamExt;
use laurel::{
    db::projects,
    domain::role::Role,
    export::{self, Format, Kind, Selection},
};
use serde_json::Value;
use sqlx::PgPool;
use support::{
    Client, Server,
    seed::{self, Seed, assignment_in},
    server,
};
use uuid::Uuid;

/// Takes the next task and ranks its answers, by their positions in the task.
async fn rank(client: &Client, ranks: &[u32]) -> Uuid {
    let assignment = assignment_in(client.post("/queue/next", &[]).await.leads_to());
    submit(client, assignment, ranks).await;
    assignment
}

/// Takes the next task, of a blind test, and ranks the answer of a model before the other one.
async fn prefer(server: &Server, client: &Client, model: &str) -> Uuid {
    let assignment = assignment_in(client.post("/queue/next", &[]).await.leads_to());
    let is_first = stands_first(server.pool(), assignment, model).await;
    submit(client, assignment, if is_first { &[1, 2] } else { &[2, 1] }).await;
    assignment
}

/// Whether the answer at position 0 of somebody's task is a model's.
async fn stands_first(pool: &PgPool, assignment: Uuid, model: &str) -> bool {
    let first: String = sqlx::query_scalar(
        "SELECT r.model
         FROM assignments a
         JOIN task_responses place ON place.task_id = a.task_id AND place.position = 0
         JOIN responses r ON r.id = place.response_id
         WHERE a.id = $1",
    )
    .bind(assignment)
    .fetch_one(pool)
    .await
    .expect("a model");
    first == model
}

async fn submit(client: &Client, assignment: Uuid, ranks: &[u32]) {
    let names: Vec<String> = (0..ranks.len()).map(|position| format!("rank_{position}")).collect();
    let ranks: Vec<String> = ranks.iter().map(u32::to_string).collect();
    let mut form: Vec<(&str, &str)> =
        names.iter().zip(&ranks).map(|(name, rank)| (name.as_str(), rank.as_str())).collect();
    form.extend([("seconds", "40"), ("then", "queue")]);
    client.post(&format!("/tasks/{assignment}/submit"), &form).await.assert(303);
}

/// A project in which two people rank the same `tasks` tasks of three answers.
async fn project(server: &Server, tasks: usize) -> Uuid {
    let project = seed::project(server.pool(), Seed { ranking_overlap: 2, ..Seed::default() }).await;
    for task in 0..tasks {
        seed::ranking_task(&server.state, project, &format!("Question {task}?"), &["one", "two", "three"]).await;
    }
    project
}

#[tokio::test]
async fn what_two_people_agree_on_is_counted_and_shown_beside_the_yardstick() {
    let server = server().await;
    project(&server, 2).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    for _ in 0..2 {
        rank(&ada, &[1, 2, 3]).await;
        rank(&bob, &[1, 3, 2]).await;
    }
    let before = rosa.get("/admin/projects/test").await.assert(200);
    let page = rosa.figures("/admin/projects/test/quality").await;
    // Two of three pairs alike, twice; τ-b = (2 − 1) / 3.
    page.assert_contains("66.7 %").assert_contains("0.33").assert_contains("72.6 ± 1.5 %");
    page.assert_contains("Ada").assert_contains("Bob").assert_contains("Fewer than 10 prompts");
    // The overview waits for nothing: it draws what is reckoned by now.
    before.assert_contains("It is being reckoned.");
    let overview = rosa.get("/admin/projects/test").await.assert(200);
    overview
        .assert_contains("class=\"yardstick-band\"")
        .assert_contains("Agreement by week")
        .assert_contains("weeks.csv");
    let table = rosa.get("/admin/projects/test/quality/annotators.csv").await.assert(200);
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8");
    let ada = table.text.lines().find(|line| line.starts_with("ada@example.org,")).expect("a row for Ada");
    assert!(ada.starts_with("ada@example.org,false,2,2,0.666667,"), "{ada}");
    let pairs = rosa.get("/admin/projects/test/quality/pairs.csv").await.assert(200);
    pairs.assert_contains("ada@example.org,bob@example.org,2,0.666667");
    rosa.get("/admin/projects/test/quality/weeks.csv").await.assert(200).assert_contains(",2,0.666667,");
    rosa.get("/admin/projects/test/quality/poems.csv").await.assert(404);
}

#[tokio::test]
async fn without_labels_or_without_a_second_opinion_the_page_says_so() {
    let server = server().await;
    project(&server, 1).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    rosa.figures("/admin/projects/test/quality").await.assert_contains("No rankings yet");
    let ada = server.user("Ada", Role::Annotator).await;
    rank(&ada, &[1, 2, 3]).await;
    let page = rosa.figures("/admin/projects/test/quality").await;
    page.assert_contains("No answers have been ranked by two people yet");
    assert!(!page.text.contains("NaN"), "{}", page.text);
}

#[tokio::test]
async fn whoever_has_an_account_is_known_by_it_also_where_rankings_of_theirs_came_with_a_file_before() {
    let server = server().await;
    project(&server, 1).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let ada = server.user("Ada", Role::Annotator).await;
    rank(&ada, &[1, 2, 3]).await;
    for sql in [
        "UPDATE users SET simulated = true WHERE email = 'ada@example.org'",
        "INSERT INTO rankings (id, prompt_id, annotator, seconds)
         SELECT '00000000-0000-7000-8000-000000000001', id, 'ada@example.org', 40 FROM prompts",
        "INSERT INTO ranking_responses (ranking_id, position, response_id, rank)
         SELECT '00000000-0000-7000-8000-000000000001', position, response_id, rank FROM ranking_responses",
    ] {
        sqlx::query(sql).execute(server.pool()).await.expect("stored");
    }
    let address = "/admin/projects/test/quality/annotators.csv";
    rosa.get(address).await.assert(200).assert_contains("ada@example.org,true,2,");
    let people = rosa.get(&format!("{address}?whose=people")).await.assert(200);
    assert!(!people.text.contains("ada@example.org"), "{}", people.text);
}

#[tokio::test]
async fn a_correction_takes_a_moment_and_makes_nobody_hasty() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    let long = ["one ", "two ", "three "].map(|word| word.repeat(200));
    for task in 0..5 {
        let answers: Vec<&str> = long.iter().map(String::as_str).collect();
        seed::ranking_task(&server.state, project, &format!("Question {task}?"), &answers).await;
    }
    let rosa = server.user("Rosa", Role::Reviewer).await;
    let ada = server.user("Ada", Role::Annotator).await;
    for _ in 0..5 {
        let assignment = rank(&ada, &[1, 2, 3]).await;
        reviews::correct(&ada, assignment, ["1", "3", "2"]).await;
    }
    // The page of the correction was open for two seconds.
    let corrections = "UPDATE rankings SET seconds = 2 WHERE replaces_id IS NOT NULL";
    sqlx::query(corrections).execute(server.pool()).await.expect("stored");
    let table = rosa.get("/admin/projects/test/quality/annotators.csv").await.assert(200).text;
    let (head, row) = table.split_once('\n').expect("a row for Ada");
    let columns: HashMap<&str, &str> = head.trim().split(',').zip(row.trim().split(',')).collect();
    assert_eq!((columns["rankings"], columns["median_seconds"], columns["too_fast"]), ("5", "40.000000", "0"));
    let labels = "/admin/projects/test/labels?too_fast=1&annotator=ada%40example.org";
    let quick = rosa.get(labels).await.assert(200).text;
    assert!(!quick.contains("Question"), "{quick}");
}

/// The records of the test project.
async fn records(server: &Server, kind: Kind, selection: Selection) -> Vec<Value> {
    let project = projects::by_slug(server.pool(), "test").await.expect("the project");
    let pieces: Vec<bytes::Bytes> = export::stream(server.pool().clone(), &project, kind, Format::Jsonl, selection)
        .try_collect()
        .await
        .expect("an export");
    let text = String::from_utf8(pieces.concat()).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn ranking_of(server: &Server, email: &str) -> Uuid {
    sqlx::query_scalar("SELECT id FROM rankings WHERE annotator = $1")
        .bind(email)
        .fetch_one(server.pool())
        .await
        .expect("a ranking")
}

#[tokio::test]
async fn exports_weigh_and_leave_out_by_reliability() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { ranking_overlap: 3, ..Seed::default() }).await;
    for task in 0..10 {
        seed::ranking_task(&server.state, project, &format!("Question {task}?"), &["one", "two", "three"]).await;
    }
    for (name, ranks) in [("Ada", [1, 2, 3]), ("Bob", [1, 2, 3]), ("Cy", [3, 2, 1])] {
        let person = server.user(name, Role::Annotator).await;
        for _ in 0..10 {
            rank(&person, &ranks).await;
        }
    }
    let plain = records(&server, Kind::Rankings, Selection::default()).await;
    assert!(plain.len() == 30 && plain.iter().all(|record| record.get("weight").is_none()));
    let weighed = records(&server, Kind::Rankings, Selection { weights: true, ..Selection::default() }).await;
    for record in &weighed {
        let weight = record["weight"].as_f64().expect("a weight");
        if record["annotator"] == "cy@example.org" {
            assert_eq!(weight, 0.0)
        } else {
            assert!(weight > 0.9, "{weight}")
        }
    }
    let strict = Selection { minimum_reliability: Some(0.6), ..Selection::default() };
    assert_eq!(records(&server, Kind::Rankings, strict).await.len(), 20);
    assert_eq!(records(&server, Kind::Comparisons, strict).await.len(), 60);

    let root = server.user("Root", Role::Admin).await;
    // Thirty rankings of three pairs each, and without those of the one who says the opposite of everybody.
    let counted = async |options: &str| {
        let page = root.get(&format!("/admin/projects/test/export{options}")).await.assert(200);
        let totals = page.text.split("<td class=\"number\"><strong>").skip(1);
        totals.filter_map(|rest| rest.split('<').next().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(counted("").await, ["10", "0", "30", "90"]);
    assert_eq!(counted("?minimum_reliability=60").await, ["10", "0", "20", "60"]);
    root.get("/admin/projects/test/export?minimum_reliability=600").await.assert(422);
    let page = root.get("/admin/projects/test/export?minimum_reliability=60&weights=1").await.assert(200);
    page.assert_contains("type=\"hidden\" name=\"minimum_reliability\" value=\"60\"");
    let down = "/admin/projects/test/export/rankings?format=csv&split=&weights=1&minimum_reliability=60";
    assert_eq!(root.get(down).await.assert(200).text.lines().count(), 21);
    root.get("/admin/projects/test/export/rankings?minimum_reliability=600").await.assert(422);
}

/// Times of the pages that reckon over all labels, at 50,000 rankings of four answers by 20 people:
/// `cargo test --release -p laurel --test quality -- --ignored --nocapture fifty_thousand`.
#[tokio::test]
#[ignore = "a measurement, for an optimised build"]
async fn fifty_thousand_rankings_are_measured_and_shown() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed { ranking_overlap: 2, ..Seed::default() }).await;
    let ada = server.user("Ada", Role::Admin).await;
    for sql in [
        "INSERT INTO prompts (id, project_id, conversation, language, split, content_hash)
         SELECT gen_random_uuid(), p.id, '[{\"role\": \"user\", \"content\": \"x\"}]', 'en', 'train', sha256(n::text::bytea)
         FROM projects p, generate_series(1, 25000) AS n",
        "INSERT INTO responses (id, prompt_id, content, model)
         SELECT gen_random_uuid(), p.id, repeat('an answer ', 40), 'model-' || n FROM prompts p, generate_series(0, 3) AS n",
        "INSERT INTO rankings (id, prompt_id, annotator, seconds)
         SELECT gen_random_uuid(), p.id, 'person-' || (abs(hashtext(p.id::text || n)) % 20), 40
         FROM prompts p, generate_series(0, 1) AS n",
        "INSERT INTO ranking_responses (ranking_id, position, response_id, rank)
         SELECT r.id, place.position, place.id, row_number() OVER (PARTITION BY r.id ORDER BY random())
         FROM rankings r
         JOIN (SELECT id, prompt_id, row_number() OVER (PARTITION BY prompt_id ORDER BY model) - 1 AS position
               FROM responses) AS place ON place.prompt_id = r.prompt_id",
        "ANALYZE",
    ] {
        sqlx::query(sql).execute(pool).await.expect(sql);
    }
    assert_eq!(seed::count(pool, "SELECT count(*) FROM rankings").await, 50_000);
    let timed = async |path: &str| {
        let begun = std::time::Instant::now();
        ada.get(path).await.assert(200);
        begun.elapsed()
    };
    for path in ["/admin/projects/test/quality", "/admin/projects/test/leaderboard"] {
        println!("{path}: {:?}, again {:?}", timed(path).await, timed(path).await);
        let prompt = seed::prompt(pool, project, path).await;
        sqlx::query("INSERT INTO rankings (id, prompt_id, annotator) VALUES (gen_random_uuid(), $1, 'person-1')")
            .bind(prompt)
            .execute(pool)
            .await
            .expect("one more");
        println!("{path}: after one more label {:?}", timed(path).await);
    }
}
