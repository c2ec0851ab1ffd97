//! What is sent for a task that is submitted already: the same once more, which is a retry, or something else, which must not
//! be taken for stored. Whoever sent it is told, keeps it, and may make a correction of it.

use axum::{
    Json,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    comparison,
    forms::{Fields, FormError},
    submit::wants_json,
    task::{self, Shown},
    writing,
};
use crate::{
    db::{
        drafts::{self, Draft},
        label_versions::{self, Label},
        queue::Task,
    },
    domain::{assignment::TaskKind, label_scheme::LabelScheme, ranking::Ranking},
    web::{Page, PageError},
};

/// Whether something that stands, or stood, for the assignment says what the form says. With `since`, only versions that came
/// after that one count. A form in which nothing is filled in hides nothing that could be lost.
pub async fn holds(
    pool: &PgPool,
    user: Uuid,
    task: &Task,
    fields: &Fields,
    since: Option<Uuid>,
) -> Result<bool, PageError> {
    if fields.is_blank() {
        return Ok(true);
    }
    let versions = label_versions::all(pool, user, task.assignment).await?;
    // Ids are made in the order of time.
    let counts = |version: Uuid| since.is_none_or(|since| version > since);
    Ok(versions.iter().any(|version| counts(version.id) && says(task, fields, &version.label)))
}

/// Whether a form says what a version says. It was read as the project asked then, which may be otherwise now.
fn says(task: &Task, fields: &Fields, version: &Label) -> bool {
    label(task, fields, &version.scheme(&task.label_scheme)).is_ok_and(|said| version.says_the_same(&said))
}

/// Whether a version stands and says what the form says: nothing of it has been corrected yet.
pub async fn is_unchanged(
    pool: &PgPool,
    user: Uuid,
    task: &Task,
    fields: &Fields,
    version: Uuid,
) -> Result<bool, PageError> {
    let standing = label_versions::all(pool, user, task.assignment).await?.pop();
    Ok(standing.is_some_and(|standing| standing.id == version && says(task, fields, &standing.label)))
}

/// The correction that somebody has begun and not saved, as the server keeps it. What they began on a version before the one that
/// stands is none any more once a later one says the same.
pub async fn begun(pool: &PgPool, user: Uuid, task: &Task, standing: Uuid) -> Result<Option<Draft>, PageError> {
    let Some(draft) = drafts::find(pool, task.assignment).await? else { return Ok(None) };
    if draft.replaces == Some(standing) {
        return Ok(Some(draft));
    }
    let fields: Fields = draft.fields.clone().into_iter().collect();
    let saved = holds(pool, user, task, &fields, draft.replaces).await?;
    Ok((!saved).then_some(draft))
}

/// The label that a form would be where a scheme says what is asked.
fn label(task: &Task, fields: &Fields, scheme: &LabelScheme) -> Result<Label, FormError> {
    let (ranking, confidence) = match task.kind {
        TaskKind::Demonstration => {
            return Ok(Label::Demonstration { completion: fields.completion()?.to_owned(), extra_opinion: false });
        }
        TaskKind::Prompt => {
            let written = fields.written(writing::kind(task))?;
            return Ok(Label::Prompt { conversation: written.conversation(), extra_opinion: false });
        }
        TaskKind::Ranking => (fields.ranking(task.answers.len())?, None),
        TaskKind::Comparison => {
            let confidence = comparison::by_position(task, fields.confidence()?);
            (Ranking::from(confidence), Some(confidence))
        }
    };
    Ok(Label::Ranking {
        ranks: ranking.ranks().to_vec(),
        confidence,
        assessment: fields.assessment(scheme, task.answers.len())?,
        note: fields.note()?.map(str::to_owned),
        extra_opinion: false,
    })
}

/// The version that a correction would replace; `None` where none may be made any more.
async fn correctable(pool: &PgPool, user: Uuid, task: &Task) -> Result<Option<Uuid>, PageError> {
    let Some(standing) = label_versions::all(pool, user, task.assignment).await?.pop() else { return Ok(None) };
    Ok(label_versions::may_be_corrected(pool, standing.id).await?.then_some(standing.id))
}

/// What a script is told of fields that were not stored: why, and what can be done with them.
pub async fn told(pool: &PgPool, user: Uuid, page: &Page, task: &Task, differs: bool) -> Result<Value, PageError> {
    let correct = correctable(pool, user, task).await?.map(|_| format!("/tasks/{}/correct", task.assignment));
    let (message, look) = match correct {
        Some(_) => ("annotate-beside", "annotate-beside-correct"),
        None => ("annotate-beside-closed", "annotate-beside-look"),
    };
    Ok(json!({
        "code": "already-submitted",
        "message": page.t(if differs { message } else { "annotate-error-submitted" }),
        "differs": differs,
        "correct": correct,
        "look": page.t(look),
    }))
}

/// 409 for a first label that is none: to a script in words, to everybody else as the form of a correction with what they sent.
pub async fn refuse(
    pool: &PgPool,
    user: Uuid,
    page: Page,
    task: Task,
    fields: Fields,
    headers: &HeaderMap,
) -> Result<Response, PageError> {
    if wants_json(headers) {
        let told = told(pool, user, &page, &task, true).await?;
        return Ok((StatusCode::CONFLICT, Json(told)).into_response());
    }
    let corrects = correctable(pool, user, &task).await?;
    let message = if corrects.is_some() { "annotate-beside-plain" } else { "annotate-beside-final" };
    conflict(page, task, fields, corrects, message)
}

/// Why a correction may not be what stands now.
fn why(corrects: Option<Uuid>, task: &Task) -> &'static str {
    match (corrects, task.kind) {
        (Some(_), _) => "correct-replaced",
        (None, TaskKind::Prompt) => "correct-closed-prompt",
        (None, _) => "correct-closed",
    }
}

/// What a script is told of a correction of a version that does not stand any more: which one does.
///
/// # Errors
/// Nobody may correct what stands.
pub async fn told_replaced(pool: &PgPool, user: Uuid, page: &Page, task: &Task) -> Result<Value, PageError> {
    let corrects = correctable(pool, user, task).await?;
    let message = page.t(why(corrects, task));
    let Some(version) = corrects else { return Err(PageError::Conflict(message)) };
    Ok(json!({
        "code": "version-replaced",
        "message": message,
        "version": version,
        "standing": format!("/tasks/{}", task.assignment),
        "look": page.t("annotate-after-look"),
    }))
}

/// 409 for a correction of a version that does not stand any more, or that nobody may correct.
pub async fn refuse_correction(
    pool: &PgPool,
    user: Uuid,
    page: Page,
    task: Task,
    fields: Fields,
    headers: &HeaderMap,
) -> Result<Response, PageError> {
    if wants_json(headers) {
        let told = told_replaced(pool, user, &page, &task).await?;
        return Ok((StatusCode::CONFLICT, Json(told)).into_response());
    }
    let corrects = correctable(pool, user, &task).await?;
    let message = why(corrects, &task);
    conflict(page, task, fields, corrects, message)
}

/// The form with what was sent in it, and why it is not stored.
fn conflict(
    page: Page,
    task: Task,
    fields: Fields,
    corrects: Option<Uuid>,
    message: &str,
) -> Result<Response, PageError> {
    let shown = Shown { fields, corrects, ..Shown::default() }.unsaved(page.t(message));
    let mut response = task::draw(page, task, shown)?;
    *response.status_mut() = StatusCode::CONFLICT;
    Ok(response)
}
