//! `/admin/projects/{slug}/guidelines`: what annotators read; each saved text is a new version.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;

use super::{
    project::{Frame, InProject, actor},
    show,
};
use crate::{
    db::{
        drawn::{DrawnWith, SaveError},
        guidelines::{self, Guideline, Reader},
    },
    web::{
        AppState, Page, PageError,
        authorise::{Lead, Reviewer},
        csrf::CsrfForm,
        markdown,
    },
};

/// Characters that guidelines may have.
const LONGEST: usize = 200_000;

#[derive(Template)]
#[template(path = "admin/guidelines.html")]
struct GuidelinesPage {
    page: Page,
    frame: Frame,
    body: String,
    preview: String,
    /// Whether the text shown is saved.
    unsaved: bool,
    error: Option<String>,
    drawn: DrawnWith,
    meanwhile: bool,
    saved: Option<i32>,
    /// The version that is shown in place of the newest.
    shown_version: Option<i32>,
    history: Vec<Guideline>,
    readers: Vec<Reader>,
}

impl GuidelinesPage {
    /// Whether somebody has yet to read the newest version.
    fn is_behind(&self, reader: &Reader) -> bool {
        reader.version < self.history.first().map(|newest| newest.version)
    }
}

#[derive(Deserialize)]
pub struct Shown {
    saved: Option<i32>,
    version: Option<i32>,
}

pub async fn get(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Shown>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let history = guidelines::history(&state.pool, project.id).await?;
    let wanted = match query.version {
        Some(version) => Some(history.iter().find(|entry| entry.version == version).ok_or(PageError::NotFound)?),
        None => history.first(),
    };
    let body = wanted.map(|entry| entry.body.clone()).unwrap_or_default();
    let shown = GuidelinesPage {
        frame: Frame::new(&page, &project, "guidelines"),
        page,
        preview: markdown::render(&body),
        body,
        unsaved: false,
        error: None,
        drawn: guidelines::drawn_with(history.first().map(|newest| newest.version)),
        meanwhile: false,
        saved: query.saved,
        shown_version: query.version,
        history,
        readers: guidelines::readers(&state.pool, project.id).await?,
    };
    Ok(Html(shown.render()?))
}

#[derive(Deserialize)]
pub struct GuidelinesForm {
    #[serde(default)]
    body: String,
    #[serde(default)]
    drawn: DrawnWith,
    /// `preview` or `save`: which button was pressed.
    #[serde(default)]
    action: String,
}

pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(form): CsrfForm<GuidelinesForm>,
) -> Result<Response, PageError> {
    let body = form.body.replace("\r\n", "\n").replace('\0', "").trim_end().to_owned();
    let error = if body.trim().is_empty() {
        Some(page.t("admin-error-empty"))
    } else if body.chars().count() > LONGEST {
        Some(page.t1("admin-error-long", "most", LONGEST))
    } else {
        None
    };
    let (mut drawn, mut meanwhile) = (form.drawn, false);
    if error.is_none() && form.action != "preview" {
        let of = (project.id, project.slug.as_str());
        match guidelines::save(&state.pool, &actor(&user), of, &drawn, &body).await {
            Ok(version) => {
                let address = format!("/admin/projects/{}/guidelines?saved={version}", project.slug);
                return Ok(Redirect::to(&address).into_response());
            }
            Err(SaveError::Changed(now)) => (drawn, meanwhile) = (now, true),
            Err(SaveError::Database(error)) => return Err(error.into()),
        }
    }
    let status = match (meanwhile, &error) {
        (true, _) => StatusCode::CONFLICT,
        (false, Some(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        (false, None) => StatusCode::OK,
    };
    let shown = GuidelinesPage {
        frame: Frame::new(&page, &project, "guidelines"),
        page,
        preview: markdown::render(&body),
        body,
        unsaved: true,
        error,
        drawn,
        meanwhile,
        saved: None,
        shown_version: None,
        history: guidelines::history(&state.pool, project.id).await?,
        readers: guidelines::readers(&state.pool, project.id).await?,
    };
    Ok((status, Html(shown.render()?)).into_response())
}
