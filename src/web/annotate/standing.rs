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
};
use crate::{
    db::{
        label_versions::{self, Label},
        queue::Task,
        written_prompts,
    },
    domain::{assignment::TaskKind, label_scheme::LabelScheme, ranking::Ranking, written_prompt::PromptKind},
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
    if task.kind == TaskKind::Prompt {
        let kind = task.brief.as_ref().map_or(PromptKind::Plain, |brief| brief.kind);
        let Ok(written) = fields.written(kind) else { return Ok(false) };
        return Ok(written_prompts::of_assignment(pool, task.assignment).await? == Some(written.conversation()));
    }
    let versions = label_versions::all(pool, user, task.assignment).await?;
    // Ids are made in the order of time.
    let counts = |version: Uuid| since.is_none_or(|since| version > since);
    // The form was read as the project asked then, which may be otherwise now.
    let says = |version: &Label| {
        label(task, fields, &version.scheme(&task.label_scheme)).is_ok_and(|said| version.says_the_same(&said))
    };
    Ok(versions.iter().any(|version| counts(version.id) && says(&version.label)))
}

/// The label that a form would be where a scheme says what is asked.
fn label(task: &Task, fields: &Fields, scheme: &LabelScheme) -> Result<Label, FormError> {
    let (ranking, confidence) = match task.kind {
        TaskKind::Demonstration | TaskKind::Prompt => {
            return Ok(Label::Demonstration { completion: fields.completion()?.to_owned(), extra_opinion: false });
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

/// 409 for a correction of a version that does not stand any more, or that nobody may correct.
pub async fn refuse_correction(
    pool: &PgPool,
    user: Uuid,
    page: Page,
    task: Task,
    fields: Fields,
    headers: &HeaderMap,
) -> Result<Response, PageError> {
    let corrects = correctable(pool, user, &task).await?;
    let message = if corrects.is_some() { "correct-replaced" } else { "correct-closed" };
    if !wants_json(headers) {
        return conflict(page, task, fields, corrects, message);
    }
    let Some(version) = corrects else { return Err(PageError::Conflict(page.t(message))) };
    let told = json!({
        "code": "version-replaced",
        "message": page.t(message),
        "version": version,
        "standing": format!("/tasks/{}", task.assignment),
        "look": page.t("annotate-after-look"),
    });
    Ok((StatusCode::CONFLICT, Json(told)).into_response())
}

/// The form with what was sent in it, and why it is not stored.
fn conflict(
    page: Page,
    task: Task,
    fields: Fields,
    corrects: Option<Uuid>,
    message: &str,
) -> Result<Response, PageError> {
    let error = Some(page.t(message));
    let mut response = task::draw(page, task, Shown { fields, error, corrects, ..Shown::default() })?;
    *response.status_mut() = StatusCode::CONFLICT;
    Ok(response)
}
