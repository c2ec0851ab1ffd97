//! `/admin/projects/{slug}/reviews/demonstrations`: what people wrote, for a reviewer to decide about, and what was decided.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{Html, IntoResponse, Redirect},
};
use serde::Deserialize;

use super::{
    project::{Frame, InProject, actor},
    reviews::{PER_PAGE, Queues},
    show,
};
use crate::{
    db::{
        demonstration_reviews::{self, Counts, Listed},
        projects::Project,
    },
    web::{
        AppState, Page, PageError,
        authorise::{Lead, Reviewer},
        csrf::CsrfForm,
    },
};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// `decided` shows those; otherwise those that wait.
    state: String,
    page: String,
    done: Option<String>,
}

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
    let pool = &state.pool;
    let counts = demonstration_reviews::counts(pool, project.id).await?;
    let decided = wanted.state == "decided";
    let number = wanted.page.parse::<i64>().unwrap_or(1).clamp(1, 1_000_000);
    let total = if decided { counts.decided } else { counts.waiting };
    let part = (PER_PAGE, (number - 1) * PER_PAGE);
    let shown = DemonstrationReviewsPage {
        frame: Frame::new(&page, &project, "reviews"),
        page,
        queues: Queues::of(pool, project.id, "demonstrations").await?,
        queue: address(&project),
        counts,
        texts: demonstration_reviews::page(pool, project.id, user.id, decided, part).await?,
        decided,
        done: wanted.done.is_some(),
        percent: demonstration_reviews::review_percent(pool, project.id).await?,
        number,
        pages: (total + PER_PAGE - 1) / PER_PAGE,
    };
    Ok(Html(shown.render()?))
}

#[derive(Debug, Deserialize)]
pub struct ShareForm {
    #[serde(default)]
    percent: String,
}

/// `POST /admin/projects/{slug}/reviews/demonstrations`: the share of the texts that waits for a reviewer.
pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(form): CsrfForm<ShareForm>,
) -> Result<Redirect, PageError> {
    let percent = form.percent.trim().parse::<i32>().ok().filter(|percent| (0..=100).contains(percent));
    let percent = percent.ok_or_else(|| PageError::Invalid(page.t2("admin-error-range", "from", 0, "to", 100)))?;
    let of = (project.id, project.slug.as_str());
    demonstration_reviews::set_review_percent(&state.pool, &actor(&user), of, percent).await?;
    Ok(Redirect::to(&address(&project)))
}
