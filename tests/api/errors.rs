//! What wrong calls hear: JSON with a word for programs and a sentence for people, and nothing of the inside.

use laurel::db::{job_queue, projects::ProjectSettings, tokens::TokenRole};
use reqwest::Method;
use serde_json::json;

use crate::{
    Api,
    support::{
        self,
        training::{admin, ready_project},
    },
};

#[tokio::test]
async fn wrong_json_is_refused_by_field() {
    let server = support::server().await;
    let worker = Api::of(&server, TokenRole::Trainer).await;
    let claim = |body: &'static str| worker.send(worker.request(Method::POST, "jobs/claim").body(body));
    for (body, wanted) in [
        ("", "worker"),
        ("{}", "worker"),
        ("{\"worker\":1}", "worker: "),
        ("{\"worker\":\"  \"}", "worker: "),
        ("{\"worker\"", "no JSON"),
        ("nothing", "no JSON"),
        ("{\"worker\":\"a\\u0000b\"}", "NUL"),
    ] {
        let error = claim(body).await.refused(422, "invalid");
        assert!(error.message.contains(wanted), "{body}: {}", error.message);
        for inside in ["struct", "u64", "serde", "sqlx", "ClaimRequest"] {
            assert!(!error.message.contains(inside), "{body}: {}", error.message);
        }
    }
}

#[tokio::test]
async fn wrong_addresses_are_refused_in_json() {
    let server = support::server().await;
    let worker = Api::of(&server, TokenRole::Trainer).await;
    worker.get("jobs/7").await.refused(404, "not_found");
    worker.get("jobs/0198c5f0-0000-7000-8000-000000000000").await.refused(404, "not_found");
    worker.get("models/0198c5f0-0000-7000-8000-000000000000/files/config.json").await.refused(404, "not_found");
    worker.get("nothing/here").await.refused(404, "not_found");
    worker.get("jobs/claim").await.refused(405, "wrong_method");
    worker.send(worker.request(Method::DELETE, "projects")).await.refused(405, "wrong_method");
    let job = "jobs/0198c5f0-0000-7000-8000-000000000000";
    worker
        .post(&format!("{job}/heartbeat"), &json!({ "lease": server.token(TokenRole::Trainer).await }))
        .await
        .refused(422, "invalid");
    let error = worker.post(&format!("{job}/responses"), &json!({})).await.refused(422, "invalid");
    assert!(error.message.contains("lease"), "{}", error.message);
}

#[tokio::test]
async fn bodies_and_lines_have_their_limits() {
    let server = support::server().await;
    let project = ready_project(server.pool(), ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(server.pool(), &admin(), project.id).await.expect("queued");
    let worker = Api::of(&server, TokenRole::Trainer).await;
    let job = worker.claim().await;
    let report = |text: String| {
        let line = json!({ "sequence": 0, "at": "2026-11-24T02:00:00Z", "level": "info", "text": text });
        json!({ "lease": job.lease, "progress": null, "log": [line] })
    };
    let address = format!("jobs/{}/report", job.id);
    worker.post(&address, &report("x".repeat(4 << 20))).await.assert(204);
    worker.post(&address, &report("x".repeat(17 << 20))).await.refused(413, "too_large");
    let endless = worker
        .request(Method::POST, &format!("jobs/{}/responses?lease={}", job.id, job.lease))
        .body("x".repeat(5 << 20));
    worker.send(endless).await.refused(413, "too_large");
}

#[tokio::test]
async fn a_database_that_is_gone_tells_nothing_of_itself() {
    let server = support::server().await;
    let worker = Api::of(&server, TokenRole::Trainer).await;
    server.pool().close().await;
    let error = worker.get("projects").await.refused(500, "internal");
    assert!(!error.message.to_lowercase().contains("pool"), "{}", error.message);
}

#[tokio::test]
async fn a_nul_in_a_form_or_an_address_is_the_senders_mistake() {
    let server = support::server().await;
    let stranger = server.client();
    let fields = [("email", "a\0@example.org"), ("password", "a long password")];
    stranger.post("/login", &fields).await.assert(422);
    let admin = server.user("Ada", laurel::domain::role::Role::Admin).await;
    let reply = admin.get("/admin/projects/a%00b").await;
    assert!(reply.status.is_client_error(), "{}", reply.status);
    let script = Api::of(&server, TokenRole::Admin).await;
    script.get("projects/a%00b").await.refused(422, "invalid");
}
