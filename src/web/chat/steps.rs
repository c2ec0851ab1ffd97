//! The person's steps in a conversation: saying something, choosing an answer, ending it.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::show::{self, LONGEST_MESSAGE};
use crate::{
    db::{
        chat_choices::{self, Choice},
        chat_drafts, chat_endpoints,
        chat_turns::{self, ChatError},
        chats::{self, Chat},
    },
    domain::conversation::PromptError,
    web::{
        AppState, Page, PageError,
        annotate::{forms::measured_seconds, wants_json},
        authorise::Annotator,
        csrf::CsrfForm,
    },
};

/// Logging in again after a form was sent with an ended session leads here.
pub async fn back(Path(chat): Path<Uuid>) -> Redirect {
    Redirect::to(&address(chat))
}

fn address(chat: Uuid) -> String {
    format!("/chats/{chat}")
}

/// Leads to a page of ours; a script is told of it and goes there itself.
pub fn onward(headers: &HeaderMap, next: &str) -> Response {
    if wants_json(headers) { Json(json!({ "next": next })).into_response() } else { Redirect::to(next).into_response() }
}

/// The conversation with what could not be said, and why; for a script, which has it on its page, the words alone.
async fn explained(
    state: &AppState,
    headers: &HeaderMap,
    page: Page,
    chat: Chat,
    message: String,
    error: String,
) -> Result<Response, PageError> {
    if wants_json(headers) {
        return Err(PageError::Invalid(error));
    }
    show::draw(state, page, chat, message, Some(error)).await
}

#[derive(Deserialize)]
pub struct Message {
    #[serde(default)]
    message: String,
    /// The number of the turn that it begins; our page has it.
    turn: Option<i32>,
    /// When the draft was saved that the page had of it, in milliseconds since 1970.
    base: Option<i64>,
}

/// `POST /chats/{chat}/say`.
pub async fn say(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    page: Page,
    CsrfForm(form): CsrfForm<Message>,
) -> Result<Response, PageError> {
    let chat = chats::find(&state.pool, user.id, id).await?.ok_or(PageError::NotFound)?;
    let message = form.message.replace("\r\n", "\n").replace('\0', "");
    if message.chars().count() > LONGEST_MESSAGE {
        let error = page.t1("chat-too-long", "most", LONGEST_MESSAGE);
        return explained(&state, &headers, page, chat, message, error).await;
    }
    let endpoint = chat_endpoints::find(&state.pool, chat.project).await?;
    let Some(endpoint) = endpoint else {
        let error = page.t("chat-off");
        return explained(&state, &headers, page, chat, message, error).await;
    };
    if let Some(had) = form.turn.zip(form.base).filter(|_| !message.trim().is_empty()) {
        chat_drafts::become_said(&state.pool, user.id, id, had, &message).await?;
    }
    let error =
        match chat_turns::say(&state.pool, user.id, id, &endpoint.system_prompt, form.turn, message.trim()).await {
            Ok(true) => return Ok(onward(&headers, &address(id))),
            Err(ChatError::GuidelinesFirst) => {
                // What was typed waits on the page that reading them leads back to. A blank message takes no draft's place.
                if !message.trim().is_empty() {
                    let turn = i32::try_from(chat.turns.len()).unwrap_or(i32::MAX);
                    chat_drafts::save(&state.pool, user.id, id, turn, &message).await?;
                }
                let guidelines = format!("/projects/{}/guidelines?then=chat-{id}", chat.project_slug);
                return Ok(onward(&headers, &guidelines));
            }
            // An old tab: the page shows how far the conversation is, and gives the message back when it is its time.
            Ok(false) | Err(ChatError::ChoiceFirst | ChatError::Finished) => {
                chat_drafts::keep_unsaid(&state.pool, id, &message).await?;
                return Ok(onward(&headers, &address(id)));
            }
            Err(ChatError::CourseFirst) => "chat-course-first",
            Err(ChatError::Closed) => "chat-closed",
            Err(ChatError::Prompt(PromptError::Silent { .. })) => "chat-empty",
            Err(error) => return Err(error.into()),
        };
    let error = page.t(error);
    explained(&state, &headers, page, chat, message, error).await
}

#[derive(Deserialize)]
pub struct Best {
    turn: i32,
    best: Option<i32>,
    #[serde(default)]
    seconds: String,
}

/// `POST /chats/{chat}/choose`.
pub async fn choose(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    headers: HeaderMap,
    page: Page,
    CsrfForm(form): CsrfForm<Best>,
) -> Result<Response, PageError> {
    let Some(best) = form.best else {
        let chat = chats::find(&state.pool, user.id, id).await?.ok_or(PageError::NotFound)?;
        let error = page.t("chat-choose-one");
        return explained(&state, &headers, page, chat, String::new(), error).await;
    };
    let choice = Choice { turn: form.turn, position: best, seconds: measured_seconds(&form.seconds) };
    if chat_choices::choose(&state.pool, user.id, id, choice).await? {
        return Ok(onward(&headers, &address(id)));
    }
    // Another answer was chosen before, from another tab or with an answer of ours that was lost: it can be corrected there.
    Ok(onward(&headers, &format!("/chats/{id}/turns/{}?other={best}", form.turn)))
}

#[derive(Deserialize)]
pub struct Nothing {}

/// `POST /chats/{chat}/finish`.
pub async fn finish(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> Result<Redirect, PageError> {
    chat_turns::finish(&state.pool, user.id, id).await?;
    Ok(Redirect::to("/chats"))
}
