//! `/admin/projects/{slug}/reviews`: tasks whose rankings disagree and a random share of the others, for a reviewer to decide.

use askama::Template;
use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sqlx::PgPool;

use super::{
    figures,
    project::{Frame, InProject, actor},
    show,
};
use crate::{
    db::{
        demonstration_reviews,
        drawn::{DrawnWith, SaveError},
        projects::Project,
        reviews::{self, Counts, Waiting},
    },
    web::{
        AppState, Page, PageError,
        authorise::{Lead, Reviewer},
        csrf::CsrfForm,
    },
};

/// Lines of a page of a queue.
pub const PER_PAGE: i64 = 50;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// `decided` shows those; otherwise those that wait.
    state: String,
    page: String,
    pub done: Option<String>,
}

/// The lines of a queue that are shown.
pub struct Part {
    /// Those that are decided, or those that wait.
    pub decided: bool,
    /// From 1.
    pub number: i64,
    pub pages: i64,
    pub offset: i64,
}

impl Wanted {
    /// What is asked for, of so many lines.
    pub fn part(&self, counts: Counts) -> Part {
        let decided = self.state == "decided";
        let total = if decided { counts.decided } else { counts.waiting };
        let pages = (total + PER_PAGE - 1) / PER_PAGE;
        // What waits is decided meanwhile: of a page that is no longer there, the last one is shown.
        let number = self.page.parse::<i64>().unwrap_or(1).clamp(1, pages.max(1));
        Part { decided, number, pages, offset: (number - 1) * PER_PAGE }
    }
}

/// The queues of a project, for the way from one to the other.
pub struct Queues {
    /// The one that is open: `rankings` or `demonstrations`.
    pub open: &'static str,
    /// How much waits in each.
    pub rankings: i64,
    pub demonstrations: i64,
}

impl Queues {
    /// `page` for the open one, for `aria-current`.
    pub fn here(&self, queue: &str) -> &'static str {
        if self.open == queue { "page" } else { "false" }
    }
}

#[derive(Template)]
#[template(path = "admin/reviews.html")]
struct ReviewsPage {
    page: Page,
    frame: Frame,
    queues: Queues,
    counts: Counts,
    tasks: Vec<Waiting>,
    decided: bool,
    done: bool,
    audit_percent: i32,
    drawn: DrawnWith,
    meanwhile: bool,
    number: i64,
    pages: i64,
}

pub async fn get(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    Ok(Html(build(&state.pool, page, &project, &wanted).await?.render()?))
}

async fn build(pool: &PgPool, page: Page, project: &Project, wanted: &Wanted) -> Result<ReviewsPage, PageError> {
    reviews::compare_new(pool, project.id).await?;
    let counts = reviews::counts(pool, project.id).await?;
    let demonstrations = demonstration_reviews::counts(pool, project.id).await?.waiting;
    let Part { decided, number, pages, offset } = wanted.part(counts);
    let audit_percent = reviews::audit_percent(pool, project.id).await?;
    Ok(ReviewsPage {
        frame: Frame::new(&page, project, "reviews"),
        page,
        queues: Queues { open: "rankings", rankings: counts.waiting, demonstrations },
        counts,
        tasks: reviews::page(pool, project.id, decided, PER_PAGE, offset).await?,
        decided,
        done: wanted.done.is_some(),
        audit_percent,
        drawn: reviews::audit_drawn_with(audit_percent),
        meanwhile: false,
        number,
        pages,
    })
}

#[derive(Debug, Deserialize)]
pub struct AuditForm {
    #[serde(default)]
    audit_percent: String,
    #[serde(default)]
    drawn: DrawnWith,
}

/// `POST /admin/projects/{slug}/reviews`: the share of undisputed tasks that are looked at.
pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(form): CsrfForm<AuditForm>,
) -> Result<Response, PageError> {
    let percent = form.audit_percent.trim().parse::<i32>().ok().filter(|percent| (0..=100).contains(percent));
    let percent = percent.ok_or_else(|| PageError::Invalid(page.t2("admin-error-range", "from", 0, "to", 100)))?;
    let of = (project.id, project.slug.as_str());
    match reviews::set_audit_percent(&state.pool, &actor(&user), of, &form.drawn, percent).await {
        Ok(()) => Ok(Redirect::to(&format!("/admin/projects/{}/reviews", project.slug)).into_response()),
        Err(SaveError::Changed(drawn)) => {
            let standing = build(&state.pool, page, &project, &Wanted::default()).await?;
            let shown = ReviewsPage { audit_percent: percent, drawn, meanwhile: true, ..standing };
            Ok((StatusCode::CONFLICT, Html(shown.render()?)).into_response())
        }
        Err(SaveError::Database(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_gone_shows_the_last_lines_and_not_that_there_are_none() {
        let part = |page: &str, waiting: i64| {
            let wanted = Wanted { page: page.to_owned(), ..Wanted::default() };
            let part = wanted.part(Counts { waiting, decided: 0 });
            (part.number, part.pages, part.offset)
        };
        assert_eq!(part("2", 51), (2, 2, 50));
        assert_eq!(part("2", 50), (1, 1, 0));
        assert_eq!((part("", 0), part("-3", 120)), ((1, 0, 0), (1, 3, 0)));
    }
}
