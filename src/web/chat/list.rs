//! Where one can chat, and the conversations that one has had.

use askama::Template;
use axum::{
    extract::State,
    response::{Html, Redirect},
};
use serde::Deserialize;

use crate::{
    db::{
        chat_turns::{self, ChatError},
        chats::{self, ChatLine, ChatProject},
    },
    web::{AppState, Page, PageError, annotate::view, authorise::Annotator, csrf::CsrfForm},
};

#[derive(Template)]
#[template(path = "chat/list.html")]
struct ListPage {
    page: Page,
    projects: Vec<ChatProject>,
    recent: Vec<ChatLine>,
}

pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    page: Page,
) -> Result<Html<String>, PageError> {
    let projects = chats::projects(&state.pool, user.id).await?;
    let recent = chats::recent(&state.pool, user.id).await?;
    Ok(Html(ListPage { page, projects, recent }.render()?))
}

#[derive(Deserialize)]
pub struct Begin {
    #[serde(default)]
    slug: String,
}

/// `POST /chats`.
pub async fn post(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    CsrfForm(form): CsrfForm<Begin>,
) -> Result<Redirect, PageError> {
    Ok(match chat_turns::begin(&state.pool, user.id, &form.slug).await {
        Ok(chat) => Redirect::to(&format!("/chats/{chat}")),
        Err(ChatError::GuidelinesFirst) => Redirect::to(&format!("/projects/{}/guidelines?then=chats", form.slug)),
        Err(error) => return Err(error.into()),
    })
}
