//! `GET /admin/projects/{slug}`: how far the project is, and where its loop stands.

use askama::Template;
use axum::{
    extract::State,
    response::{Html, IntoResponse},
};
use time::OffsetDateTime;

use super::{
    live::{self, Live},
    project::{Frame, InProject},
    show,
};
use crate::{
    db::{
        guidelines, job_list,
        job_list::Job,
        job_queue::{self, Readiness},
        models::{self, Model},
        promotions, reports, schedules,
    },
    web::{AppState, Page, PageError, authorise::Reviewer},
};

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct OverviewPage {
    page: Page,
    frame: Frame,
    description: String,
    prompts: i64,
    /// Prompts with a report that waits for a decision.
    reported: i64,
    /// What changes while people work, rendered.
    live: String,
    has_guidelines: bool,
    readiness: Readiness,
    answering: Option<Model>,
    promoted: bool,
    running: Option<Job>,
    last_run: Option<Job>,
    rounds: i32,
    next_run: Option<OffsetDateTime>,
}

impl OverviewPage {
    /// Whether the first steps are still to be taken.
    fn is_beginning(&self) -> bool {
        self.prompts == 0 || !self.has_guidelines || !self.readiness.has_base
    }
}

pub async fn get(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let pool = &state.pool;
    let Live { progress, html } = live::render(pool, &page, &project).await?;
    let mut connection = pool.acquire().await.map_err(anyhow::Error::from)?;
    let answering = promotions::answering(&mut connection, project.id).await?;
    let promoted = promotions::current(&mut *connection, project.id).await?.is_some();
    let readiness = job_queue::readiness(&mut connection, project.id).await?;
    drop(connection);
    let jobs = job_list::of_project(pool, project.id, 50).await?;
    let nightly = || jobs.iter().filter(|job| job.kind == "nightly");
    let schedule = schedules::of_project(pool, project.id).await?;
    let shown = OverviewPage {
        frame: Frame::new(&page, &project, "overview"),
        page,
        description: project.settings.description.clone(),
        prompts: progress.prompts,
        reported: reports::waiting(pool, project.id).await?,
        live: html,
        has_guidelines: guidelines::current(pool, project.id).await?.is_some(),
        readiness,
        answering,
        promoted,
        running: jobs.iter().find(|job| job.is_under_way()).cloned(),
        last_run: nightly().find(|job| !job.is_under_way()).cloned(),
        rounds: models::rounds(pool, project.id).await?,
        // The clock passes closed projects over.
        next_run: schedule.next_run(OffsetDateTime::now_utc()).filter(|_| project.archived_at.is_none()),
    };
    Ok(Html(shown.render()?))
}
