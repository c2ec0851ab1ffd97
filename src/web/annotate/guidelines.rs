//! `GET /projects/{slug}/guidelines`: what a project wants of its annotators.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Html,
};

use super::view;
use crate::{
    db::queue::{self, Guidelines},
    domain::role::Role,
    web::{AppState, Page, PageError, authorise::Annotator, markdown},
};

#[derive(Template)]
#[template(path = "annotate/guidelines.html")]
struct GuidelinesPage {
    page: Page,
    guidelines: Guidelines,
    html: Option<String>,
}

pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(slug): Path<String>,
    page: Page,
) -> Result<Html<String>, PageError> {
    let sees_all = user.role.allows(Role::Reviewer);
    let guidelines = queue::guidelines(&state.pool, user.id, sees_all, &slug).await?.ok_or(PageError::NotFound)?;
    let html = guidelines.body.as_deref().map(markdown::render);
    Ok(Html(GuidelinesPage { page, guidelines, html }.render()?))
}
