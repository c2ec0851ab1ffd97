//! Where one can chat, and the conversations that one has had.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{Html, Redirect},
};
use serde::Deserialize;
use uuid::Uuid;

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
    /// Whether these are not the newest.
    earlier: bool,
    /// The conversation before which there are more.
    older: Option<Uuid>,
}

#[derive(Deserialize)]
pub struct Arrival {
    /// Show the conversations that were begun before this one.
    #[serde(default)]
    before: Option<Uuid>,
}

/// Conversations a page of the list.
const LISTED: usize = 30;

pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Query(arrival): Query<Arrival>,
    page: Page,
) -> Result<Html<String>, PageError> {
    let projects = chats::projects(&state.pool, user.id).await?;
    // One more than is shown says whether there are older ones.
    let most = i64::try_from(LISTED).unwrap_or(i64::MAX).saturating_add(1);
    let mut recent = chats::recent(&state.pool, user.id, arrival.before, most).await?;
    let more = recent.len() > LISTED;
    recent.truncate(LISTED);
    let older = recent.last().filter(|_| more).map(|last| last.id);
    let list = ListPage { page, projects, recent, earlier: arrival.before.is_some(), older };
    Ok(Html(list.render()?))
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
