//! The model's answers: asked for all at once, shown as they are written, kept when all are whole.
//!
//! A person who closes the page loses nothing: the answers are kept all the same and stand there at the next look.

use std::{convert::Infallible, sync::Arc};

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
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{show, steps::Nothing};
use crate::{
    chat::{Ask, ChatFailure, End, Progress, TurnKey, Writer, complete},
    db::{
        chat_endpoints::{self, ChatEndpoint},
        chat_turns::{self, NewAnswer},
        chats::{self, Chat, Turn},
    },
    web::{AppState, Page, PageError, authorise::Annotator, csrf::CsrfForm},
};

/// Answers that are written at once; others wait. Each keeps a thread for as long as its model takes, of 512 that log-ins and files
/// need as well.
static PLACES: Semaphore = Semaphore::const_new(256);

/// `POST /chats/{chat}/answers`. While a turn's answers are being written, who asks again follows them.
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
        let nothing = tokio_stream::once(Progress::End(End::Kept));
        return Ok(if streamed { sse(page, nothing).into_response() } else { to(id) });
    };
    if !chat.may_go_on {
        return Err(PageError::ConflictAs("chat-closed"));
    }
    let Some(endpoint) = chat_endpoints::find(&state.pool, chat.project).await? else {
        return Err(PageError::ConflictAs("chat-off"));
    };
    let places = usize::try_from(endpoint.answers).unwrap_or_default();
    let (writer, progress) = state.chats.join((id, turn.number), places);
    if let Some(writer) = writer {
        // Those who wrote before may have kept theirs since the turn was looked at.
        let now = chats::find(&state.pool, user.id, id).await?.ok_or(PageError::NotFound)?;
        if now.unanswered().is_none_or(|open| open.number != turn.number) {
            writer.end(End::Kept);
        } else {
            write(state.pool.clone(), user.id, (id, turn.number), asks(&chat, turn, &endpoint), writer);
        }
    }
    if streamed {
        return Ok(sse(page, progress).into_response());
    }
    let mut progress = std::pin::pin!(progress);
    while let Some(step) = progress.next().await {
        let error = match step {
            Progress::End(End::Failed(failure)) => explain(&page, &failure),
            Progress::End(End::Lost) => page.t("chat-not-kept"),
            Progress::More(..) | Progress::End(End::Kept) => continue,
        };
        return show::draw(&state, page, chat, String::new(), Some(error)).await;
    }
    Ok(to(id))
}

fn to(chat: Uuid) -> Response {
    Redirect::to(&format!("/chats/{chat}")).into_response()
}

/// Lets the answers be written, in a task of its own that nobody's leaving ends.
fn write(pool: PgPool, user: Uuid, turn: TurnKey, asks: Vec<Ask>, writer: Writer) {
    tokio::spawn(async move {
        let writer = Arc::new(writer);
        let answers =
            try_join_all(asks.into_iter().enumerate().map(|(place, ask)| one(place, ask, writer.clone()))).await;
        let end = match answers {
            Err(failure) => End::Failed(failure),
            Ok(answers) => match chat_turns::keep_answers(&pool, user, turn, &answers).await {
                Ok(()) => End::Kept,
                Err(error) => {
                    tracing::error!(%error, chat = %turn.0, "answers of a chat could not be kept");
                    End::Lost
                }
            },
        };
        writer.end(end);
    });
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

async fn one(place: usize, ask: Ask, writer: Arc<Writer>) -> Result<NewAnswer, ChatFailure> {
    let (model, mut sampling) = (ask.model.clone(), ask.sampling());
    // Held until the thread is free again. The semaphore is never closed.
    let permit = PLACES.acquire().await;
    let writing = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        // Once another answer of the turn has failed, nobody waits for this one.
        complete(&ask, |text| writer.more(place, text))
    });
    let answer = writing.await.map_err(|_| ChatFailure::BrokenOff)??;
    if answer.is_cut {
        // What exports tell, so that nobody learns to stop there.
        sampling["finished"] = json!(false);
    }
    Ok(NewAnswer { content: answer.content, model, sampling })
}

/// Events `more` (`{"answer", "text"}`), `kept`, `failed` (`{"message"}`).
fn sse(
    page: Page,
    progress: impl Stream<Item = Progress> + Send + 'static,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = progress.map(move |step| {
        let (name, data) = match step {
            Progress::More(answer, text) => ("more", json!({ "answer": answer, "text": text })),
            Progress::End(End::Kept) => ("kept", json!({})),
            Progress::End(End::Failed(failure)) => ("failed", json!({ "message": explain(&page, &failure) })),
            Progress::End(End::Lost) => ("failed", json!({ "message": page.t("chat-not-kept") })),
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
        ChatFailure::GaveUp { words: Some(words) } => page.t1("chat-gave-up", "words", words.as_str()),
        ChatFailure::GaveUp { words: None } => page.t("chat-gave-up-silently"),
        ChatFailure::BrokenOff => page.t("chat-broken-off"),
        ChatFailure::Empty => page.t("chat-answer-empty"),
    }
}
