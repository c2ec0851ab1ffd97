//! Forms on a prompt's page: the priority of a task, and whether it is asked at all.

use axum::{
    extract::{Path, State},
    response::Redirect,
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    forms::Withdrawal,
    project::{InProject, actor},
};
use crate::{
    db::task_control::{self, PRIORITIES},
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm},
};

#[derive(Debug, Deserialize)]
pub struct PriorityForm {
    priority: String,
}

/// `POST /admin/projects/{slug}/tasks/{id}/priority`.
pub async fn priority(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((slug, id)): Path<(String, Uuid)>,
    page: Page,
    CsrfForm(form): CsrfForm<PriorityForm>,
) -> Result<Redirect, PageError> {
    let typed = form.priority.trim().parse().ok().filter(|number| PRIORITIES.contains(number));
    let wrong = || page.t2("admin-error-range", "from", *PRIORITIES.start(), "to", *PRIORITIES.end());
    let priority = typed.ok_or_else(|| PageError::Invalid(wrong()))?;
    let prompt = task_control::set_priority(&state.pool, &actor(&user), project.id, id, priority).await?;
    Ok(Redirect::to(&format!("/admin/projects/{slug}/prompts/{prompt}#tasks")))
}

/// `POST /admin/projects/{slug}/tasks/{id}/withdraw`.
pub async fn withdraw(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((slug, id)): Path<(String, Uuid)>,
    CsrfForm(form): CsrfForm<Withdrawal>,
) -> Result<Redirect, PageError> {
    let withdrawn = form.is_withdrawn();
    let prompt = task_control::set_withdrawn(&state.pool, &actor(&user), project.id, id, withdrawn).await?;
    Ok(Redirect::to(&format!("/admin/projects/{slug}/prompts/{prompt}#tasks")))
}
