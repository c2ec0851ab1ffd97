//! A model that gives up in the middle of its answer: whoever waits is told in words, and half an answer is none. What the limit of
//! tokens cut is one, and known as cut.

use std::convert::Infallible;

use axum::{Json, Router, body::Body, routing::post};
use laurel::{db::tokens::TokenRole, domain::role::Role};
use serde_json::{Value, json};

use crate::{KEY, begin, endpoint, settings, support::seed::count, with_chat};

/// A model's server whose answers begin and end with this line.
async fn ending_with(last: &'static str) -> String {
    let complete = move |Json(request): Json<Value>| async move {
        let content = format!("Bees collect nectar {}", request["seed"]);
        let begun = json!({ "choices": [{ "delta": { "content": content } }] });
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
        // As a proxy ends it whose model has died.
        (": not a word more", "The connection broke off while the model wrote."),
    ] {
        let address = ending_with(last).await;
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

#[tokio::test]
async fn the_comparison_of_answers_that_the_limit_of_tokens_cut_says_so() {
    let address = ending_with(r#"data: {"choices":[{"delta":{},"finish_reason":"length"}]}"#).await;
    let (server, _) = with_chat(&address).await;
    let bea = server.user("Bea", Role::Annotator).await;
    let chat = begin(&bea, "How do bees make honey?").await;
    bea.post(&format!("{chat}/answers"), &[]).await.assert(303);
    bea.post(&format!("{chat}/choose"), &[("turn", "0"), ("best", "1")]).await.assert(303);
    let token = server.token(TokenRole::Trainer).await;
    let export = bea.request(reqwest::Method::GET, "/api/v1/projects/test/export/comparisons").bearer_auth(token);
    let export = bea.send(export).await.assert(200).text;
    let comparison: Value = serde_json::from_str(export.trim()).expect("one line");
    assert_eq!((&comparison["chosen_finished"], &comparison["rejected_finished"]), (&json!(false), &json!(false)));
}
