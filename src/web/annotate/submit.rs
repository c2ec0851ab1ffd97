//! `POST /tasks/{assignment}/submit` and `/skip`: the end of a task, and the way to the next one.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Redirect, Response},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    forms::{Fields, FormError},
    task::{self, Shown},
    view::SkipView,
};
use crate::{
    db::{
        assignments,
        labels::{self, NewDemonstration, NewRanking, SubmitError},
        queue::Task,
    },
    domain::assignment::TaskKind,
    web::{AppState, Page, PageError, authorise::Annotator, csrf::CsrfForm, session::User},
};

/// Stores the label. Sent twice, it is stored once and both get the same answer. Wrong input comes back on the page with what
/// was written.
pub async fn post(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    headers: HeaderMap,
    page: Page,
    CsrfForm(sent): CsrfForm<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let fields: Fields = sent.into_iter().collect();
    let task = task::find(&state.pool, user.id, assignment).await?;
    if task.state != "submitted" {
        match store(&state, &user, &task, &fields).await {
            Ok(()) => {}
            Err(Refused::Form(error)) => {
                let error = task::explain(&page, &task, &error);
                if wants_json(&headers) {
                    return Err(PageError::Invalid(error));
                }
                return task::draw(page, task, Shown { fields, error: Some(error), ..Shown::default() });
            }
            Err(Refused::Page(error)) => return Err(error),
        }
    }
    onward(&state, &user, assignment, &fields, &headers).await
}

/// Gives the task back with a reason.
pub async fn skip(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    headers: HeaderMap,
    page: Page,
    CsrfForm(sent): CsrfForm<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let fields: Fields = sent.into_iter().collect();
    let reason = match fields.skip_reason() {
        Ok(reason) => reason,
        Err(error) => {
            let task = task::find(&state.pool, user.id, assignment).await?;
            let error = task::explain(&page, &task, &error);
            if wants_json(&headers) {
                return Err(PageError::Invalid(error));
            }
            let draft = crate::db::drafts::find(&state.pool, assignment).await?;
            let skip = SkipView {
                reason: fields.get("reason").to_owned(),
                detail: fields.get("detail").to_owned(),
                error: Some(error),
            };
            let fields = draft.map(|draft| draft.fields).unwrap_or_default().into_iter().collect();
            return task::draw(page, task, Shown { fields, skip, ..Shown::default() });
        }
    };
    assignments::skip(&state.pool, user.id, assignment, &reason).await?;
    onward(&state, &user, assignment, &fields, &headers).await
}

/// Why a label is not stored.
enum Refused {
    Form(FormError),
    Page(PageError),
}

impl From<FormError> for Refused {
    fn from(error: FormError) -> Self {
        Refused::Form(error)
    }
}

impl From<SubmitError> for Refused {
    fn from(error: SubmitError) -> Self {
        Refused::Page(match error {
            SubmitError::NotYours => PageError::NotFound,
            SubmitError::Database(error) => error.into(),
            inconsistent => PageError::Internal(inconsistent.into()),
        })
    }
}

async fn store(state: &AppState, user: &User, task: &Task, fields: &Fields) -> Result<(), Refused> {
    match task.kind {
        TaskKind::Demonstration => {
            let demonstration = NewDemonstration {
                completion: fields.completion()?,
                language: task.language.as_deref(),
                seconds: fields.seconds(),
            };
            labels::submit_demonstration(&state.pool, user.id, task.assignment, demonstration).await?;
        }
        TaskKind::Ranking => {
            let ranking = fields.ranking(task.answers.len())?;
            let new = NewRanking { ranking: &ranking, note: fields.note()?, seconds: fields.seconds() };
            labels::submit_ranking(&state.pool, user.id, task.assignment, new).await?;
        }
    }
    Ok(())
}

/// The next task, or the queue where nothing waits or the person wants to stop.
async fn onward(
    state: &AppState,
    user: &User,
    finished: Uuid,
    fields: &Fields,
    headers: &HeaderMap,
) -> Result<Response, PageError> {
    let next = match fields.get("then") {
        "queue" => None,
        _ => assignments::lease_next(&state.pool, user.id).await?,
    };
    let address = match next {
        Some(assignment) => format!("/tasks/{assignment}?after={finished}"),
        None => format!("/queue?after={finished}"),
    };
    if wants_json(headers) {
        return Ok(Json(json!({ "next": address })).into_response());
    }
    Ok(Redirect::to(&address).into_response())
}

/// Whether a script asks.
pub fn wants_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.starts_with("application/json"))
}
