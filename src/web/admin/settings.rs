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
    db::{
        label_schemes,
        projects::{self, Project},
    },
    domain::label_scheme::{Flag, LabelScheme, RatingRule},
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm},
};

#[derive(Template)]
#[template(path = "admin/settings.html")]
struct SettingsPage {
    page: Page,
    frame: Frame,
    form: SettingsForm,
    errors: Errors,
    scheme: LabelScheme,
    saved: bool,
}

pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Saved>,
    page: Page,
) -> Result<Response, PageError> {
    let form = SettingsForm::from(&project.settings);
    show(&state, page, &project, form, Errors::default(), query.saved.is_some()).await
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
            let shown = show(&state, page, &project, form, errors, false).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
    }
}

async fn show(
    state: &AppState,
    page: Page,
    project: &Project,
    form: SettingsForm,
    errors: Errors,
    saved: bool,
) -> Result<Response, PageError> {
    let scheme = label_schemes::of_project(&state.pool, project.id).await?;
    let frame = Frame::new(&page, project, "settings");
    Ok(Html(SettingsPage { page, frame, form, errors, scheme, saved }.render()?).into_response())
}
