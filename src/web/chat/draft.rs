//! `PUT /chats/{chat}/draft`: what is typed and not yet said, saved as one types.

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::show::LONGEST_MESSAGE;
use crate::{
    db::chat_drafts,
    web::{AppState, Page, PageError, authorise::Annotator, csrf::TokenInHeader},
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    /// Turns that the page shows: the draft is for the next one.
    turns: i32,
    message: String,
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
    if typed.message.chars().count() > LONGEST_MESSAGE {
        return Err(PageError::Invalid(page.t1("chat-too-long", "most", LONGEST_MESSAGE)));
    }
    let message = typed.message.replace("\r\n", "\n").replace('\0', "");
    let saved = chat_drafts::save(&state.pool, user.id, chat, typed.turns, &message).await?;
    let Some(at) = saved else { return Err(PageError::Conflict(page.t("chat-draft-late"))) };
    let milliseconds = i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or_default();
    Ok(Json(json!({ "saved_at": milliseconds })).into_response())
}
