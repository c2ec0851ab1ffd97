//! What a task page does while one works: saving the draft, renewing the lease, previewing.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, State, rejection::JsonRejection},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    forms::{Fields, LONGEST_COMPLETION},
    submit::wants_json,
    task,
};
use crate::{
    db::{assignments, drafts},
    web::{
        AppState, Page, PageError,
        authorise::Annotator,
        csrf::{self, CsrfForm},
        markdown,
        session::Visitor,
    },
};

/// `PUT /tasks/{assignment}/draft`: the fields of the form as a JSON object.
pub async fn put(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    visitor: Visitor,
    headers: HeaderMap,
    page: Page,
    body: Result<Json<BTreeMap<String, String>>, JsonRejection>,
) -> Result<Response, PageError> {
    csrf::check(&visitor, &csrf::header_token(&headers).unwrap_or_default())?;
    let Json(sent) = body.map_err(|error| match error {
        JsonRejection::BytesRejection(_) => PageError::TooLarge,
        _ => PageError::Invalid(page.t("annotate-error-draft")),
    })?;
    let fields: Fields = sent.into_iter().collect();
    save(&state, user.id, assignment, &fields, &page).await?.map_or_else(
        || Err(PageError::Conflict(page.t("annotate-error-submitted"))),
        |saved_at| Ok(Json(json!({ "saved_at": saved_at })).into_response()),
    )
}

/// Milliseconds since 1970 at which it was saved; `None` where the task is submitted.
async fn save(
    state: &AppState,
    user: Uuid,
    assignment: Uuid,
    fields: &Fields,
    page: &Page,
) -> Result<Option<i64>, PageError> {
    let draft = fields.draft();
    if draft.values().any(|value| value.chars().count() > LONGEST_COMPLETION) {
        return Err(PageError::Invalid(page.t1("annotate-error-too-long", "longest", LONGEST_COMPLETION)));
    }
    let saved_at = drafts::save(&state.pool, user, assignment, &draft).await?;
    Ok(saved_at.and_then(|at| i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()))
}

/// `POST /tasks/{assignment}/heartbeat`.
pub async fn heartbeat(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    visitor: Visitor,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    csrf::check(&visitor, &csrf::header_token(&headers).unwrap_or_default())?;
    let lease = assignments::renew(&state.pool, user.id, assignment).await?;
    Ok(Json(json!({ "lease": lease })).into_response())
}

/// `POST /tasks/{assignment}/preview`: the text as it will look.
pub async fn preview(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    headers: HeaderMap,
    page: Page,
    CsrfForm(sent): CsrfForm<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let fields: Fields = sent.into_iter().collect();
    let task = task::find(&state.pool, user.id, assignment).await?;
    if wants_json(&headers) {
        return Ok(Json(json!({ "html": markdown::render(fields.get("completion")) })).into_response());
    }
    save(&state, user.id, task.assignment, &fields, &page).await?;
    Ok(Redirect::to(&format!("/tasks/{assignment}?preview=1#preview")).into_response())
}
