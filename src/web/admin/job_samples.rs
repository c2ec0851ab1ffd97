//! `GET /admin/jobs/{id}/samples` → `{"html"}`: what the policy answers as it learns, beside the SFT model that it started from:
//! a piece of the page of a run, which the page fetches again when there are new ones.

use askama::Template;
use axum::{
    Json,
    extract::{Path, Query, State},
};
use laurel_records::{Message, SampleRecord};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::show;
use crate::{
    db::{
        job_list,
        job_samples::{self, SampledStep},
        words,
    },
    web::{AppState, Page, PageError, authorise::Reviewer, markdown},
};

/// A message, rendered.
pub struct ShownMessage {
    pub role: &'static str,
    pub html: String,
}

/// One model's answer, rendered.
pub struct ShownAnswer {
    pub html: String,
    pub reward: Option<String>,
    /// Nothing, or nothing but spaces: a model that has learnt to say nothing is seen at once.
    pub empty: bool,
    /// The reward model likes it better than the other one.
    pub better: bool,
}

/// A prompt with both answers.
pub struct ShownSample {
    pub number: u32,
    pub messages: Vec<ShownMessage>,
    pub policy: ShownAnswer,
    pub reference: ShownAnswer,
}

/// A step that can be chosen.
pub struct Choice {
    pub name: String,
    pub step: SampledStep,
    pub chosen: bool,
}

/// The samples of one step, and the steps that have some, the newest first.
pub struct Samples {
    pub job: Uuid,
    pub steps: Vec<Choice>,
    pub shown: Vec<ShownSample>,
}

impl Samples {
    /// The chosen step; `None` where there is none yet.
    pub fn chosen(&self) -> Option<&SampledStep> {
        self.steps.iter().find(|choice| choice.chosen).map(|choice| &choice.step)
    }
}

/// The samples of the step that is named `ppo.20`, or else of the newest one.
pub async fn load(pool: &PgPool, job: Uuid, wanted: &str) -> Result<Samples, sqlx::Error> {
    let steps = job_samples::steps(pool, job).await?;
    let wanted = SampledStep::parse(wanted);
    let chosen = steps.iter().position(|step| Some(step) == wanted.as_ref()).unwrap_or(0);
    let shown = match steps.get(chosen) {
        Some(step) => job_samples::of_step(pool, job, step).await?.into_iter().map(sample).collect(),
        None => Vec::new(),
    };
    let steps = steps.into_iter().enumerate();
    let steps = steps.map(|(at, step)| Choice { name: step.name(), step, chosen: at == chosen }).collect();
    Ok(Samples { job, steps, shown })
}

fn sample(record: SampleRecord) -> ShownSample {
    let better = |one: Option<f64>, other: Option<f64>| one.zip(other).is_some_and(|(one, other)| one > other);
    let answer = |text: &str, reward: Option<f64>, other: Option<f64>| ShownAnswer {
        html: markdown::render(text),
        reward: reward.map(show::decimal),
        empty: text.trim().is_empty(),
        better: better(reward, other),
    };
    let message = |message: &Message| ShownMessage {
        role: words::message_role(message.role),
        html: markdown::render(&message.content),
    };
    ShownSample {
        number: record.position + 1,
        messages: record.prompt.iter().map(message).collect(),
        policy: answer(&record.policy, record.policy_reward, record.reference_reward),
        reference: answer(&record.reference, record.reference_reward, record.policy_reward),
    }
}

#[derive(Debug, Deserialize)]
pub struct Wanted {
    /// The step, `ppo.20`; the newest where none is named.
    #[serde(default)]
    samples: String,
}

#[derive(Template)]
#[template(path = "admin/job_samples.html")]
struct SamplesPiece {
    page: Page,
    samples: Samples,
}

pub async fn get(
    _: Reviewer,
    State(state): State<AppState>,
    Path(id): Path<Uuid>,
    Query(wanted): Query<Wanted>,
    page: Page,
) -> Result<Json<Value>, PageError> {
    let job = job_list::by_id(&state.pool, id).await?;
    let samples = load(&state.pool, job.id, &wanted.samples).await?;
    Ok(Json(json!({ "html": SamplesPiece { page, samples }.render()? })))
}
