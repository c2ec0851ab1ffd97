//! `/admin/projects/{slug}/settings`: what a lead sets of a project.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};

use super::{
    forms::{Errors, Saved},
    project::{Frame, InProject, actor},
    settings_form::SettingsForm,
};
use crate::{
    db::projects::{self, Project},
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm},
};

#[derive(Template)]
#[template(path = "admin/settings.html")]
struct SettingsPage {
    page: Page,
    frame: Frame,
    form: SettingsForm,
    errors: Errors,
    saved: bool,
}

pub async fn get(
    _: Lead,
    InProject(project): InProject,
    Query(query): Query<Saved>,
    page: Page,
) -> Result<Response, PageError> {
    let form = SettingsForm::from(&project.settings);
    show(page, &project, form, Errors::default(), query.saved.is_some())
}

pub async fn post(
    Lead(user): Lead,
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
            let shown = show(page, &project, form, errors, false)?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
    }
}

fn show(page: Page, project: &Project, form: SettingsForm, errors: Errors, saved: bool) -> Result<Response, PageError> {
    let frame = Frame::new(&page, project, "settings");
    Ok(Html(SettingsPage { page, frame, form, errors, saved }.render()?).into_response())
}
