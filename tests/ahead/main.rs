//! The next task, fetched while one works: who has it, who gets it back, and how soon it is on the screen.

#[path = "../support/mod.rs"]
mod support;

mod screen;

use laurel::domain::role::Role;
use reqwest::Method;
use serde_json::json;
use support::{
    Client, Reply, Server,
    seed::{self, Seed, assignment_in, count},
    server,
};
use uuid::Uuid;

/// A server with this many demonstration tasks.
async fn writing(tasks: usize) -> Server {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for number in 0..tasks {
        seed::demonstration_task(&server.state, project, &format!("Write number {number}.")).await;
    }
    server
}

async fn next(client: &Client) -> String {
    client.post("/queue/next", &[]).await.leads_to().to_owned()
}

/// What the page's script asks for while one works.
async fn ahead(client: &Client, address: &str) -> Reply {
    client.json(Method::POST, &format!("/tasks/{}/ahead", assignment_in(address)), &json!({})).await
}

/// The assignment of the page that came ahead.
fn assignment_of(page: &Reply) -> Uuid {
    let rest = page.text.split_once(r#"data-assignment=""#).expect("a task page").1;
    rest[..36].parse().expect("an assignment")
}

#[tokio::test]
async fn the_page_that_came_ahead_is_the_task_that_comes_and_its_lease_starts_when_it_is_shown() {
    let server = writing(2).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let first = next(&ada).await;
    let page = ahead(&ada, &first).await.assert(200);
    page.assert_contains("Write number 1.");
    let second = assignment_of(&page);
    assert_eq!(assignment_of(&ahead(&ada, &first).await), second, "asked twice, two tasks");
    // Nobody holds it yet, and nothing can be done with it.
    assert_eq!(count(server.pool(), "SELECT count(*) FROM assignments").await, 1);
    ada.get(&format!("/tasks/{second}")).await.assert(404);
    ada.post(&format!("/tasks/{second}/submit"), &[("completion", "early")]).await.assert(404);
    ada.json(Method::PUT, &format!("/tasks/{second}/draft"), &json!({ "completion": "early" })).await.assert(404);
    let then = ada.post(&format!("/tasks/{}/submit", assignment_in(&first)), &[("completion", "One.")]).await;
    assert_eq!(assignment_in(then.leads_to()), second);
    let whole =
        "SELECT count(*) FROM assignments WHERE state = 'leased' AND lease_until > now() + interval '59 minutes'";
    assert_eq!(count(server.pool(), whole).await, 1);
    assert_eq!(ahead(&ada, then.leads_to()).await.status, 204, "there is no third task");
}

#[tokio::test]
async fn a_ranking_stands_in_the_order_in_which_it_came_ahead() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    for number in 0..2 {
        seed::ranking_task(&server.state, project, &format!("Rank {number}."), &["a", "b", "c", "d", "e", "f"]).await;
    }
    let ada = server.user("Ada", Role::Annotator).await;
    let first = next(&ada).await;
    let order = |page: &Reply| -> Vec<String> {
        page.text.split(r#"<article class="answer" data-position=""#).skip(1).map(|card| card[..1].to_owned()).collect()
    };
    let came = order(&ahead(&ada, &first).await.assert(200));
    assert_eq!(came.len(), 6);
    let ranks = [("rank_0", "1"), ("rank_1", "2"), ("rank_2", "3"), ("rank_3", "4"), ("rank_4", "5"), ("rank_5", "6")];
    let then = ada.post(&format!("/tasks/{}/submit", assignment_in(&first)), &ranks).await;
    assert_eq!(order(&ada.get(then.leads_to()).await.assert(200)), came);
}

#[tokio::test]
async fn two_people_and_one_place_whoever_asks_for_it_first_gets_it() {
    let server = writing(2).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let cy = server.user("Cy", Role::Annotator).await;
    let hers = next(&ada).await;
    ahead(&ada, &hers).await.assert(200);
    // Bob is there now, and she is not: nothing that she has not seen is kept from him.
    let his = next(&bob).await;
    assert!(his.starts_with("/tasks/"), "{his}");
    assert!(!next(&cy).await.starts_with("/tasks/"), "one place was given twice");
    let then = ada.post(&format!("/tasks/{}/submit", assignment_in(&hers)), &[("completion", "One.")]).await;
    assert!(then.leads_to().starts_with("/queue"), "{then:?}");
    bob.post(&format!("/tasks/{}/submit", assignment_in(&his)), &[("completion", "Two.")]).await.assert(303);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstrations WHERE NOT extra_opinion").await, 2);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM reservations").await, 0);
}

#[tokio::test]
async fn others_are_given_something_else_while_there_is_something_else() {
    let server = writing(4).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let hers = next(&ada).await;
    let reserved = assignment_of(&ahead(&ada, &hers).await.assert(200));
    let his = next(&bob).await;
    ahead(&bob, &his).await.assert(200).assert_contains("Write number 3.");
    let then = ada.post(&format!("/tasks/{}/submit", assignment_in(&hers)), &[("completion", "One.")]).await;
    assert_eq!(assignment_in(then.leads_to()), reserved);
}

#[tokio::test]
async fn leaving_or_stopping_gives_it_back_at_once() {
    let server = writing(3).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let bob = server.user("Bob", Role::Annotator).await;
    let hers = next(&ada).await;
    let reserved = assignment_of(&ahead(&ada, &hers).await.assert(200));
    let leave = format!("/tasks/{reserved}/leave");
    // Only by its holder.
    bob.json(Method::POST, &leave, &json!({})).await.assert(204);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM reservations").await, 1);
    ada.json(Method::POST, &leave, &json!({})).await.assert(204);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM reservations").await, 0);
    bob.get(&next(&bob).await).await.assert(200).assert_contains("Write number 1.");
    // “Submit and stop” keeps nothing either.
    ahead(&ada, &hers).await.assert(200).assert_contains("Write number 2.");
    let form = [("completion", "One."), ("then", "queue")];
    ada.post(&format!("/tasks/{}/submit", assignment_in(&hers)), &form).await.assert(303);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM reservations").await, 0);
}
