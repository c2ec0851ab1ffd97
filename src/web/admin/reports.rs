//! `/admin/projects/{slug}/reports`: prompts that people have reported or skipped for what they are, briefs of prompts to write among
//! them, and what becomes of them.

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

/// A prompt or a brief with its reports, the newest first.
struct Reported {
    subject: Uuid,
    /// The kind of prompt that a brief asks for; nothing where this is a prompt.
    brief: Option<String>,
    excerpt: String,
    withdrawn: bool,
    /// The prompt that its writer has put in its place.
    newer: Option<Uuid>,
    skipped_by: i64,
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
            Some(last) if last.subject == report.subject => {
                last.waits |= report.decision.is_none();
                last.reports.push(report);
            }
            _ => prompts.push(Reported {
                subject: report.subject,
                brief: report.brief.clone(),
                excerpt: report.excerpt.clone(),
                withdrawn: report.withdrawn,
                newer: report.newer,
                skipped_by: report.skipped_by,
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

/// `POST /admin/projects/{slug}/reports/{id}`, of a prompt or a brief.
pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((slug, subject)): Path<(String, Uuid)>,
    page: Page,
    CsrfForm(form): CsrfForm<DecisionForm>,
) -> Result<Redirect, PageError> {
    let decision = Decision::of(&form.decision).ok_or_else(|| PageError::Invalid(page.t("reports-error-decision")))?;
    reports::decide(&state.pool, &actor(&user), (project.id, &project.slug), subject, decision).await?;
    Ok(Redirect::to(&format!("/admin/projects/{slug}/reports?saved=1")))
}
