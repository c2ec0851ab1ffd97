//! Blind tests on the leaderboard's page: how they stand and what they wait for; making one, and having the answers written that it
//! lacks.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    project::{Frame, InProject, actor},
    reasons,
};
use crate::{
    db::{
        blind_answers::{self, CannotWrite, Lack, Outlook},
        blind_tests::{self, BlindTest, Made, NewTest},
        blind_waits::{self, AgainError, Awaited, Waiting, WritingJob},
        leaderboard,
        tasks::CreateTaskError,
    },
    domain::statistics::proportion::{self, Proportion},
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm},
};

/// Prompts that a blind test may have.
const MOST_PROMPTS: i32 = 10_000;

/// A blind test with what it says of the first model.
pub struct ShownTest {
    pub test: BlindTest,
    pub wins: i64,
    pub losses: i64,
    pub ties: i64,
    /// Share of the decided comparisons that the first model won; by prompt.
    pub share: Option<Proportion>,
    /// Said where it has fewer prompts than were asked for, and waits for none.
    pub few: Option<String>,
}

/// A job of a test that waits.
pub struct ShownJob {
    pub job: WritingJob,
    /// Said where it has ended and answers are still awaited.
    pub trouble: Option<String>,
    /// Why it ended so, where that is known.
    pub error: Option<String>,
}

/// A test that waits for answers.
pub struct ShownWaiting {
    pub test: Uuid,
    pub name: String,
    pub created_at: OffsetDateTime,
    /// How many answers of which model.
    pub awaited: String,
    pub jobs: Vec<ShownJob>,
    /// Answers are awaited that nobody writes.
    pub is_stuck: bool,
}

/// The part of the page that is about blind tests.
pub struct Section {
    pub tests: Vec<ShownTest>,
    pub waiting: Vec<ShownWaiting>,
    /// Models that can be tested, with how many prompts they have answered.
    pub models: Vec<(String, i64)>,
}

impl Section {
    pub async fn load(pool: &PgPool, page: &Page, project: Uuid, people_only: bool) -> sqlx::Result<Self> {
        let tests = blind_tests::of_project(pool, project, people_only).await?;
        let waiting = blind_waits::waiting(pool, project).await?;
        Ok(Section {
            tests: tests.into_iter().map(|test| shown_test(page, test)).collect(),
            waiting: waiting.into_iter().map(|test| shown_waiting(page, test)).collect(),
            models: leaderboard::models(pool, project).await?,
        })
    }
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

/// “3 answers of sft-1 and 5 answers of ppo-2”; a model that lacks none is not named.
fn answers_of(page: &Page, models: [(&String, i64); 2]) -> String {
    let [first, second] = models
        .map(|(model, answers)| (answers > 0).then(|| page.t2("board-answers", "count", answers, "model", model)));
    match (first, second) {
        (Some(first), Some(second)) => page.t2("board-answers-both", "first", first, "second", second),
        (first, second) => first.or(second).unwrap_or_default(),
    }
}

fn cannot(page: &Page, model: &str, why: CannotWrite) -> String {
    page.t1(&format!("board-cannot-{}", why.as_str()), "model", model)
}

/// Why models can't be asked for answers.
fn refusals(page: &Page, models: [(&String, Option<CannotWrite>); 2]) -> Vec<String> {
    models.into_iter().filter_map(|(model, why)| Some(cannot(page, model, why?))).collect()
}

/// The same of a test that is to be made.
fn refusals_of(page: &Page, form: &TestForm, outlook: &Outlook) -> Vec<String> {
    let why = |lack: &Lack| lack.writer.as_ref().err().copied();
    refusals(page, [(&form.first, why(&outlook.lacking.first)), (&form.second, why(&outlook.lacking.second))])
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct TestForm {
    /// The id of the test that is to be written for, so that a form that is sent twice asks once.
    test: String,
    first: String,
    second: String,
    prompts: String,
    tag: String,
    language: String,
    split: String,
    /// `write` has answers written that lack, `leave` does without them; empty where the lead has not been asked yet.
    missing: String,
}

/// What a lead is asked where too few prompts have answers of both.
#[derive(Template)]
#[template(path = "admin/blind_test.html")]
struct OfferPage {
    page: Page,
    frame: Frame,
    form: TestForm,
    test: Uuid,
    prompts: i32,
    outlook: Outlook,
}

impl OfferPage {
    /// Prompts that lack an answer.
    fn missing(&self) -> i64 {
        i64::from(self.prompts) - self.outlook.both
    }

    /// Even with what can be written there are fewer prompts than are asked for.
    fn is_short(&self) -> bool {
        self.outlook.lacking.prompts() < self.missing()
    }

    fn answers(&self) -> String {
        let lacking = &self.outlook.lacking;
        answers_of(&self.page, [(&self.form.first, lacking.first.answers), (&self.form.second, lacking.second.answers)])
    }

    fn refusals(&self) -> Vec<String> {
        refusals_of(&self.page, &self.form, &self.outlook)
    }
}

/// `POST /admin/projects/{slug}/leaderboard`: makes a blind test. Where too few prompts have answers of both, and the others can be
/// written, it asks first.
pub async fn post(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    page: Page,
    CsrfForm(form): CsrfForm<TestForm>,
) -> Result<Response, PageError> {
    let models = leaderboard::models(&state.pool, project.id).await?;
    let known = |name: &str| models.iter().any(|(model, _)| model == name);
    if form.first == form.second || !known(&form.first) || !known(&form.second) {
        return Err(PageError::Invalid(page.t("board-test-two")));
    }
    let prompts = form.prompts.trim().parse::<i32>().ok().filter(|prompts| (1..=MOST_PROMPTS).contains(prompts));
    let prompts =
        prompts.ok_or_else(|| PageError::Invalid(page.t2("admin-error-range", "from", 1, "to", MOST_PROMPTS)))?;
    let closed = project.archived_at.is_some();
    let writes = form.missing == "write";
    let offered = form.test.parse::<Uuid>().ok().filter(|_| writes);
    let new = NewTest {
        id: offered.unwrap_or_else(Uuid::now_v7),
        project: project.id,
        slug: &project.slug,
        first: &form.first,
        second: &form.second,
        prompts,
        tag: &form.tag,
        language: &form.language,
        split: &form.split,
        writes,
    };
    if writes && closed {
        return Err(PageError::Conflict(page.t("close-no-run")));
    }
    if form.missing.is_empty() && !closed {
        let outlook = blind_answers::outlook(&state.pool, &new).await?;
        if !outlook.lacking.is_empty() {
            let (frame, test) = (Frame::new(&page, &project, "leaderboard"), new.id);
            let shown = OfferPage { page, frame, test, prompts, outlook, form };
            return Ok(Html(shown.render()?).into_response());
        }
    }
    let made = match blind_tests::create(&state.pool, &actor(&user), new).await {
        Ok(made) => made,
        Err(CreateTaskError::Database(error)) => return Err(error.into()),
        Err(other) => return Err(PageError::Invalid(other.to_string())),
    };
    if made == Made::default() {
        let outlook = blind_answers::outlook(&state.pool, &new).await?;
        let mut said = vec![page.t("board-test-none")];
        said.extend(refusals_of(&page, &form, &outlook));
        return Err(PageError::Invalid(said.join(" ")));
    }
    let told = [("made", made.tasks), ("asked", made.answers)];
    let told = told.into_iter().filter(|(_, number)| *number > 0).map(|(name, number)| format!("{name}={number}"));
    let told: Vec<String> = told.collect();
    let address = format!("/admin/projects/{}/leaderboard?{}#blind-tests", project.slug, told.join("&"));
    Ok(Redirect::to(&address).into_response())
}

#[derive(Debug, Deserialize)]
pub struct SettleForm {
    /// `again` or `enough`.
    then: String,
}

/// `POST /admin/projects/{slug}/blind-tests/{test}`: asks again for the answers that a test waits for, or lets it do without them.
pub async fn settle(
    Lead(user): Lead,
    State(state): State<AppState>,
    InProject(project): InProject,
    Path((_, test)): Path<(String, Uuid)>,
    page: Page,
    CsrfForm(form): CsrfForm<SettleForm>,
) -> Result<Redirect, PageError> {
    let (actor, of) = (actor(&user), (project.id, project.slug.as_str()));
    match form.then.as_str() {
        "again" if project.archived_at.is_some() => return Err(PageError::Conflict(page.t("close-no-run"))),
        "again" => match blind_waits::again(&state.pool, &actor, of, test).await {
            Ok(()) => {}
            Err(AgainError::Cannot { model, why }) => return Err(PageError::Conflict(cannot(&page, &model, why))),
            Err(AgainError::Database(error)) => return Err(error.into()),
        },
        "enough" => blind_waits::enough(&state.pool, &actor, of, test).await?,
        _ => return Err(PageError::Unreadable),
    }
    Ok(Redirect::to(&format!("/admin/projects/{}/leaderboard#blind-tests", project.slug)))
}
