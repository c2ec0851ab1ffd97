//! `POST /tasks/{assignment}/submit` and `/skip`: the end of a task, and the way to the next one.

use askama::Template;
use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    comparison, draft,
    forms::{Fields, FormError},
    guidelines as guidelines_page, standing,
    task::{self, Shown},
    view::{After, SkipView},
    writing,
};
use crate::{
    db::{
        assignments,
        drafts::{self, DraftFields},
        gold, guidelines,
        label_versions::{self, Correction},
        labels::{self, NewDemonstration, NewRanking, SubmitError},
        queue::Task,
        reservations,
        written_prompts::{self, WriteError},
    },
    domain::{assignment::TaskKind, comparison::Confidence, ranking::Ranking},
    web::{AppState, Page, PageError, authorise::Annotator, csrf::CsrfForm, session::User},
};

/// Stores the label. Sent twice, it is stored once and both get the same answer; what differs from the label that is there
/// already is refused. Wrong input comes back on the page with what was written.
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
    let stored = if task.state == "submitted" {
        false
    } else {
        if wants_json(&headers) && went_on_elsewhere(&state.pool, assignment, &fields).await? {
            let told = json!({ "code": "newer-draft", "message": page.t("annotate-error-newer-draft") });
            return Ok((StatusCode::CONFLICT, Json(told)).into_response());
        }
        let target = Target::First { user: user.id, assignment };
        match store(&state, target, &task, &fields).await {
            Ok(stored) => stored,
            Err(Refused::Form(error)) => {
                return explained(page, task, &headers, &error, Shown { fields, ..Shown::default() });
            }
            Err(Refused::Closed) => false,
            Err(Refused::Page(error)) => return Err(error),
        }
    };
    if !stored && !standing::holds(&state.pool, user.id, &task, &fields, None).await? {
        return standing::refuse(&state.pool, user.id, page, task, fields, &headers).await;
    }
    onward(&state, &user, assignment, &fields, &headers, page).await
}

/// Whether the page that sends this has not seen the draft that there is: it would be lost with what is submitted. A page without a
/// script can't be shown it.
async fn went_on_elsewhere(pool: &PgPool, assignment: Uuid, fields: &Fields) -> sqlx::Result<bool> {
    let Some(base) = fields.base() else { return Ok(false) };
    // What it had sent to be saved and not heard of yet: of it, too, a draft keeps no scale on which nothing is rated.
    let sent: DraftFields = serde_json::from_str(fields.get("own")).unwrap_or_default();
    let sent: Fields = sent.into_iter().collect();
    drafts::went_on_elsewhere(pool, assignment, base, &[&fields.draft(), &sent.draft()]).await
}

/// Gives the task back with a reason; 409 where it was submitted meanwhile.
pub async fn skip(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    headers: HeaderMap,
    page: Page,
    CsrfForm(sent): CsrfForm<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let fields: Fields = sent.into_iter().collect();
    // Asked for from the task's own form, without a script: what is typed there is kept while they say why.
    if fields.asks_to_skip() {
        let task = task::find(&state.pool, user.id, assignment).await?;
        return draft::keep(&state, user.id, page, task, fields, &headers, "skip").await;
    }
    let reason = match fields.skip_reason() {
        Ok(reason) => reason,
        Err(error) => {
            let task = task::find(&state.pool, user.id, assignment).await?;
            if task.state == "submitted" {
                return not_skipped(assignment, &headers, &page);
            }
            let error = task::explain(&page, &task, &error);
            if wants_json(&headers) {
                return Err(PageError::Invalid(error));
            }
            let draft = drafts::find(&state.pool, assignment).await?;
            let skip = SkipView {
                reason: fields.get("reason").to_owned(),
                detail: fields.get("detail").to_owned(),
                error: Some(error),
                ..SkipView::default()
            };
            return task::draw(page, task, Shown { skip, ..Shown::of(draft) });
        }
    };
    if !assignments::skip(&state.pool, user.id, assignment, &reason).await? {
        return not_skipped(assignment, &headers, &page);
    }
    onward(&state, &user, assignment, &fields, &headers, page).await
}

/// 409 for a task that was submitted from another tab meanwhile: what was submitted stays, and nobody is told that it was skipped.
fn not_skipped(assignment: Uuid, headers: &HeaderMap, page: &Page) -> Result<Response, PageError> {
    let message = page.t("annotate-error-not-skipped");
    if !wants_json(headers) {
        return Err(PageError::Conflict(message));
    }
    let told = json!({
        "code": "not-skipped",
        "message": message,
        "standing": format!("/tasks/{assignment}"),
        "look": page.t("annotate-after-look"),
    });
    Ok((StatusCode::CONFLICT, Json(told)).into_response())
}

/// The page with what was sent and what is wrong with it; for a script, the words alone.
pub(super) fn explained(
    page: Page,
    task: Task,
    headers: &HeaderMap,
    error: &FormError,
    shown: Shown,
) -> Result<Response, PageError> {
    let by_script = wants_json(headers);
    // A script's page stays as it was opened: where it states no scale, it has no place for the ratings that are asked for by now.
    let changed = FormError::OtherScale;
    let has_place = !shown.fields.get("scale").is_empty() || shown.fields.has_ratings();
    let error = match error {
        FormError::Unrated { .. } if by_script && !has_place => &changed,
        error => error,
    };
    let error = task::explain(&page, &task, error);
    if by_script {
        return Err(PageError::Invalid(error));
    }
    task::draw(page, task, shown.unsaved(error))
}

/// Why a label is not stored.
pub(super) enum Refused {
    Form(FormError),
    /// A label that can't be corrected any more.
    Closed,
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
            SubmitError::Closed => return Refused::Closed,
            SubmitError::NotYours => PageError::NotFound,
            SubmitError::Database(error) => error.into(),
            inconsistent => PageError::Internal(inconsistent.into()),
        })
    }
}

impl From<WriteError> for Refused {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::AlreadyHere => Refused::Form(FormError::AlreadyHere),
            WriteError::Submit(error) => error.into(),
        }
    }
}

/// What a form becomes: the first label of an assignment, or a new version of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    First { user: Uuid, assignment: Uuid },
    Correction(Correction),
}

/// Reads the form and stores it; `false` where something stands there already, which may be the same or not.
pub(super) async fn store(state: &AppState, target: Target, task: &Task, fields: &Fields) -> Result<bool, Refused> {
    let stored = match task.kind {
        TaskKind::Demonstration => {
            let demonstration = NewDemonstration {
                completion: fields.completion()?,
                language: task.language.as_deref(),
                seconds: fields.seconds(),
            };
            match target {
                Target::First { user, assignment } => {
                    !labels::submit_demonstration(&state.pool, user, assignment, demonstration).await?.before
                }
                Target::Correction(correction) => {
                    label_versions::correct_demonstration(&state.pool, correction, demonstration).await?
                }
            }
        }
        TaskKind::Prompt => {
            let written = fields.written(writing::kind(task))?;
            let seconds = fields.seconds();
            match target {
                Target::First { user, assignment } => {
                    written_prompts::submit(&state.pool, user, assignment, &written, seconds).await?
                }
                Target::Correction(correction) => {
                    written_prompts::correct(&state.pool, correction, &written, seconds).await?
                }
            }
        }
        TaskKind::Ranking => {
            let ranking = fields.ranking(task.answers.len())?;
            put_ranking(&state.pool, target, task, fields, &ranking, None).await?
        }
        TaskKind::Comparison => {
            let confidence = comparison::by_position(task, fields.confidence()?);
            put_ranking(&state.pool, target, task, fields, &confidence.into(), Some(confidence)).await?
        }
    };
    Ok(stored)
}

/// Stores the ranking with what is said of each answer.
async fn put_ranking(
    pool: &PgPool,
    target: Target,
    task: &Task,
    fields: &Fields,
    ranking: &Ranking,
    confidence: Option<Confidence>,
) -> Result<bool, Refused> {
    let assessment = fields.assessment(&task.label_scheme, task.answers.len())?;
    let new =
        NewRanking { ranking, confidence, assessment: &assessment, note: fields.note()?, seconds: fields.seconds() };
    Ok(match target {
        Target::First { user, assignment } => !labels::submit_ranking(pool, user, assignment, new).await?.before,
        Target::Correction(correction) => label_versions::correct_ranking(pool, correction, new).await?,
    })
}

/// What became of the task before, for a page that goes on without loading.
#[derive(Template)]
#[template(path = "annotate/fragments/after.html")]
struct Notice {
    page: Page,
    after: Option<After>,
}

/// The next task, or the queue where nothing waits or the person wants to stop.
async fn onward(
    state: &AppState,
    user: &User,
    finished: Uuid,
    fields: &Fields,
    headers: &HeaderMap,
    page: Page,
) -> Result<Response, PageError> {
    // After a task of the course comes its lesson.
    if gold::lesson(&state.pool, user.id, finished).await?.is_some() {
        let lesson = format!("/tasks/{finished}");
        if wants_json(headers) {
            return Ok(Json(json!({ "next": lesson })).into_response());
        }
        return Ok(Redirect::to(&lesson).into_response());
    }
    let next = match fields.get("then") {
        "queue" => {
            reservations::release_all(&state.pool, user.id).await?;
            None
        }
        _ => assignments::lease_next(&state.pool, user.id).await?,
    };
    let address = match next {
        Some(assignment) => match guidelines::unread(&state.pool, user.id, assignment).await? {
            Some(slug) => guidelines_page::before(&slug, assignment, Some(finished)),
            None => format!("/tasks/{assignment}?after={finished}"),
        },
        None => format!("/queue?after={finished}"),
    };
    if wants_json(headers) {
        let after = task::after(&state.pool, user.id, Some(finished)).await?;
        let notice = Notice { page, after }.render()?;
        return Ok(Json(json!({ "next": address, "notice": notice })).into_response());
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
