//! `/admin/projects/{slug}/reports`: prompts that people have reported, and what becomes of them.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::{Html, IntoResponse, Redirect},
};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    forms::Saved,
    project::{Frame, InProject, actor},
    show,
};
use crate::{
    db::reports::{self, Decision, Report},
    web::{
        AppState, Page, PageError,
        authorise::{Lead, Reviewer},
        csrf::CsrfForm,
    },
};

/// A prompt with its reports, the newest first.
struct Reported {
    prompt: Uuid,
    excerpt: String,
    withdrawn: bool,
    /// At least one report waits for a decision.
    waits: bool,
    reports: Vec<Report>,
}

#[derive(Template)]
#[template(path = "admin/reports.html")]
struct ReportsPage {
    page: Page,
    frame: Frame,
    saved: bool,
    prompts: Vec<Reported>,
}

pub async fn get(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(query): Query<Saved>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let mut prompts: Vec<Reported> = Vec::new();
    for report in reports::of_project(&state.pool, project.id).await? {
        match prompts.last_mut() {
            Some(last) if last.prompt == report.prompt => {
                last.waits |= report.decision.is_none();
                last.reports.push(report);
            }
            _ => prompts.push(Reported {
                prompt: report.prompt,
                excerpt: report.excerpt.clone(),
                withdrawn: report.withdrawn,
                waits: report.decision.is_none(),
                reports: vec![report],
            }),
        }
    }
    let frame = Frame::new(&page, &project, "prompts");
    Ok(Html(ReportsPage { page, frame, saved: query.saved.is_some(), prompts }.render()?))
}

#[derive(Debug, Deserialize)]
pub struct DecisionForm {
    /// `keep`, `withdraw` or `replace`.
    decision: String,
}

/// `POST /admin/projects/{slug}/reports/{prompt}`.
pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((slug, prompt)): Path<(String, Uuid)>,
    page: Page,
    CsrfForm(form): CsrfForm<DecisionForm>,
) -> Result<Redirect, PageError> {
    let decision = Decision::of(&form.decision).ok_or_else(|| PageError::Invalid(page.t("reports-error-decision")))?;
    reports::decide(&state.pool, &actor(&user), (project.id, &project.slug), prompt, decision).await?;
    Ok(Redirect::to(&format!("/admin/projects/{slug}/reports?saved=1")))
}
