//! `/admin/projects/{slug}/reviews/demonstrations`: what people wrote, for a reviewer to decide about, and what was decided.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::{Html, IntoResponse, Redirect},
};
use serde::Deserialize;

use super::{
    project::{Frame, InProject, actor},
    reviews::{PER_PAGE, Part, Queues, Wanted},
    show,
};
use crate::{
    db::{
        demonstration_reviews::{self, Listed},
        projects::Project,
        reviews::Counts,
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
    let Part { decided, number, pages, offset } = wanted.part(counts);
    let shown = DemonstrationReviewsPage {
        frame: Frame::new(&page, &project, "reviews"),
        page,
        queues: Queues::of(pool, project.id, "demonstrations").await?,
        queue: address(&project),
        counts,
        texts: demonstration_reviews::page(pool, project.id, user.id, decided, (PER_PAGE, offset)).await?,
        decided,
        done: wanted.done.is_some(),
        percent: demonstration_reviews::review_percent(pool, project.id).await?,
        number,
        pages,
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
