//! `/tasks/{assignment}/correct`: a submitted label in its form again; what is sent is a new version of it.

use axum::{
    Json,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    comparison,
    forms::Fields,
    standing,
    submit::{self, Refused, Target, wants_json},
    task::{self, Shown},
    writing,
};
use crate::{
    db::{
        drafts::Draft,
        label_versions::{self, Correction, Label},
        queue::Task,
    },
    web::{AppState, Page, PageError, authorise::Annotator, csrf::CsrfForm},
};

/// The label in its form, or the correction of it that was begun and not saved, on whatever computer.
pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    page: Page,
) -> Result<Response, PageError> {
    let mut task = task::find(&state.pool, user.id, assignment).await?;
    let standing = label_versions::all(&state.pool, user.id, assignment).await?.pop();
    match standing {
        Some(version) if label_versions::may_be_corrected(&state.pool, version.id).await? => {
            let begun = standing::begun(&state.pool, user.id, &task, version.id).await?;
            task.label_scheme = version.label.scheme(&task.label_scheme);
            let saved_at = begun.as_ref().map_or(0, Draft::saved_at);
            let displaced = begun.as_ref().map(|draft| draft.displaced.clone()).unwrap_or_default();
            let (fields, older) = match begun {
                Some(draft) if draft.replaces == Some(version.id) => (draft.fields.into_iter().collect(), None),
                older => (fields(&task, &version.label), older.map(|draft| draft.fields)),
            };
            let shown = Shown { fields, saved_at, older, displaced, corrects: Some(version.id), ..Shown::default() };
            task::draw(page, task, shown)
        }
        // Closed, or nothing was submitted: the task's own page says which.
        _ => Ok(Redirect::to(&format!("/tasks/{assignment}")).into_response()),
    }
}

/// Stores the new version. Sent twice, it is stored once. From a page that is older than the version which stands now, it is
/// refused, with that version named, so that it can be saved over it.
pub async fn post(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(assignment): Path<Uuid>,
    headers: HeaderMap,
    page: Page,
    CsrfForm(sent): CsrfForm<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let fields: Fields = sent.into_iter().collect();
    let mut task = task::find(&state.pool, user.id, assignment).await?;
    let replaces = fields.get("version").parse().map_err(|_| PageError::NotFound)?;
    let versions = label_versions::all(&state.pool, user.id, assignment).await?;
    if let Some(replaced) = versions.iter().find(|version| version.id == replaces) {
        task.label_scheme = replaced.label.scheme(&task.label_scheme);
    }
    let target = Target::Correction(Correction { user: user.id, assignment, replaces, base: fields.base() });
    match submit::store(&state, target, &task, &fields).await {
        Ok(true) => {}
        Ok(false) if standing::holds(&state.pool, user.id, &task, &fields, Some(replaces)).await? => {}
        Ok(false) | Err(Refused::Closed) => {
            return standing::refuse_correction(&state.pool, user.id, page, task, fields, &headers).await;
        }
        Err(Refused::Form(error)) => {
            let shown = Shown { fields, corrects: Some(replaces), ..Shown::default() };
            return submit::explained(page, task, &headers, &error, shown);
        }
        Err(Refused::Page(error)) => return Err(error),
    }
    let address = format!("/tasks/{assignment}");
    if wants_json(&headers) {
        return Ok(Json(json!({ "next": address })).into_response());
    }
    Ok(Redirect::to(&address).into_response())
}

/// The form's fields as they were when the label was sent.
fn fields(task: &Task, label: &Label) -> Fields {
    let mut fields: Vec<(String, String)> = Vec::new();
    match label {
        Label::Demonstration { completion, .. } => fields.push(("completion".to_owned(), completion.clone())),
        Label::Prompt { conversation, .. } => fields.extend(writing::fields(task, conversation)),
        Label::Ranking { ranks, confidence, assessment, note, .. } => {
            fields.push(("note".to_owned(), note.clone().unwrap_or_default()));
            for (position, rank) in ranks.iter().enumerate() {
                fields.push((format!("rank_{position}"), rank.to_string()));
            }
            if let Some(confidence) = confidence {
                let point = comparison::by_position(task, *confidence).point();
                fields.push(("confidence".to_owned(), point.to_string()));
            }
            fields.push(("scale".to_owned(), assessment.scale.stated()));
            for (position, rating) in assessment.ratings.iter().enumerate() {
                fields.extend(rating.map(|rating| (format!("rating_{position}"), rating.to_string())));
            }
            for (position, flags) in assessment.flags.iter().enumerate() {
                let ticked = |word: &str| (format!("flag_{position}_{word}"), "1".to_owned());
                fields.extend(flags.iter().map(|word| ticked(word)));
            }
            if assessment.all_bad {
                fields.push(("all_bad".to_owned(), "1".to_owned()));
            }
        }
    }
    fields.into_iter().collect()
}
