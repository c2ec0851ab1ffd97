//! `/admin/projects/{slug}/label-scheme`: what people are asked to say of each answer besides its rank.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};

use super::{
    forms::{Errors, Saved},
    label_scheme_form::{LONGEST_HINT, LONGEST_NAME, SchemeForm},
    project::{Frame, InProject, actor},
};
use crate::{
    db::{label_schemes, projects::Project},
    domain::{
        flag::{self, Flag},
        label_scheme::{MOST_OWN_FLAGS, RatingRule},
        rating_scale::{HIGHEST, LOWEST},
    },
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm},
};

#[derive(Template)]
#[template(path = "admin/label_scheme.html")]
struct LabelSchemePage {
    page: Page,
    frame: Frame,
    form: SchemeForm,
    errors: Errors,
    saved: bool,
}

pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Saved>,
    page: Page,
) -> Result<Response, PageError> {
    let form = SchemeForm::of(&label_schemes::of_project(&state.pool, project.id).await?);
    show(page, &project, form, Errors::default(), query.saved.is_some())
}

pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(sent): CsrfForm<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let standing = label_schemes::of_project(&state.pool, project.id).await?;
    let mut form = SchemeForm::sent(&sent, &standing);
    match form.read(&page) {
        Ok(scheme) => {
            label_schemes::save(&state.pool, &actor(&user), (project.id, &project.slug), scheme).await?;
            Ok(Redirect::to(&format!("/admin/projects/{}/label-scheme?saved=1", project.slug)).into_response())
        }
        Err(errors) => {
            let shown = show(page, &project, form, errors, false)?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, shown).into_response())
        }
    }
}

fn show(page: Page, project: &Project, form: SchemeForm, errors: Errors, saved: bool) -> Result<Response, PageError> {
    let frame = Frame::new(&page, project, "label-scheme");
    Ok(Html(LabelSchemePage { page, frame, form, errors, saved }.render()?).into_response())
}
