//! `PUT /chats/{chat}/draft`: what is typed and not yet said, saved as one types; or which answer of a turn is marked and not yet
//! confirmed, as its first choice or in the place of another.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use uuid::Uuid;

use super::show::LONGEST_MESSAGE;
use crate::{
    db::{
        chat_choice_drafts::{self, Marked},
        chat_choices::Choice,
        chat_drafts,
    },
    web::{AppState, Page, PageError, authorise::Annotator, csrf::TokenInHeader},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    /// Turns that the page shows: the draft is for the next one.
    turns: i32,
    message: String,
    /// A choice, in the place of a message.
    choice: Option<Mark>,
}

/// A choice that is marked.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Mark {
    turn: i32,
    /// The choice that stood on the page; none where it would be the first one.
    version: Option<Uuid>,
    /// Position of the answer that is marked now.
    best: i32,
    /// Seconds of work on it so far.
    seconds: Option<f64>,
}

pub async fn put(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(chat): Path<Uuid>,
    _: TokenInHeader,
    page: Page,
    body: Result<Json<Typed>, JsonRejection>,
) -> Result<Response, PageError> {
    let Json(typed) = body.map_err(|error| match error {
        JsonRejection::BytesRejection(_) => PageError::TooLarge,
        _ => PageError::Invalid(page.t("annotate-error-draft")),
    })?;
    if let Some(mark) = typed.choice {
        return keep_mark(&state, user.id, chat, mark).await;
    }
    if typed.message.chars().count() > LONGEST_MESSAGE {
        return Err(PageError::Invalid(page.t1("chat-too-long", "most", LONGEST_MESSAGE)));
    }
    let message = typed.message.replace("\r\n", "\n").replace('\0', "");
    let at = chat_drafts::save(&state.pool, user.id, chat, typed.turns, &message).await?;
    if at.is_none() {
        return Err(PageError::Conflict(page.t("chat-draft-late")));
    }
    Ok(saved(at))
}

async fn keep_mark(state: &AppState, user: Uuid, chat: Uuid, mark: Mark) -> Result<Response, PageError> {
    // However many they are: what is believed of them is for the choice to say.
    let seconds = mark.seconds.filter(|seconds| *seconds >= 0.0);
    let choice = Choice { turn: mark.turn, position: mark.best, seconds };
    match chat_choice_drafts::save(&state.pool, user, chat, mark.version, choice).await? {
        Marked::Kept(at) => Ok(saved(Some(at))),
        Marked::Unchanged => Ok(saved(None)),
        Marked::Late => Err(PageError::ConflictAs("chat-choice-replaced")),
    }
}

/// When it was saved, in milliseconds since 1970; 0 where there was nothing to keep.
fn saved(at: Option<OffsetDateTime>) -> Response {
    let milliseconds = at.map_or(0, |at| at.unix_timestamp_nanos() / 1_000_000);
    Json(json!({ "saved_at": i64::try_from(milliseconds).unwrap_or_default() })).into_response()
}
