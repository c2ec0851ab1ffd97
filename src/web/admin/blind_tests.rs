//! Blind tests on the leaderboard's page: making one, having the answers written that it lacks, and doing without them. How tests
//! stand is in `blind_test_list`.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use uuid::Uuid;

use super::project::{Frame, InProject, actor};
use crate::{
    db::{
        blind_answers::{self, CannotWrite, Lack, Outlook},
        blind_tests::{self, Made, NewTest},
        blind_waits::{self, AgainError},
        leaderboard,
        tasks::CreateTaskError,
    },
    web::{AppState, Page, PageError, authorise::Lead, csrf::CsrfForm},
};

/// Prompts that a blind test may have.
const MOST_PROMPTS: i32 = 10_000;

/// “3 answers of sft-1 and 5 answers of ppo-2”; a model that lacks none is not named.
pub fn answers_of(page: &Page, models: [(&String, i64); 2]) -> String {
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
pub fn refusals(page: &Page, models: [(&String, Option<CannotWrite>); 2]) -> Vec<String> {
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
