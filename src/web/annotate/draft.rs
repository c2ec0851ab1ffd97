//! What a task page does while one works: saving the draft, renewing the lease, previewing.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    forms::{Fields, LONGEST_COMPLETION},
    standing,
    submit::wants_json,
    task,
};
use crate::{
    db::{
        assignments,
        drafts::{self, Saved, Typed},
        queue::Task,
        reservations,
    },
    web::{
        AppState, Page, PageError,
        authorise::Annotator,
        csrf::{CsrfForm, TokenInHeader},
        markdown,
    },
};

/// `PUT /tasks/{assignment}/draft`: the fields of the form as a JSON object; without any, the draft goes. With `?base=` it answers
/// with what was written elsewhere meanwhile, if that is something else: its name, `displaced_at`, is among `beside`, the names of all
/// that waits beside the draft, or else it stands as the draft itself. With `?settled=` some of these wait no more. Once the task is
/// submitted, 409 with whether that is something else. With `?version=` it is a correction of that version; once another one stands,
/// 409 with which.
pub async fn put(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    Query(had): Query<Had>,
    _: TokenInHeader,
    page: Page,
    body: Result<Json<BTreeMap<String, String>>, JsonRejection>,
) -> Result<Response, PageError> {
    let Json(sent) = body.map_err(|error| match error {
        JsonRejection::BytesRejection(_) => PageError::TooLarge,
        _ => PageError::Invalid(page.t("annotate-error-draft")),
    })?;
    let fields: Fields = sent.into_iter().collect();
    let saved = save(&state, user.id, assignment, &fields, &page, &had).await?;
    let Some(saved) = saved else {
        let task = task::find(&state.pool, user.id, assignment).await?;
        let told = if had.version.is_some() {
            standing::told_replaced(&state.pool, user.id, &page, &task).await?
        } else {
            let differs = !standing::holds(&state.pool, user.id, &task, &fields, None).await?;
            standing::told(&state.pool, user.id, &page, &task, differs).await?
        };
        return Ok((StatusCode::CONFLICT, Json(told)).into_response());
    };
    let milliseconds = saved.at.map_or(0, |at| at.unix_timestamp_nanos() / 1_000_000);
    let milliseconds = i64::try_from(milliseconds).unwrap_or_default();
    let displaced_at = saved.displaced.as_ref().map(|displaced| displaced.saved_at);
    let told = json!({
        "saved_at": milliseconds,
        "displaced": saved.displaced.map(|displaced| displaced.fields),
        "displaced_at": displaced_at,
        "beside": saved.beside,
    });
    Ok(Json(told).into_response())
}

/// What the page had before it.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Had {
    /// Which draft: milliseconds since 1970, as `saved_at` has them; 0 for none.
    base: Option<i64>,
    /// The version of the label that is corrected; none before one is submitted.
    version: Option<Uuid>,
    /// Drafts of elsewhere that were taken over or discarded, by their names, with commas between them.
    settled: String,
}

impl Had {
    fn settled(&self) -> Vec<i64> {
        self.settled.split(',').filter_map(|name| name.parse().ok()).collect()
    }
}

/// `None` where the task is submitted, or the version that is corrected does not stand any more.
async fn save(
    state: &AppState,
    user: Uuid,
    assignment: Uuid,
    fields: &Fields,
    page: &Page,
    had: &Had,
) -> Result<Option<Saved>, PageError> {
    let mut draft = fields.draft();
    if draft.values().any(|value| value.chars().count() > LONGEST_COMPLETION) {
        return Err(too_long(page));
    }
    if let Some(version) = had.version {
        let task = task::find(&state.pool, user, assignment).await?;
        // What stands already is no correction.
        if standing::is_unchanged(&state.pool, user, &task, fields, version).await? {
            draft.clear();
        }
    }
    let typed = Typed { fields: &draft, replaces: had.version, base: had.base, settled: &had.settled() };
    Ok(drafts::save(&state.pool, user, assignment, typed).await?)
}

fn too_long(page: &Page) -> PageError {
    PageError::Invalid(page.t1("annotate-error-too-long", "longest", LONGEST_COMPLETION))
}

/// `POST /tasks/{assignment}/heartbeat`.
pub async fn heartbeat(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    _: TokenInHeader,
) -> Result<Response, PageError> {
    let lease = assignments::renew(&state.pool, user.id, assignment).await?;
    reservations::renew(&state.pool, user.id).await?;
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
        let text = fields.get("completion");
        if text.chars().count() > LONGEST_COMPLETION {
            return Err(too_long(&page));
        }
        return Ok(Json(json!({ "html": markdown::render(text) })).into_response());
    }
    keep(&state, user.id, page, task, fields, &headers, "preview").await
}

/// Keeps what a page without a script has sent as the draft, and shows the task again with what was asked for.
pub(super) async fn keep(
    state: &AppState,
    user: Uuid,
    page: Page,
    task: Task,
    fields: Fields,
    headers: &HeaderMap,
    asked: &str,
) -> Result<Response, PageError> {
    // What another computer has saved since this page was drawn waits beside it; a form without anything typed takes no place.
    let had = Had { base: fields.base(), ..Had::default() };
    let typed = if fields.is_blank() { Fields::default() } else { fields.clone() };
    let saved = save(state, user, task.assignment, &typed, &page, &had).await?;
    if saved.is_none() && !standing::holds(&state.pool, user, &task, &fields, None).await? {
        return standing::refuse(&state.pool, user, page, task, fields, headers).await;
    }
    Ok(Redirect::to(&format!("/tasks/{}?{asked}=1#{asked}", task.assignment)).into_response())
}
