//! `/admin/projects/new`: makes a project.

use askama::Template;
use axum::{
    extract::State,
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{forms::Errors, project::actor, settings_form::SettingsForm};
use crate::{
    db::projects::{self, CreateError, RESERVED},
    web::{AppState, Page, PageError, authorise::Admin, csrf::CsrfForm},
};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NewProjectForm {
    slug: String,
    name: String,
    description: String,
    answers_per_prompt: Option<String>,
    demonstration_overlap: Option<String>,
    ranking_overlap: Option<String>,
    access: Option<String>,
}

impl NewProjectForm {
    fn settings(&self) -> SettingsForm {
        let defaults = SettingsForm::default();
        SettingsForm {
            name: self.name.clone(),
            description: self.description.clone(),
            answers_per_prompt: self.answers_per_prompt.clone().unwrap_or(defaults.answers_per_prompt),
            demonstration_overlap: self.demonstration_overlap.clone().unwrap_or(defaults.demonstration_overlap),
            ranking_overlap: self.ranking_overlap.clone().unwrap_or(defaults.ranking_overlap),
            access: self.access.clone().unwrap_or(defaults.access),
            ..defaults
        }
    }
}

#[derive(Template)]
#[template(path = "admin/new_project.html")]
struct NewProjectPage {
    page: Page,
    slug: String,
    form: SettingsForm,
    errors: Errors,
}

pub async fn get(_: Admin, page: Page) -> Result<impl IntoResponse, PageError> {
    let shown = NewProjectPage { page, slug: String::new(), form: SettingsForm::default(), errors: Errors::default() };
    Ok(Html(shown.render()?))
}

pub async fn post(
    Admin(user): Admin,
    State(state): State<AppState>,
    page: Page,
    CsrfForm(form): CsrfForm<NewProjectForm>,
) -> Result<Response, PageError> {
    let slug = form.slug.trim().to_owned();
    let typed = form.settings();
    let mut errors = match typed.read(&page) {
        Ok(settings) => match projects::create(&state.pool, &actor(&user), &slug, &settings, false).await {
            Ok(project) => return Ok(Redirect::to(&format!("/admin/projects/{}", project.slug)).into_response()),
            Err(CreateError::SlugTaken(_)) => {
                let mut errors = Errors::default();
                errors.add("slug", page.t("admin-error-slug-taken"));
                errors
            }
            Err(CreateError::BadSlug(_) | CreateError::Reserved(_)) => Errors::default(),
            Err(CreateError::OutOfRange(constraint)) => {
                tracing::warn!(constraint, "a new project's setting is out of range");
                return Err(PageError::Invalid(page.t("admin-error-limits")));
            }
            Err(CreateError::Database(error)) => return Err(error.into()),
        },
        Err(errors) => errors,
    };
    if errors.of("slug").is_none() && !is_good_slug(&slug) {
        errors.add("slug", page.t("admin-error-slug"));
    }
    let shown = NewProjectPage { page, slug, form: typed, errors };
    Ok((StatusCode::UNPROCESSABLE_ENTITY, Html(shown.render()?)).into_response())
}

fn is_good_slug(slug: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    slug.len() <= 63
        && slug.bytes().next().is_some_and(good)
        && slug.bytes().all(|byte| good(byte) || byte == b'-')
        && !RESERVED.contains(&slug)
}
