//! `/admin/projects/{slug}/close` and `/reopen`: an admin ends a project, after being asked, and may begin it again.

use askama::Template;
use axum::{
    extract::State,
    response::{Html, IntoResponse, Redirect},
};

use super::{
    forms::Button,
    project::{Frame, InProject, actor},
};
use crate::{
    db::closed_projects,
    web::{AppState, Page, PageError, authorise::Admin, csrf::CsrfForm},
};

#[derive(Template)]
#[template(path = "admin/close.html")]
struct ClosePage {
    page: Page,
    frame: Frame,
    /// People who have a task in hand.
    in_hand: i64,
}

/// `GET /admin/projects/{slug}/close`: what it would do.
pub async fn ask(
    _: Admin,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let in_hand = closed_projects::in_hand(&state.pool, project.id).await?;
    let frame = Frame::new(&page, &project, "settings");
    Ok(Html(ClosePage { page, frame, in_hand }.render()?))
}

/// `POST /admin/projects/{slug}/close`.
pub async fn close(
    Admin(user): Admin,
    State(state): State<AppState>,
    InProject(project): InProject,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    closed_projects::set(&state.pool, &actor(&user), (project.id, &project.slug), true).await?;
    Ok(Redirect::to(&format!("/admin/projects/{}/settings?saved=1", project.slug)))
}

/// `POST /admin/projects/{slug}/reopen`.
pub async fn reopen(
    Admin(user): Admin,
    State(state): State<AppState>,
    InProject(project): InProject,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    closed_projects::set(&state.pool, &actor(&user), (project.id, &project.slug), false).await?;
    Ok(Redirect::to(&format!("/admin/projects/{}/settings?saved=1", project.slug)))
}
