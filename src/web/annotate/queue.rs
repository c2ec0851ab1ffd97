//! The queue: what waits by project, the button for the next task, what is begun and what was done.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{Html, Redirect},
};
use serde::Deserialize;

use super::{task, view};
use crate::{
    db::{
        assignments, chats,
        queue::{self, Finished, ProjectQueue, Work},
    },
    web::{AppState, Page, PageError, authorise::Annotator, csrf::CsrfForm},
};

#[derive(Template)]
#[template(path = "annotate/queue.html")]
struct QueuePage {
    page: Page,
    projects: Vec<ProjectQueue>,
    begun: Vec<Work>,
    /// What was submitted last.
    recent: Vec<Work>,
    /// Whether these are not the newest.
    earlier: bool,
    /// The work before which there is more.
    older: Option<uuid::Uuid>,
    skipped: Vec<Work>,
    waiting: i64,
    after: Option<view::After>,
    /// There is a model to talk with.
    chats: bool,
    /// The next task was asked for and there was none.
    empty: bool,
}

#[derive(Deserialize)]
pub struct Arrival {
    #[serde(default)]
    after: Option<uuid::Uuid>,
    #[serde(default)]
    empty: Option<u8>,
    /// Show what was submitted before this one.
    #[serde(default)]
    before: Option<uuid::Uuid>,
}

/// Labels a page of the list of one's own.
const LISTED: usize = 10;

pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Query(arrival): Query<Arrival>,
    page: Page,
) -> Result<Html<String>, PageError> {
    let projects = queue::projects(&state.pool, user.id).await?;
    // One more than is shown says whether there are older ones.
    let most = i64::try_from(LISTED).unwrap_or(i64::MAX);
    let mut recent = queue::finished(&state.pool, user.id, Finished::Submitted, arrival.before, most + 1).await?;
    let more = recent.len() > LISTED;
    recent.truncate(LISTED);
    let queue = QueuePage {
        waiting: projects.iter().map(ProjectQueue::waiting).sum(),
        projects,
        begun: queue::begun(&state.pool, user.id).await?,
        earlier: arrival.before.is_some(),
        older: recent.last().filter(|_| more).map(|last| last.id),
        recent,
        skipped: queue::finished(&state.pool, user.id, Finished::Skipped, None, most).await?,
        after: task::after(&state.pool, user.id, arrival.after).await?,
        chats: !chats::projects(&state.pool, user.id).await?.is_empty(),
        empty: arrival.empty.is_some(),
        page,
    };
    Ok(Html(queue.render()?))
}

#[derive(Deserialize)]
pub struct Nothing {}

/// `POST /queue/next`.
pub async fn next(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    CsrfForm(Nothing {}): CsrfForm<Nothing>,
) -> Result<Redirect, PageError> {
    let address = match assignments::lease_next(&state.pool, user.id).await? {
        Some(assignment) => format!("/tasks/{assignment}"),
        None => "/queue?empty=1".to_owned(),
    };
    Ok(Redirect::to(&address))
}

/// Where logging in again leads after the button was pressed with an ended session.
pub async fn back() -> Redirect {
    Redirect::to("/queue")
}
