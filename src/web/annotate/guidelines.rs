//! `/projects/{slug}/guidelines`: what a project wants of its annotators, and the button that says that one has read it.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::{Html, Redirect},
};
use serde::Deserialize;
use uuid::Uuid;

use super::view;
use crate::{
    db::{
        guidelines,
        queue::{self, Guidelines},
    },
    domain::role::Role,
    web::{AppState, Page, PageError, authorise::Annotator, csrf::CsrfForm, markdown},
};

#[derive(Template)]
#[template(path = "annotate/guidelines.html")]
struct GuidelinesPage {
    page: Page,
    guidelines: Guidelines,
    html: Option<String>,
    slug: String,
    /// The newest version that the person has read; 0 is none.
    last_read: i32,
    /// The task to go on with.
    then: Option<Uuid>,
}

impl GuidelinesPage {
    fn is_read(&self) -> bool {
        self.guidelines.version.is_none_or(|version| self.last_read >= version)
    }
}

#[derive(Deserialize)]
pub struct Arrival {
    #[serde(default)]
    then: Option<Uuid>,
}

pub async fn get(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(slug): Path<String>,
    Query(arrival): Query<Arrival>,
    page: Page,
) -> Result<Html<String>, PageError> {
    let sees_all = matches!(user.role, Role::Reviewer | Role::Admin);
    let guidelines = queue::guidelines(&state.pool, user.id, sees_all, &slug).await?.ok_or(PageError::NotFound)?;
    let html = guidelines.body.as_deref().map(markdown::render);
    let last_read = guidelines::last_read(&state.pool, user.id, &slug).await?;
    let shown = GuidelinesPage { page, guidelines, html, slug, last_read, then: arrival.then };
    Ok(Html(shown.render()?))
}

#[derive(Deserialize)]
pub struct ReadForm {
    version: i32,
    #[serde(default)]
    then: String,
}

/// “I have read this”: of the version that stood on the page, so that a newer one is shown next.
pub async fn post(
    Annotator(user): Annotator,
    State(state): State<AppState>,
    Path(slug): Path<String>,
    CsrfForm(form): CsrfForm<ReadForm>,
) -> Result<Redirect, PageError> {
    let sees_all = user.role.allows(Role::Reviewer);
    queue::guidelines(&state.pool, user.id, sees_all, &slug).await?.ok_or(PageError::NotFound)?;
    if !guidelines::mark_read(&state.pool, user.id, &slug, form.version).await? {
        return Err(PageError::NotFound);
    }
    Ok(match form.then.parse::<Uuid>() {
        Ok(assignment) => Redirect::to(&format!("/tasks/{assignment}")),
        Err(_) => Redirect::to("/queue"),
    })
}
