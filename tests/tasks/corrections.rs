//! Corrections: a new version beside the old one, never counted twice, until the label is closed.

use laurel::{domain::role::Role, export::Kind};
use serde_json::json;

use super::exported;
use crate::support::{
    Reply,
    seed::{self, Seed, assignment_in, count},
    server,
};

/// The version that a correction's page names.
pub fn version(page: &Reply) -> String {
    let field = page.text.split(r#"name="version" value=""#).nth(1).expect("a version");
    field.split('"').next().expect("an id").to_owned()
}

#[tokio::test]
async fn a_ranking_is_corrected_as_a_new_version_and_exported_once() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::ranking_task(&server.state, project, "Which?", &["first", "second"]).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let task = ada.post("/queue/next", &[]).await.leads_to().to_owned();
    let correct = format!("{task}/correct");
    // Nothing is submitted yet: nothing can be corrected.
    assert_eq!(ada.get(&correct).await.leads_to(), task);
    let first = [("rank_0", "1"), ("rank_1", "2"), ("rating_1", "5"), ("flag_1_opinion", "1"), ("note", "hm")];
    ada.post(&format!("{task}/submit"), &first).await.assert(303);
    ada.get("/queue").await.assert(200).assert_contains(&format!("href=\"{task}\""));
    ada.get(&task).await.assert(200).assert_contains(&format!("href=\"{correct}\""));
    // The form has what was sent.
    let page = ada.get(&correct).await.assert(200);
    for field in [r#"name="rank_1" value="2" checked"#, r#"name="rating_1" value="5" checked"#, "hm</textarea>"] {
        page.assert_contains(field);
    }
    page.assert_contains(r#"name="flag_1_opinion" value="1" checked"#);
    let version = version(&page);
    let second = [("rank_0", "2"), ("rank_1", "1"), ("version", &version)];
    ada.post(&correct, &[("rank_0", "2"), ("version", &version)]).await.assert(422).assert_contains("has no rank yet");
    // Sent twice: one new version.
    assert_eq!(ada.post(&correct, &second).await.leads_to(), task);
    ada.post(&correct, &second).await.assert(303);
    // With other ranks from a page that is older, even with those that stood there: refused, with what was sent on the page.
    for ranks in [["1", "1"], ["1", "2"]] {
        let stale = ada.post(&correct, &[("rank_0", ranks[0]), ("rank_1", ranks[1]), ("version", &version)]).await;
        stale.assert(409).assert_contains("Another version was saved meanwhile");
    }
    let rankings = exported(&server, Kind::Rankings).await;
    assert_eq!((rankings.len(), &rankings[0]["ranks"]), (1, &json!([2, 1])));
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 2);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings WHERE replaces_id IS NOT NULL").await, 1);
    assert_eq!(count(server.pool(), "SELECT labels::bigint FROM tasks").await, 1);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM comparisons").await, 1);
    ada.get(&task).await.assert(200).assert_contains("Earlier versions");
    // Somebody else's label is nobody else's.
    let bob = server.user("Bob", Role::Admin).await;
    bob.get(&correct).await.assert(404);
    bob.post(&correct, &second).await.assert(404);
}

#[tokio::test]
async fn a_text_is_corrected_until_the_label_is_closed() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Say hello.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let assignment = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    let task = format!("/tasks/{assignment}");
    let correct = format!("{task}/correct");
    ada.post(&format!("{task}/submit"), &[("completion", "Helo")]).await.assert(303);
    let page = ada.get(&correct).await.assert(200);
    page.assert_contains("Helo</textarea>");
    ada.post(&correct, &[("completion", "Hello"), ("version", &version(&page))]).await.assert(303);
    let page = ada.get(&correct).await.assert(200);
    let standing = version(&page);
    let texts = exported(&server, Kind::Demonstrations).await;
    assert_eq!((texts.len(), &texts[0]["completion"][0]["content"]), (1, &json!("Hello")));
    ada.get(&task).await.assert_contains("Earlier versions").assert_contains("Helo");
    // Whatever closes labels says so in one place; then the link is gone and the form is refused.
    sqlx::query("CREATE OR REPLACE FUNCTION may_be_corrected(label uuid) RETURNS boolean LANGUAGE sql RETURN false")
        .execute(server.pool())
        .await
        .expect("closed");
    assert!(!ada.get(&task).await.text.contains(&correct), "the link is still there");
    assert_eq!(ada.get(&correct).await.leads_to(), task);
    ada.post(&correct, &[("completion", "Hi"), ("version", &standing)]).await.assert(409);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM demonstrations").await, 2);
}
