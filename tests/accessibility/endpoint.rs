//! A model's server for the states between a message and the choice: it begins its answers and never ends them, and refuses some.

use std::convert::Infallible;

use axum::{
    Json, Router,
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

/// A message that it refuses to answer.
pub const REFUSED: &str = "How do bees make wax?";

/// Starts it and gives its address.
pub async fn start() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let app = Router::new().route("/v1/chat/completions", post(complete));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn complete(Json(request): Json<Value>) -> Response {
    if request["messages"].to_string().contains(REFUSED) {
        let error = json!({ "error": { "message": "The model is still being loaded" } });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(error)).into_response();
    }
    let begun = json!({ "choices": [{ "delta": { "content": "Bees collect nectar from flowers" } }] });
    let line: Result<String, Infallible> = Ok(format!("data: {begun}\n\n"));
    let body = Body::from_stream(stream::iter([line]).chain(stream::pending()));
    ([("content-type", "text/event-stream")], body).into_response()
}
