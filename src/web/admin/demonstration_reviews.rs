//! `/admin/projects/{slug}/reviews/demonstrations`: what people wrote, for a reviewer to decide about, and what was decided.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    project::{Frame, InProject, actor},
    reviews::{PER_PAGE, Part, Queues, Wanted},
    show,
};
use crate::{
    db::{
        demonstration_reviews::{self, Listed},
        drawn::{DrawnWith, SaveError},
        projects::Project,
        reviews::{self, Counts},
    },
    web::{
        AppState, Page, PageError,
        authorise::{Lead, Reviewer},
        csrf::CsrfForm,
    },
};

#[derive(Template)]
#[template(path = "admin/demonstration_reviews.html")]
struct DemonstrationReviewsPage {
    page: Page,
    frame: Frame,
    queues: Queues,
    /// The address of this page.
    queue: String,
    counts: Counts,
    texts: Vec<Listed>,
    decided: bool,
    done: bool,
    percent: i32,
    drawn: DrawnWith,
    meanwhile: bool,
    number: i64,
    pages: i64,
}

/// The address of the queue of a project.
pub fn address(project: &Project) -> String {
    format!("/admin/projects/{}/reviews/demonstrations", project.slug)
}

pub async fn get(
    Reviewer(user): Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    Ok(Html(build(&state.pool, page, &project, user.id, &wanted).await?.render()?))
}

async fn build(
    pool: &PgPool,
    page: Page,
    project: &Project,
    reviewer: Uuid,
    wanted: &Wanted,
) -> Result<DemonstrationReviewsPage, PageError> {
    let counts = demonstration_reviews::counts(pool, project.id).await?;
    let rankings = reviews::counts(pool, project.id).await?.waiting;
    let Part { decided, number, pages, offset } = wanted.part(counts);
    let percent = demonstration_reviews::review_percent(pool, project.id).await?;
    Ok(DemonstrationReviewsPage {
        frame: Frame::new(&page, project, "reviews"),
        page,
        queues: Queues { open: "demonstrations", rankings, demonstrations: counts.waiting },
        queue: address(project),
        counts,
        texts: demonstration_reviews::page(pool, project.id, reviewer, decided, (PER_PAGE, offset)).await?,
        decided,
        done: wanted.done.is_some(),
        percent,
        drawn: demonstration_reviews::review_drawn_with(percent),
        meanwhile: false,
        number,
        pages,
    })
}

#[derive(Debug, Deserialize)]
pub struct ShareForm {
    #[serde(default)]
    percent: String,
    #[serde(default)]
    drawn: DrawnWith,
}

/// `POST /admin/projects/{slug}/reviews/demonstrations`: the share of the texts that waits for a reviewer.
pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(form): CsrfForm<ShareForm>,
) -> Result<Response, PageError> {
    let percent = form.percent.trim().parse::<i32>().ok().filter(|percent| (0..=100).contains(percent));
    let percent = percent.ok_or_else(|| PageError::Invalid(page.t2("admin-error-range", "from", 0, "to", 100)))?;
    let of = (project.id, project.slug.as_str());
    match demonstration_reviews::set_review_percent(&state.pool, &actor(&user), of, &form.drawn, percent).await {
        Ok(()) => Ok(Redirect::to(&address(&project)).into_response()),
        Err(SaveError::Changed(drawn)) => {
            let standing = build(&state.pool, page, &project, user.id, &Wanted::default()).await?;
            let shown = DemonstrationReviewsPage { percent, drawn, meanwhile: true, ..standing };
            Ok((StatusCode::CONFLICT, Html(shown.render()?)).into_response())
        }
        Err(SaveError::Database(error)) => Err(error.into()),
    }
}
