//! The person's steps in a conversation: saying something, choosing an answer, ending it.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::show::{self, LONGEST_MESSAGE};
use crate::{
    db::{
        chat_drafts, chat_endpoints,
        chat_turns::{self, ChatError},
        chats,
    },
    domain::conversation::PromptError,
    web::{AppState, Page, PageError, authorise::Annotator, csrf::CsrfForm},
};

/// Logging in again after a form was sent with an ended session leads here.
pub async fn back(Path(chat): Path<Uuid>) -> Redirect {
    to(chat)
}

fn to(chat: Uuid) -> Redirect {
    Redirect::to(&format!("/chats/{chat}"))
}

#[derive(Deserialize)]
pub struct Message {
    #[serde(default)]
    message: String,
}

/// `POST /chats/{chat}/say`.
pub async fn say(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    page: Page,
    CsrfForm(form): CsrfForm<Message>,
) -> Result<Response, PageError> {
    let chat = chats::find(&state.pool, user.id, id).await?.ok_or(PageError::NotFound)?;
    let message = form.message.replace("\r\n", "\n").replace('\0', "");
    if message.chars().count() > LONGEST_MESSAGE {
        let error = page.t1("chat-too-long", "most", LONGEST_MESSAGE);
        return show::draw(&state, page, chat, message, Some(error)).await;
    }
    let endpoint = chat_endpoints::find(&state.pool, chat.project).await?;
    let Some(endpoint) = endpoint else {
        let error = page.t("chat-off");
        return show::draw(&state, page, chat, message, Some(error)).await;
    };
    match chat_turns::say(&state.pool, user.id, id, &endpoint.system_prompt, message.trim()).await {
        Ok(true) => Ok(to(id).into_response()),
        Err(ChatError::GuidelinesFirst) => {
            // What was typed waits on the page that reading them leads back to.
            let turn = i32::try_from(chat.turns.len()).unwrap_or(i32::MAX);
            chat_drafts::save(&state.pool, user.id, id, turn, &message).await?;
            Ok(Redirect::to(&format!("/projects/{}/guidelines?then=chat-{id}", chat.project_slug)).into_response())
        }
        Err(ChatError::CourseFirst) => {
            let error = page.t("chat-course-first");
            show::draw(&state, page, chat, message, Some(error)).await
        }
        Err(ChatError::Closed) => {
            let error = page.t("chat-closed");
            show::draw(&state, page, chat, message, Some(error)).await
        }
        Err(ChatError::Prompt(PromptError::Silent { .. })) => {
            let error = page.t("chat-empty");
            show::draw(&state, page, chat, message, Some(error)).await
        }
        // An old tab: the page shows how far the conversation is, and gives the message back when it is its time.
        Ok(false) | Err(ChatError::ChoiceFirst | ChatError::Finished) => {
            chat_drafts::keep_unsaid(&state.pool, id, &message).await?;
            Ok(to(id).into_response())
        }
        Err(error) => Err(error.into()),
    }
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
    page: Page,
    CsrfForm(form): CsrfForm<Best>,
) -> Result<Response, PageError> {
    let seconds = form.seconds.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0);
    let Some(best) = form.best else {
        let chat = chats::find(&state.pool, user.id, id).await?.ok_or(PageError::NotFound)?;
        let error = page.t("chat-choose-one");
        return show::draw(&state, page, chat, String::new(), Some(error)).await;
    };
    let choice = chat_turns::Choice { turn: form.turn, position: best, seconds };
    chat_turns::choose(&state.pool, user.id, id, choice).await?;
    Ok(to(id).into_response())
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
