//! `GET /admin`: the projects, each with how far it is.

use askama::Template;
use axum::{
    extract::State,
    response::{Html, IntoResponse},
};

use super::show;
use crate::{
    db::overview::{self, Listed},
    web::{AppState, Page, PageError, authorise::Reviewer},
};

#[derive(Template)]
#[template(path = "admin/projects.html")]
struct ProjectsPage {
    page: Page,
    projects: Vec<Listed>,
}

pub async fn get(_: Reviewer, State(state): State<AppState>, page: Page) -> Result<impl IntoResponse, PageError> {
    let projects = overview::projects(&state.pool).await?;
    Ok(Html(ProjectsPage { page, projects }.render()?))
}
