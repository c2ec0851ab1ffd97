//! The model's answers: asked for all at once, shown as they are written, kept when all are whole.
//!
//! A person who closes the page loses nothing: the answers are kept all the same and stand there at the next look.

use std::convert::Infallible;

use axum::{
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{
        IntoResponse, Redirect, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt, future::try_join_all};
use serde_json::json;
use sqlx::PgPool;
use tokio::sync::mpsc::{self, Sender};
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use super::{show, steps::Nothing};
use crate::{
    chat::{Ask, ChatFailure, complete},
    db::{
        chat_endpoints::{self, ChatEndpoint},
        chat_turns::{self, NewAnswer},
        chats::{self, Chat, Turn},
    },
    web::{AppState, Page, PageError, authorise::Annotator, csrf::CsrfForm},
};

/// Pieces that wait for a slow reader.
const AHEAD: usize = 256;

/// What happens while answers are written.
enum Progress {
    /// More of an answer, by its place.
    More(usize, String),
    /// All are kept.
    Kept,
    Failed(ChatFailure),
    /// They could not be kept.
    Lost,
}

/// `POST /chats/{chat}/answers`.
pub async fn post(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    page: Page,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> Result<Response, PageError> {
    let chat = chats::find(&state.pool, user.id, id).await?.ok_or(PageError::NotFound)?;
    let streamed = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.starts_with("text/event-stream"));
    let Some(turn) = chat.unanswered().filter(|_| !chat.finished) else {
        let nothing = tokio_stream::once(Progress::Kept);
        return Ok(if streamed { sse(page, nothing).into_response() } else { to(id) });
    };
    let Some(endpoint) = chat_endpoints::find(&state.pool, chat.project).await? else {
        return Err(PageError::Conflict(page.t("chat-off")));
    };
    let progress = write(state.pool.clone(), user.id, &chat, turn, &endpoint);
    if streamed {
        return Ok(sse(page, progress).into_response());
    }
    let mut progress = std::pin::pin!(progress);
    while let Some(step) = progress.next().await {
        let error = match step {
            Progress::Failed(failure) => explain(&page, &failure),
            Progress::Lost => page.t("chat-not-kept"),
            Progress::More(..) | Progress::Kept => continue,
        };
        return show::draw(&state, page, chat, String::new(), Some(error)).await;
    }
    Ok(to(id))
}

fn to(chat: Uuid) -> Response {
    Redirect::to(&format!("/chats/{chat}")).into_response()
}

/// Lets the answers be written, in a task of its own that nobody's leaving ends.
fn write(
    pool: PgPool,
    user: Uuid,
    chat: &Chat,
    turn: &Turn,
    endpoint: &ChatEndpoint,
) -> impl Stream<Item = Progress> + use<> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let asks = asks(chat, turn, endpoint);
    let chat = chat.id;
    tokio::spawn(async move {
        let answers =
            try_join_all(asks.into_iter().enumerate().map(|(place, ask)| one(place, ask, sender.clone()))).await;
        let end = match answers {
            Err(failure) => Progress::Failed(failure),
            Ok(answers) => match chat_turns::keep_answers(&pool, user, chat, &answers).await {
                Ok(()) => Progress::Kept,
                Err(error) => {
                    tracing::error!(%error, %chat, "answers of a chat could not be kept");
                    Progress::Lost
                }
            },
        };
        // Nobody may be there to be told.
        let _ = sender.send(end).await;
    });
    ReceiverStream::new(receiver)
}

/// The same question for each answer, each with a seed of its own.
fn asks(chat: &Chat, turn: &Turn, endpoint: &ChatEndpoint) -> Vec<Ask> {
    let seed = (chat.id.as_u128() >> 32) as u32 ^ turn.number.unsigned_abs();
    (0..endpoint.answers.unsigned_abs())
        .map(|place| Ask {
            base_url: endpoint.base_url.clone(),
            model: endpoint.model.clone(),
            api_key: endpoint.api_key.clone(),
            messages: turn.conversation.clone(),
            temperature: endpoint.temperature,
            max_tokens: endpoint.max_tokens,
            seed: seed.wrapping_add(place.wrapping_mul(0x9e37_79b9)) >> 1,
        })
        .collect()
}

async fn one(place: usize, ask: Ask, sender: Sender<Progress>) -> Result<NewAnswer, ChatFailure> {
    let (model, sampling) = (ask.model.clone(), ask.sampling());
    let writing = tokio::task::spawn_blocking(move || {
        complete(&ask, |text| {
            // A reader who is slow or gone does not hold up the answer: it comes whole from the server at the end.
            let _ = sender.try_send(Progress::More(place, text.to_owned()));
            true
        })
    });
    let content = writing.await.map_err(|_| ChatFailure::BrokenOff)??;
    Ok(NewAnswer { content, model, sampling })
}

/// Events `more` (`{"answer", "text"}`), `kept`, `failed` (`{"message"}`).
fn sse(
    page: Page,
    progress: impl Stream<Item = Progress> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = progress.map(move |step| {
        let (name, data) = match step {
            Progress::More(answer, text) => ("more", json!({ "answer": answer, "text": text })),
            Progress::Kept => ("kept", json!({})),
            Progress::Failed(failure) => ("failed", json!({ "message": explain(&page, &failure) })),
            Progress::Lost => ("failed", json!({ "message": page.t("chat-not-kept") })),
        };
        Ok(Event::default().event(name).data(data.to_string()))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// A failure in the reader's words; only people who run projects are told of addresses.
pub fn explain(page: &Page, failure: &ChatFailure) -> String {
    let told = page.is_lead();
    match failure {
        ChatFailure::Unreachable { address } if told => page.t1("chat-unreachable-at", "address", address.as_str()),
        ChatFailure::Unreachable { .. } => page.t("chat-unreachable"),
        ChatFailure::KeyRefused => page.t("chat-key-refused"),
        ChatFailure::Refused { status, words } => {
            page.t2("chat-refused", "status", i64::from(*status), "words", words.clone().unwrap_or_default())
        }
        ChatFailure::GaveUp { words } => page.t1("chat-gave-up", "words", words.as_str()),
        ChatFailure::BrokenOff => page.t("chat-broken-off"),
        ChatFailure::Empty => page.t("chat-answer-empty"),
    }
}
