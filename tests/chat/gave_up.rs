//! A model that gives up in the middle of its answer: whoever waits is told in words, and half an answer is none.

use std::convert::Infallible;

use axum::{Json, Router, body::Body, routing::post};
use laurel::domain::role::Role;
use serde_json::{Value, json};

use crate::{KEY, begin, endpoint, settings, support::seed::count, with_chat};

/// A model's server whose answers begin and end with this line.
async fn giving_up(last: &'static str) -> String {
    let complete = move |Json(_): Json<Value>| async move {
        let begun = json!({ "choices": [{ "delta": { "content": "Bees collect nectar" } }] });
        let lines: [Result<String, Infallible>; 2] = [Ok(format!("data: {begun}\n\n")), Ok(format!("{last}\n\n"))];
        ([("content-type", "text/event-stream")], Body::from_stream(futures_util::stream::iter(lines)))
    };
    let app = Router::new().route("/v1/chat/completions", post(complete));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}/v1", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn whoever_waits_for_a_model_that_gives_up_is_told_and_half_an_answer_is_none() {
    let (address, _) = endpoint().await;
    let (server, ada) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "How do bees make honey?").await;
    for (last, told) in [
        (r#"data: {"error":{"message":null}}"#, "The model gave up and did not say why."),
        (r#"data: {"error":{}}"#, "The model gave up and did not say why."),
        (r#"data: {"error":{"type":"overloaded_error"}}"#, "The model gave up: overloaded_error"),
        (r#"data: {"error":"out of memory"}"#, "The model gave up: out of memory"),
        (
            r#"data: {"choices":[{"error":{"code":502,"message":"cut off"},"finish_reason":"error"}]}"#,
            "The model gave up: cut off",
        ),
        (r#"data: {"error":"the quota of sesame is used up"}"#, "The model gave up: the quota of … is used up"),
    ] {
        let address = giving_up(last).await;
        ada.post("/admin/projects/test/chat", &settings(&address, KEY, "save")).await.assert(303);
        bea.post(&format!("{chat}/answers"), &[]).await.assert(422).assert_contains(told);
        assert_eq!(count(server.pool(), "SELECT count(*) FROM chat_answers").await, 0, "{last}");
    }
    // It comes back: nothing that was said is lost.
    ada.post("/admin/projects/test/chat", &settings(&address, KEY, "save")).await.assert(303);
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    let page = bea.get(&chat).await.assert(200);
    page.assert_contains("How do bees make honey?").assert_contains("Which answer is better?");
}
