//! The blind tests of a project on the leaderboard's page: how they stand and what they wait for, a page at a time, kept up to date
//! while somebody looks at them.

use std::convert::Infallible;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::sse::{Event, Sse},
};
use futures_util::Stream;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    blind_tests::{answers_of, refusals},
    figures,
    leaderboard::Wanted,
    parts,
    project::{Frame, InProject},
    reasons, show,
};
use crate::{
    db::{
        blind_tests::{self, BlindTest},
        blind_waits::{self, Awaited, Pulse, Waiting, WritingJob},
        leaderboard,
        projects::Project,
    },
    domain::statistics::proportion::{self, Proportion},
    web::{AppState, Page, PageError, authorise::Reviewer},
};

/// Tests of a page of the list.
const PER_PAGE: usize = 20;

/// A blind test with what it says of the first model.
struct ShownTest {
    test: BlindTest,
    wins: i64,
    losses: i64,
    ties: i64,
    /// Share of the decided comparisons that the first model won; by prompt.
    share: Option<Proportion>,
    /// Said where it has fewer prompts than were asked for, and waits for none.
    few: Option<String>,
}

/// A job of a test that waits.
struct ShownJob {
    job: WritingJob,
    /// Said where it has ended and answers are still awaited.
    trouble: Option<String>,
    /// Why it ended so, where that is known.
    error: Option<String>,
}

/// A test that waits for answers.
struct ShownWaiting {
    test: Uuid,
    name: String,
    created_at: OffsetDateTime,
    /// How many answers of which model.
    awaited: String,
    jobs: Vec<ShownJob>,
    /// Answers are awaited that nobody writes.
    is_stuck: bool,
}

/// The part of the page that is about blind tests.
pub struct Section {
    /// The tests as they stand.
    pub html: String,
    /// The address that says how they stand from now on.
    pub events: String,
    /// Models that can be tested, with how many prompts they have answered.
    pub models: Vec<(String, i64)>,
}

impl Section {
    pub async fn load(pool: &PgPool, page: &Page, project: &Project, wanted: &Wanted) -> Result<Self, PageError> {
        let query = wanted.query(wanted.before())?;
        Ok(Section {
            html: render(pool, page, project, wanted).await?,
            events: format!("/admin/projects/{}/blind-tests/events?{query}", project.slug),
            models: leaderboard::models(pool, project.id).await?,
        })
    }
}

#[derive(Template)]
#[template(path = "admin/blind_tests_live.html")]
struct ListPart<'a> {
    page: &'a Page,
    frame: Frame,
    tests: Vec<ShownTest>,
    /// Which tests these are, of how many.
    shown: Option<String>,
    /// Addresses of the first page, on every other one, and of the next.
    first: Option<String>,
    next: Option<String>,
    waiting: Vec<ShownWaiting>,
}

/// Draws the tests as they stand now.
async fn render(pool: &PgPool, page: &Page, project: &Project, wanted: &Wanted) -> Result<String, PageError> {
    let before = wanted.before();
    let limit = PER_PAGE as i64 + 1;
    let mut tests = blind_tests::of_project(pool, project.id, wanted.people_only(), before, limit).await?;
    let (total, newer) = blind_tests::count(pool, project.id, before).await?;
    let waiting = blind_waits::waiting(pool, project.id).await?;
    let is_last = tests.len() <= PER_PAGE;
    tests.truncate(PER_PAGE);
    let address = |before: Option<Uuid>| -> Result<String, PageError> {
        Ok(format!("/admin/projects/{}/leaderboard?{}#blind-tests", project.slug, wanted.query(before)?))
    };
    let part = ListPart {
        page,
        frame: Frame::new(page, project, "leaderboard"),
        shown: shown(page, newer, tests.len() as i64, total),
        first: before.map(|_| address(None)).transpose()?,
        next: tests.last().filter(|_| !is_last).map(|last| address(Some(last.id))).transpose()?,
        tests: tests.into_iter().map(|test| shown_test(page, test)).collect(),
        waiting: waiting.into_iter().map(|test| shown_waiting(page, test)).collect(),
    };
    Ok(part.render()?)
}

/// “Tests 21 to 40 of 63”; nothing where there are none.
fn shown(page: &Page, newer: i64, here: i64, total: i64) -> Option<String> {
    if here == 0 {
        return None;
    }
    let (from, until) = (newer + 1, newer + here);
    let told = [("from", from.into()), ("until", until.into()), ("count", total.into())];
    Some(page.translator.with("board-tests-shown", &told))
}

fn shown_test(page: &Page, test: BlindTest) -> ShownTest {
    let sum = |part: fn(&(i64, i64, i64)) -> i64| test.outcomes.iter().map(part).sum();
    let (wins, losses, ties) = (sum(|one| one.0), sum(|one| one.1), sum(|one| one.2));
    let clusters = test.outcomes.iter().map(|(first, second, _)| (*first as f64, (first + second) as f64));
    ShownTest { wins, losses, ties, share: proportion::clustered(clusters), few: few(page, &test), test }
}

/// That a test has fewer prompts than were asked for, and which model can't be asked for more.
fn few(page: &Page, test: &BlindTest) -> Option<String> {
    let wanted = i64::from(test.prompts?);
    if test.waits || test.tasks >= wanted {
        return None;
    }
    let mut said = vec![page.t2("board-test-short", "tasks", test.tasks, "wanted", wanted)];
    said.extend(refusals(page, [(&test.first, test.first_cannot), (&test.second, test.second_cannot)]));
    Some(said.join(" "))
}

fn shown_waiting(page: &Page, waiting: Waiting) -> ShownWaiting {
    let Waiting { test, created_at, first, second } = waiting;
    ShownWaiting {
        test,
        name: format!("{} : {}", first.model, second.model),
        created_at,
        awaited: answers_of(page, [(&first.model, first.answers), (&second.model, second.answers)]),
        is_stuck: first.is_stuck() || second.is_stuck(),
        jobs: [first, second].into_iter().filter_map(|awaited| shown_job(page, awaited)).collect(),
    }
}

/// The job that is to bring what is awaited of a model.
fn shown_job(page: &Page, awaited: Awaited) -> Option<ShownJob> {
    let is_stuck = awaited.is_stuck();
    let job = awaited.job.filter(|_| awaited.answers > 0)?;
    let trouble = is_stuck.then(|| page.word("board-job", &job.state));
    let error = job.error.as_deref().filter(|_| is_stuck).map(|error| reasons::job(page, error));
    Some(ShownJob { job, trouble, error })
}

/// The tests as one who looks at them sees them.
struct Watched {
    pool: PgPool,
    page: Page,
    project: Project,
    wanted: Wanted,
}

impl parts::Part for Watched {
    type Pulse = Pulse;

    async fn pulse(&self) -> sqlx::Result<Pulse> {
        blind_waits::pulse(&self.pool, self.project.id).await
    }

    async fn draw(&self) -> Result<String, PageError> {
        render(&self.pool, &self.page, &self.project, &self.wanted).await
    }
}

/// `GET /admin/projects/{slug}/blind-tests/events`: the tests at once, and again whenever something has changed.
pub async fn events(
    _: Reviewer,
    State(state): State<AppState>,
    InProject(project): InProject,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    parts::follow(Watched { pool: state.pool.clone(), page, project, wanted })
}
