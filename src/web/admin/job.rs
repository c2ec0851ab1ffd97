//! `/admin/jobs/{id}`: one run, live: its stages, curves, log, what it found, the models it made; and its stop button.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::{Html, IntoResponse, Redirect},
};
use laurel_records::MetricRecord;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    forms::Button,
    job_events::Cursor,
    job_samples::{self as shown_samples, Samples},
    project::{Frame, actor},
    reasons, show, value_words,
};
use crate::{
    db::{
        job_list::{self, Job},
        job_metrics::{self, Line},
        job_queue, job_samples,
        models::{self, Model},
        projects, words,
    },
    web::{
        AppState, Page, PageError,
        authorise::{Lead, Reviewer},
        csrf::CsrfForm,
    },
};

/// Lines of the log that the page has from the beginning; later ones come live.
const LOG_LINES: i64 = 500;

/// A stage in the row of stages.
struct ShownStage {
    name: &'static str,
    /// `done`, `now`, `ahead`.
    state: &'static str,
}

/// What became of one metric: for those who can't see the curve.
struct MetricSummary {
    stage: &'static str,
    name: String,
    steps: usize,
    first: f64,
    last: f64,
}

/// A number that the evaluation found.
struct Finding {
    key: String,
    value: String,
}

/// What of the page is asked for.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    /// The step whose samples are shown: `ppo.20`; the newest where none is named.
    #[serde(default)]
    samples: String,
}

#[derive(Template)]
#[template(path = "admin/job.html")]
struct JobPage {
    page: Page,
    frame: Frame,
    job: Job,
    stages: Vec<ShownStage>,
    metrics: Vec<MetricSummary>,
    log: Vec<Line>,
    samples: Samples,
    /// Where the live log and the samples go on; the curves are drawn from the beginning.
    cursor: String,
    findings: Vec<Finding>,
    models: Vec<Model>,
    /// What the run was set to, in words, and as it is stored.
    settings: Vec<(String, String)>,
    config: String,
    can_stop: bool,
}

pub async fn get(
    _: Reviewer,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<impl IntoResponse, PageError> {
    let job = job_list::by_id(&state.pool, id).await?;
    let project = projects::by_id(&state.pool, job.project_id).await?;
    let (metrics, _) = job_metrics::metrics_after(&state.pool, id, None).await?;
    let log = job_metrics::log_after(&state.pool, id, (0, -1), LOG_LINES).await?;
    let cursor = Cursor {
        metrics: None,
        log: log.last().map_or((0, -1), |line| (line.attempt, line.sequence)),
        samples: job_samples::newest(&state.pool, id).await?,
    };
    let shown = JobPage {
        frame: Frame::new(&page, &project, "training"),
        stages: stages(&job),
        metrics: summaries(&metrics),
        cursor: cursor.id(),
        samples: shown_samples::load(&state.pool, id, &wanted.samples).await?,
        log,
        findings: findings(&page, &job.summary),
        models: models::of_job(&state.pool, id).await?,
        settings: value_words::settings(&page, &job.config),
        config: serde_json::to_string_pretty(&job.config).unwrap_or_default(),
        can_stop: page.is_lead() && job.is_under_way() && !job.stop_requested,
        job,
        page,
    };
    Ok(Html(shown.render()?))
}

/// `POST /admin/jobs/{id}/stop`.
pub async fn stop(
    Lead(user): Lead,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    CsrfForm(Button {}): CsrfForm<Button>,
) -> Result<Redirect, PageError> {
    job_list::by_id(&state.pool, id).await?;
    job_queue::stop(&state.pool, &actor(&user), id).await?;
    Ok(Redirect::to(&format!("/admin/jobs/{id}")))
}

fn stages(job: &Job) -> Vec<ShownStage> {
    let names: &[&'static str] = if job.kind == "sample" { &["sample"] } else { &["sft", "reward", "ppo", "evaluate"] };
    let now = job.stage.as_deref().and_then(|stage| names.iter().position(|name| *name == stage));
    let running = job.state == "running";
    // Of a run that found nothing new to learn from no stage ran, though it is done.
    let all_done = job.state == "done" && job.stage.is_some();
    names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let state = match now {
                _ if all_done => "done",
                Some(now) if index < now => "done",
                Some(now) if index == now && running => "now",
                _ => "ahead",
            };
            ShownStage { name, state }
        })
        .collect()
}

/// First and last value of each metric; `metrics` come ordered by stage, name and step.
fn summaries(metrics: &[MetricRecord]) -> Vec<MetricSummary> {
    let mut summaries: Vec<MetricSummary> = Vec::new();
    for metric in metrics {
        let stage = words::stage(metric.stage);
        match summaries.last_mut() {
            Some(last) if last.stage == stage && last.name == metric.name => {
                last.steps += 1;
                last.last = metric.value;
            }
            _ => summaries.push(MetricSummary {
                stage,
                name: metric.name.clone(),
                steps: 1,
                first: metric.value,
                last: metric.value,
            }),
        }
    }
    summaries
}

/// The numbers of a summary under names for people, those that one looks for first at the front.
fn findings(page: &Page, summary: &Value) -> Vec<Finding> {
    const KNOWN: [&str; 19] = [
        "policy_is_better",
        "nothing_new",
        "nll_before",
        "nll_after",
        "reward_accuracy",
        "reward_log_loss",
        "win_rate",
        "win_rate_low",
        "win_rate_high",
        "kl",
        "reward_before",
        "reward_after",
        "demonstrations",
        "new_demonstrations",
        "rankings",
        "new_rankings",
        "prompts",
        "answers",
        "prompts_scored",
    ];
    /// For programs: by it the next run sees whether anything has changed.
    const UNSEEN: &str = "inputs";
    let Value::Object(map) = summary else { return Vec::new() };
    let shown = |value: &Value| match value {
        Value::Number(number) => number.as_f64().map(show::decimal),
        Value::Bool(true) => Some(page.t("training-yes")),
        Value::Bool(false) => Some(page.t("training-no")),
        Value::String(text) if text.chars().count() <= 80 => Some(text.clone()),
        _ => None,
    };
    let known = KNOWN.iter().filter_map(|key| {
        let key = key.to_string();
        Some(Finding { value: shown(map.get(&key)?)?, key: page.word("training-found", &key) })
    });
    let others = map
        .iter()
        .filter(|(key, _)| !KNOWN.contains(&key.as_str()) && key.as_str() != UNSEEN)
        .filter_map(|(key, value)| Some(Finding { key: key.replace('_', " "), value: shown(value)? }));
    known.chain(others).collect()
}
