//! `/admin/projects/{slug}/settings`: what an admin sets of a project, and who works on it.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    forms::Errors,
    project::{Frame, InProject, actor},
    settings_form::SettingsForm,
};
use crate::{
    db::{
        memberships::{self, Candidate},
        projects::{self, Project},
    },
    web::{AppState, Page, PageError, authorise::Admin, csrf::CsrfForm},
};

#[derive(Template)]
#[template(path = "admin/settings.html")]
struct SettingsPage {
    page: Page,
    frame: Frame,
    form: SettingsForm,
    errors: Errors,
    people: Vec<Candidate>,
    open_to_everyone: bool,
    saved: bool,
}

#[derive(Deserialize)]
pub struct Saved {
    saved: Option<String>,
}

pub async fn get(
    _: Admin,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Saved>,
    page: Page,
) -> Result<Response, PageError> {
    let form = SettingsForm::from(&project.settings);
    show(&state, page, &project, form, Errors::default(), query.saved.is_some()).await
}

pub async fn post(
    Admin(user): Admin,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(form): CsrfForm<SettingsForm>,
) -> Result<Response, PageError> {
    match form.read(&page) {
        Ok(settings) => {
            projects::update(&state.pool, &actor(&user), &project, &settings).await?;
            Ok(Redirect::to(&format!("/admin/projects/{}/settings?saved=1", project.slug)).into_response())
        }
        Err(errors) => {
            let shown = show(&state, page, &project, form, errors, false).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
    }
}

#[derive(Debug, Deserialize)]
pub struct MembersForm {
    #[serde(default)]
    member: Vec<Uuid>,
}

/// `POST /admin/projects/{slug}/members`.
pub async fn members(
    Admin(user): Admin,
    State(state): State<AppState>,
    InProject(project): InProject,
    CsrfForm(form): CsrfForm<MembersForm>,
) -> Result<Redirect, PageError> {
    memberships::set(&state.pool, &actor(&user), (project.id, &project.slug), &form.member).await?;
    Ok(Redirect::to(&format!("/admin/projects/{}/settings?saved=1#members", project.slug)))
}

async fn show(
    state: &AppState,
    page: Page,
    project: &Project,
    form: SettingsForm,
    errors: Errors,
    saved: bool,
) -> Result<Response, PageError> {
    let frame = Frame::new(&page, project, "settings");
    let people = memberships::candidates(&state.pool, project.id).await?;
    let open_to_everyone = project.settings.open_to_everyone;
    Ok(Html(SettingsPage { page, frame, form, errors, people, open_to_everyone, saved }.render()?).into_response())
}
