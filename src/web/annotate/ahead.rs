//! The next task, fetched while one works on this one: its page comes ahead, and it is given back when the page is left.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use super::task::{self, Shown};
use crate::{
    db::{gold, guidelines, queue, reservations},
    web::{AppState, Page, PageError, authorise::Annotator, csrf::TokenInHeader},
};

/// `POST /tasks/{assignment}/ahead`: reserves the task that comes after this one and answers with its page; 204 where none can
/// be fetched ahead.
pub async fn post(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    _: TokenInHeader,
    page: Page,
) -> Result<Response, PageError> {
    task::find(&state.pool, user.id, assignment).await?;
    // What comes after a task of a course is its lesson.
    if gold::teaches(&state.pool, assignment).await? {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let Some(reserved) = reservations::reserve(&state.pool, user.id, assignment).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    // They are read before the task is shown, on a page of their own.
    if guidelines::unread(&state.pool, user.id, reserved).await?.is_some() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let Some(next) = queue::task(&state.pool, user.id, reserved).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    task::draw(page, next, Shown::default())
}

/// `POST /tasks/{assignment}/leave`: the page that had fetched this task ahead is left.
pub async fn leave(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    _: TokenInHeader,
) -> Result<StatusCode, PageError> {
    reservations::release(&state.pool, user.id, assignment).await?;
    Ok(StatusCode::NO_CONTENT)
}
