//! `/admin/projects/{slug}/settings`: what a lead sets of a project. Of two leads at once, the second is told what the first has saved.

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
        project_settings::{self, Drawn, UpdateError},
        projects::{Project, ProjectSettings},
    },
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm},
};

/// A setting that somebody has saved since the form was drawn.
struct Meanwhile {
    label: String,
    /// What it says now; may be empty.
    says: String,
}

/// What is said above the form.
#[derive(Default)]
struct Told {
    errors: Errors,
    saved: bool,
    meanwhile: Vec<Meanwhile>,
}

#[derive(Template)]
#[template(path = "admin/settings.html")]
struct SettingsPage {
    page: Page,
    frame: Frame,
    form: SettingsForm,
    errors: Errors,
    saved: bool,
    meanwhile: Vec<Meanwhile>,
}

pub async fn get(
    _: Lead,
    InProject(project): InProject,
    Query(query): Query<Saved>,
    page: Page,
) -> Result<Response, PageError> {
    let form = SettingsForm::drawn_with(&project.settings);
    show(page, &project, form, Told { saved: query.saved.is_some(), ..Told::default() })
}

/// `POST`: stores the settings. From a page that is older than what somebody else has saved, nothing is stored: the form comes back as
/// it was typed, says which settings differ by now, and can be saved over them.
pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(mut form): CsrfForm<SettingsForm>,
) -> Result<Response, PageError> {
    let settings = match form.read(&page) {
        Ok(settings) => settings,
        Err(errors) => {
            let shown = show(page, &project, form, Told { errors, ..Told::default() })?;
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response());
        }
    };
    let drawn = (!form.drawn.is_empty()).then(|| Drawn::read(&form.drawn));
    match project_settings::update(&state.pool, &actor(&user), project.id, drawn.as_ref(), &settings).await {
        Ok(()) => Ok(Redirect::to(&format!("/admin/projects/{}/settings?saved=1", project.slug)).into_response()),
        Err(UpdateError::Changed { names, standing }) => {
            form.drawn = Drawn::of(&standing).to_string();
            let meanwhile = meanwhile(&page, &names, &standing);
            let shown = show(page, &project, form, Told { meanwhile, ..Told::default() })?;
            Ok((StatusCode::CONFLICT, shown).into_response())
        }
        Err(UpdateError::Database(error)) => Err(error.into()),
    }
}

/// The settings of these names as they stand by now.
fn meanwhile(page: &Page, names: &[String], standing: &ProjectSettings) -> Vec<Meanwhile> {
    let now = SettingsForm::from(standing);
    let in_words = |name: &String| {
        let (label, says) = now.in_words(page, name);
        Meanwhile { label, says }
    };
    names.iter().map(in_words).collect()
}

fn show(page: Page, project: &Project, form: SettingsForm, told: Told) -> Result<Response, PageError> {
    let frame = Frame::new(&page, project, "settings");
    let Told { errors, saved, meanwhile } = told;
    Ok(Html(SettingsPage { page, frame, form, errors, saved, meanwhile }.render()?).into_response())
}
