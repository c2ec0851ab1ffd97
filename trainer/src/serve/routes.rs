//! `GET /healthz`, `GET /v1/models`, `POST /v1/chat/completions`, `POST /v1/completions`.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Json, Router,
    extract::{Path, Request, State, rejection::PathRejection},
    http::{Method, Uri, header::AUTHORIZATION},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::{
    Served, Wanted, chat, completions,
    error::ApiError,
    form::{Letter, Usage},
    stream,
    transcript::Piece,
    writer::Answering,
};

type Shared = State<Arc<Served>>;

/// Everything that is served.
pub fn router(served: Arc<Served>) -> Router {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/models/{*name}", get(model))
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/completions", post(text_completions))
        .layer(middleware::from_fn_with_state(served.clone(), check_key))
        // Open to whoever watches over the process.
        .route("/healthz", get(healthz))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .with_state(served)
}

async fn check_key(State(served): Shared, request: Request, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let is_allowed = served.is_allowed(header.and_then(key_in));
    if is_allowed { next.run(request).await } else { ApiError::wrong_key().into_response() }
}

/// The key in a header; the word before it may be written in any way (RFC 9110, section 11.1).
fn key_in(header: &str) -> Option<&str> {
    let (scheme, key) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

async fn no_such_path(method: Method, uri: Uri) -> ApiError {
    ApiError::no_such_path(method.as_str(), uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::wrong_method(method.as_str(), uri.path())
}

/// Answers once the model is loaded.
async fn healthz(State(served): Shared) -> Json<Value> {
    let counts = served.writer.counts();
    Json(json!({
        "status": "ok",
        "model": served.name,
        "running": counts.running.load(Ordering::Relaxed),
        "waiting": counts.waiting.load(Ordering::Relaxed),
    }))
}

async fn models(State(served): Shared) -> Json<Value> {
    Json(json!({"object": "list", "data": [described(&served)]}))
}

async fn model(
    State(served): Shared,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<Value>, ApiError> {
    // No name is no UTF-8.
    let name = name.map_or_else(|_| uri.path().to_owned(), |Path(name)| name);
    if name == served.name { Ok(Json(described(&served))) } else { Err(ApiError::no_such_model(&name, &served.name)) }
}

fn described(served: &Served) -> Value {
    json!({
        "id": served.name,
        "object": "model",
        "created": served.created,
        "owned_by": "laurel",
        // Beside OpenAI's fields.
        "max_model_len": served.context,
    })
}

async fn chat_completions(State(served): Shared, request: Request) -> Result<Response, ApiError> {
    answer(served, request, chat::read).await
}

async fn text_completions(State(served): Shared, request: Request) -> Result<Response, ApiError> {
    answer(served, request, completions::read).await
}

async fn answer(
    served: Arc<Served>,
    request: Request,
    read: fn(&[u8], &Served) -> Result<Wanted, ApiError>,
) -> Result<Response, ApiError> {
    let body = body(request, &served).await?;
    let reader = served.clone();
    // A long text takes a while to become tokens; other connections go on meanwhile.
    let wanted = tokio::task::spawn_blocking(move || read(&body, &reader)).await;
    let mut wanted = wanted.map_err(|_| ApiError::broken())??;
    let prompt = wanted.prompts.iter().map(Vec::len).sum();
    let answers = wanted.prompts.len() * wanted.asked.answers;
    let answering = served.ask(&mut wanted)?;
    if wanted.asked.stream {
        return Ok(stream::respond(served, wanted, answering, answers, prompt));
    }
    whole(&served, &wanted, answering, answers, prompt).await
}

/// Of a body that is too long, so many times the limit are read, and forgotten: a client that is still writing when the
/// connection closes would see a broken pipe in place of the answer.
const READ_ON: usize = 8;

async fn body(request: Request, served: &Served) -> Result<Vec<u8>, ApiError> {
    let limit = served.limits.body;
    let read = async {
        let mut parts = request.into_body().into_data_stream();
        let (mut kept, mut arrived) = (vec![], 0);
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| ApiError::malformed("the request's body broke off"))?;
            arrived += part.len();
            if arrived <= limit {
                kept.extend_from_slice(&part);
            } else if arrived > READ_ON * limit {
                break;
            }
        }
        if arrived > limit { Err(ApiError::too_large(limit)) } else { Ok(kept) }
    };
    tokio::time::timeout(served.limits.patience, read).await.map_err(|_| ApiError::too_slow())?
}

/// Waits for everything.
async fn whole(
    served: &Served,
    wanted: &Wanted,
    mut answering: Answering,
    answers: usize,
    prompt: usize,
) -> Result<Response, ApiError> {
    let letter = Letter::new(served, wanted.form, &wanted.asked);
    let mut pieces = vec![Piece::default(); answers];
    let mut usage = Usage { prompt, completion: 0 };
    while let Some(told) = answering.next().await? {
        usage.completion += told.tokens;
        let piece = &mut pieces[told.answer];
        piece.text += &told.piece.text;
        piece.noted.extend(told.piece.noted);
        piece.finish = told.piece.finish;
    }
    Ok(Json(letter.whole(&pieces, usage)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_after_the_word_bearer_however_that_is_written() {
        for header in ["Bearer sesame", "bearer sesame", "BEARER  sesame "] {
            assert_eq!(key_in(header), Some("sesame"), "{header}");
        }
        assert_eq!((key_in("sesame"), key_in("Basic sesame"), key_in("Bearersesame")), (None, None, None));
    }
}
