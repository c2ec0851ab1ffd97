//! The part of a project's overview that changes while people work: drawn into the page, sent anew as server-sent events, and
//! its chart as a CSV file.

use std::convert::Infallible;

use askama::Template;
use axum::{
    extract::State,
    response::{
        IntoResponse,
        sse::{Event, Sse},
    },
};
use futures_util::Stream;
use sqlx::PgPool;
use time::OffsetDateTime;

use super::{
    chart::{self, Chart, Who},
    figures, parts,
    project::{Frame, InProject},
    quality::{self, KnownWeeks},
    show, table_file,
};
use crate::{
    db::{
        daily::{self, Pulse},
        overview::{self, PersonCount, Progress, PromptCounts},
        projects::Project,
    },
    domain::pace::{self, Forecast},
    web::{AppState, Page, PageError, authorise::Reviewer},
};

/// Days that the chart shows.
const DAYS: i32 = 30;
/// Days that the file has.
const DAYS_IN_FILE: i32 = 366;

#[derive(Template)]
#[template(path = "admin/overview_live.html")]
struct LivePart<'a> {
    page: &'a Page,
    frame: Frame,
    progress: Progress,
    pulse: Pulse,
    counts: Vec<PromptCounts>,
    forecast: Forecast,
    chart: Chart,
    days: i32,
    people: Vec<PersonCount>,
    weeks: Option<KnownWeeks>,
}

impl LivePart<'_> {
    /// Prompts of every split and language together.
    fn totals(&self) -> PromptCounts {
        let sum = |of: fn(&PromptCounts) -> i64| self.counts.iter().map(of).sum();
        PromptCounts {
            split: String::new(),
            language: None,
            waiting: sum(|row| row.waiting),
            under_way: sum(|row| row.under_way),
            done: sum(|row| row.done),
            idle: sum(|row| row.idle),
        }
    }

    fn name(&self, who: &Who) -> String {
        match who {
            Who::Person(name) => name.clone(),
            Who::Imported => self.page.t("overview-imported"),
            Who::Others => self.page.t("overview-others"),
        }
    }

    /// Whether no task asks for a label: then none is finished either.
    fn is_nothing_asked(&self) -> bool {
        let Progress { demonstrations_wanted, rankings_wanted, comparisons_wanted, prompts_wanted, .. } = self.progress;
        demonstrations_wanted + rankings_wanted + comparisons_wanted + prompts_wanted == 0
    }

    /// The rule of the forecast with its numbers.
    fn rule(&self) -> String {
        let remaining = show::count(self.pulse.remaining());
        match self.forecast {
            Forecast::At(pace) => self.page.translator.with(
                "overview-finish-rule",
                &[
                    ("remaining", remaining.into()),
                    ("rate", show::about(pace.labels_a_day).into()),
                    ("days", pace.days.into()),
                    ("needed", pace.days_needed.into()),
                ],
            ),
            Forecast::NoPace => self.page.t1("overview-finish-unknown-why", "remaining", remaining),
            Forecast::Finished => String::new(),
        }
    }
}

/// The part, and the totals that the page around it wants too.
pub struct Live {
    pub progress: Progress,
    pub html: String,
}

/// Draws the part as it is now.
pub async fn render(pool: &PgPool, page: &Page, project: &Project) -> Result<Live, PageError> {
    let today = OffsetDateTime::now_utc().date();
    let pulse = daily::pulse(pool, project.id).await?;
    let progress = overview::progress(pool, project.id).await?;
    let part = LivePart {
        frame: Frame::new(page, project, "overview"),
        page,
        progress,
        pulse,
        counts: overview::prompt_counts(pool, project.id).await?,
        forecast: pace::forecast(&daily::counted(pool, project.id).await?, today, pulse.remaining()),
        chart: chart::stacked(&daily::by_person(pool, project.id, DAYS).await?, today, DAYS),
        days: DAYS,
        people: overview::labels_by_person(pool, project.id).await?,
        weeks: quality::weeks_meanwhile(pool, project.id).await?,
    };
    Ok(Live { progress, html: part.render()? })
}

/// The part as one who looks at it sees it.
struct Watched {
    pool: PgPool,
    page: Page,
    project: Project,
}

impl parts::Part for Watched {
    type Pulse = Pulse;

    async fn pulse(&self) -> sqlx::Result<Pulse> {
        daily::pulse(&self.pool, self.project.id).await
    }

    async fn draw(&self) -> Result<String, PageError> {
        Ok(render(&self.pool, &self.page, &self.project).await?.html)
    }
}

/// `GET /admin/projects/{slug}/events`: the part at once, and again whenever it has changed.
pub async fn events(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    parts::follow(Watched { pool: state.pool.clone(), page, project })
}

/// `GET /admin/projects/{slug}/labels.csv`: labels a day by person, of everybody.
pub async fn labels(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
) -> Result<impl IntoResponse, PageError> {
    let labels = daily::by_person(&state.pool, project.id, DAYS_IN_FILE).await?;
    let rows = labels.into_iter().map(|label| {
        vec![
            show::day(label.day),
            label.name.unwrap_or_default(),
            label.demonstrations.to_string(),
            label.rankings.to_string(),
            label.prompts.to_string(),
        ]
    });
    let name = format!("{}-labels.csv", project.slug);
    table_file::csv(&name, &["day", "annotator", "demonstrations", "rankings", "prompts"], rows)
}
