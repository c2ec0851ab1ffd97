//! `PUT /chats/{chat}/draft`: what is typed and not yet said, saved as one types; or which answer of an earlier turn is about to be
//! chosen in the place of another.

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
        chat_corrections::{self, Begun},
        chat_drafts,
        chat_turns::Choice,
    },
    web::{AppState, Page, PageError, authorise::Annotator, csrf::TokenInHeader},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    /// Turns that the page shows: the draft is for the next one.
    turns: i32,
    message: String,
    /// A correction, in the place of a message.
    choice: Option<Correction>,
}

/// A choice that is being corrected.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Correction {
    turn: i32,
    /// The choice that stood on the page.
    version: Uuid,
    /// Position of the answer that is marked now.
    best: i32,
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
    if let Some(Correction { turn, version, best }) = typed.choice {
        let choice = Choice { turn, position: best, seconds: None };
        return match chat_corrections::begin(&state.pool, user.id, chat, version, choice).await? {
            Begun::Kept(at) => Ok(saved(Some(at))),
            Begun::Unchanged => Ok(saved(None)),
            Begun::Late => Err(PageError::ConflictAs("chat-choice-replaced")),
        };
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

/// When it was saved, in milliseconds since 1970; 0 where there was nothing to keep.
fn saved(at: Option<OffsetDateTime>) -> Response {
    let milliseconds = at.map_or(0, |at| at.unix_timestamp_nanos() / 1_000_000);
    Json(json!({ "saved_at": i64::try_from(milliseconds).unwrap_or_default() })).into_response()
}
