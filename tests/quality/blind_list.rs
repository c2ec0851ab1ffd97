//! The list of blind tests: it keeps itself up to date while models write and people judge, and leads to every test there is.

use std::time::Duration;

use laurel::{
    db::{
        projects::ProjectSettings,
        tasks::{self, NewRankingTask},
    },
    domain::role::Role,
};
use reqwest::{Method, Response};
use uuid::Uuid;

use crate::{
    blind_tests::{ask, board, contest, work},
    support::{
        Server,
        client::link_with,
        seed::{self, Seed},
        server,
    },
};

/// Reads a stream of events until it says this.
async fn hear(events: &mut Response, heard: &mut String, wanted: &str) {
    while !heard.contains(wanted) {
        let piece = tokio::time::timeout(Duration::from_secs(15), events.chunk()).await;
        let piece = piece.unwrap_or_else(|_| panic!("nobody says {wanted:?} in {heard}"));
        heard.push_str(&String::from_utf8_lossy(&piece.expect("a piece").expect("not the end")));
    }
}

#[tokio::test]
async fn the_list_follows_the_jobs_that_write_without_being_asked() {
    let server = server().await;
    let project = contest(&server, ProjectSettings::default()).await;
    let root = server.user("Root", Role::Admin).await;
    let page = root.figures(&board(&project)).await;
    let events = page.text.split("data-live-events=\"").nth(1).and_then(|rest| rest.split('"').next());
    let events = events.expect("the stream's address").replace("&#38;", "&").replace("&amp;", "&");
    let mut stream = root.request(Method::GET, &events).send().await.expect("a stream");
    let mut heard = String::new();
    ask(&root, &board(&project), "sft-1", "ppo-1", "2").await;
    hear(&mut stream, &mut heard, "Waiting for 2 answers of sft-1 and 2 answers of ppo-1.").await;
    for _ in 0..2 {
        work(server.pool()).await;
    }
    hear(&mut stream, &mut heard, "0 of 2 labels").await;
    let newest = heard.rsplit("event: part").next().unwrap_or_default();
    assert!(!newest.contains("Waiting for"), "{newest}");
}

/// A blind test with a task.
async fn blind_test(server: &Server, project: Uuid, first: &str, second: &str) {
    let prompt = seed::prompt(server.pool(), project, &format!("{first}, {second}?")).await;
    let one = seed::response(server.pool(), prompt, "One.", first).await;
    let other = seed::response(server.pool(), prompt, "Other.", second).await;
    let mut connection = server.pool().acquire().await.expect("a connection");
    let new = NewRankingTask { project, prompt, responses: &[one, other], round: 0, priority: 0, job: None };
    let task = tasks::create_ranking_task(&mut connection, new).await.expect("a task").expect("a new task");
    let test = Uuid::now_v7();
    sqlx::query("INSERT INTO blind_tests (id, project_id, first, second, prompts) VALUES ($1, $2, $3, $4, 1)")
        .bind(test)
        .bind(project)
        .bind(first)
        .bind(second)
        .execute(&mut *connection)
        .await
        .expect("a test");
    sqlx::query("INSERT INTO blind_test_tasks (task_id, test_id) VALUES ($1, $2)")
        .bind(task)
        .bind(test)
        .execute(&mut *connection)
        .await
        .expect("its task");
}

#[tokio::test]
async fn every_blind_test_is_on_a_page_of_the_list() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    let rosa = server.user("Rosa", Role::Reviewer).await;
    for number in 1..=43 {
        blind_test(&server, project, &format!("one-{number}"), "other").await;
    }
    let mut page = rosa.figures("/admin/projects/test/leaderboard?whose=people").await;
    page.assert_contains("Tests 1 to 20 of 43, the newest first.").assert_contains("one-43 : other");
    assert!(!page.text.contains("one-23 : other") && !page.text.contains("First page"), "{}", page.text);
    for (range, newest) in [("21 to 40", "one-23"), ("41 to 43", "one-3")] {
        let next = link_with(&page.text, "rel=\"next\"");
        assert!(next.contains("whose=people") && next.ends_with("#blind-tests"), "{next}");
        page = rosa.figures(next.trim_end_matches("#blind-tests")).await;
        page.assert_contains(&format!("Tests {range} of 43")).assert_contains(&format!("{newest} : other"));
        page.assert_contains("First page");
    }
    page.assert_contains("one-1 : other");
    assert!(!page.text.contains("rel=\"next\""), "there is no other page");
}
