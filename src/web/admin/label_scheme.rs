//! `/admin/projects/{slug}/label-scheme`: what people are asked to say of each answer besides its rank.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{Html, IntoResponse, Redirect, Response},
};

use super::{
    forms::{Errors, Saved, Told},
    label_scheme_form::{LONGEST_HINT, LONGEST_NAME, SchemeForm},
    project::{Frame, InProject, actor},
};
use crate::{
    db::{drawn::SaveError, label_schemes, projects::Project},
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
    meanwhile: bool,
}

pub async fn get(
    _: Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Saved>,
    page: Page,
) -> Result<Response, PageError> {
    let form = SchemeForm::of(&label_schemes::of_project(&state.pool, project.id).await?);
    show(page, &project, form, Told::saved(&query))
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
    let scheme = match form.read(&page) {
        Ok(scheme) => scheme,
        Err(errors) => return show(page, &project, form, Told::wrong(errors)),
    };
    let of = (project.id, project.slug.as_str());
    match label_schemes::save(&state.pool, &actor(&user), of, &form.drawn, scheme).await {
        Ok(()) => Ok(Redirect::to(&format!("/admin/projects/{}/label-scheme?saved=1", project.slug)).into_response()),
        Err(SaveError::Changed(drawn)) => {
            form.drawn = drawn;
            show(page, &project, form, Told::meanwhile())
        }
        Err(SaveError::Database(error)) => Err(error.into()),
    }
}

fn show(page: Page, project: &Project, form: SchemeForm, told: Told) -> Result<Response, PageError> {
    let frame = Frame::new(&page, project, "label-scheme");
    let status = told.status();
    let Told { errors, saved, meanwhile } = told;
    let shown = LabelSchemePage { page, frame, form, errors, saved, meanwhile };
    Ok((status, Html(shown.render()?)).into_response())
}
