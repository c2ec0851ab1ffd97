//! `/admin/projects/{slug}/models/{id}/remove`: a lead removes the files of a model that nothing needs, after being asked.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Redirect},
};
use uuid::Uuid;

use super::{
    forms::Button,
    models::model_of,
    project::{Frame, InProject, actor},
    show,
};
use crate::{
    db::model_removal::{self as removal, Need, RemoveError},
    jobs::model_removal,
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm},
};

#[derive(Template)]
#[template(path = "admin/remove_model.html")]
struct RemovePage {
    page: Page,
    frame: Frame,
    id: Uuid,
    name: String,
    bytes: u64,
    /// Why its files stay.
    need: Option<Need>,
    /// They were removed before.
    removed: bool,
}

/// `GET /admin/projects/{slug}/models/{id}/remove`: what it would do.
pub async fn ask(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, id)): Path<(String, Uuid)>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let model = model_of(&state, &project, id).await?;
    let shown = RemovePage {
        frame: Frame::new(&page, &project, "models"),
        page,
        id,
        bytes: removal::bytes(&model.record),
        need: removal::needs(&state.pool, project.id).await?.get(&id).copied(),
        removed: model.record.files_removed_at.is_some(),
        name: model.record.name,
    };
    Ok(Html(shown.render()?))
}

/// `POST /admin/projects/{slug}/models/{id}/remove`.
pub async fn remove(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, id)): Path<(String, Uuid)>,
    page: Page,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    let models_dir = state.config.models_dir();
    let done = match model_removal::remove(&state.pool, &models_dir, &actor(&user), project.id, id).await {
        Ok(true) => "removed",
        Ok(false) => "removed-before",
        Err(RemoveError::NotFound) => return Err(PageError::NotFound),
        Err(RemoveError::Needed(need)) => {
            return Err(PageError::Conflict(page.word("models-remove-needed", need.as_str())));
        }
        Err(RemoveError::Database(error)) => return Err(error.into()),
    };
    Ok(Redirect::to(&format!("/admin/projects/{}/models?done={done}", project.slug)))
}
