//! `GET /admin`: the projects, each with how far it is. A lead sees their own.

use askama::Template;
use axum::{
    extract::State,
    response::{Html, IntoResponse},
};

use super::show;
use crate::{
    db::{
        closed_projects::{self, Closed},
        overview::{self, Listed},
    },
    domain::role::Role,
    web::{AppState, Page, PageError, authorise::Reviewer},
};

#[derive(Template)]
#[template(path = "admin/projects.html")]
struct ProjectsPage {
    page: Page,
    projects: Vec<Listed>,
    closed: Vec<Closed>,
}

pub async fn get(
    Reviewer(user): Reviewer,
    State(state): State<AppState>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let only_of = (user.role == Role::Lead).then_some(user.id);
    let projects = overview::projects(&state.pool, only_of).await?;
    let closed = closed_projects::list(&state.pool, only_of).await?;
    Ok(Html(ProjectsPage { page, projects, closed }.render()?))
}
