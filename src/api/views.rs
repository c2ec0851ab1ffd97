//! What the API says of projects and jobs.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    db::{job_list::Job, job_queue::Readiness, projects::Project},
    domain::label_scheme::LabelScheme,
};

/// A project in the list.
#[derive(Debug, Serialize)]
pub struct ProjectName {
    pub slug: String,
    pub name: String,
}

/// A project with its settings and what it has to train from.
#[derive(Debug, Serialize)]
pub struct ProjectView {
    pub slug: String,
    pub name: String,
    pub description: String,
    /// `ranking` or `comparison`.
    pub judgement: &'static str,
    pub answers_per_prompt: i32,
    pub demonstration_overlap: i32,
    pub ranking_overlap: i32,
    pub validation_percent: i32,
    pub test_percent: i32,
    /// `by_hand` or `if_better`.
    pub promotion: &'static str,
    pub prompts_per_round: i32,
    /// Models of earlier runs whose files stay after a night, beside those that are needed; null keeps all.
    pub keep_models: Option<i32>,
    /// What people are asked to say of each answer.
    pub label_scheme: LabelScheme,
    /// Settings of the training stages, as a job's config has them.
    pub training: Value,
    /// Its labels come from a program that stands in for people.
    pub simulated: bool,
    pub archived: bool,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Whether a base model is there, and enough labels of the training split.
    pub ready_to_train: bool,
    pub has_base_model: bool,
    /// Standing demonstrations of the training split.
    pub demonstrations: i64,
    /// Standing rankings of the training split.
    pub rankings: i64,
    /// Name of the model that answers now.
    pub answering: Option<String>,
}

impl ProjectView {
    pub fn new(project: Project, label_scheme: LabelScheme, readiness: Readiness, answering: Option<String>) -> Self {
        let settings = project.settings;
        ProjectView {
            slug: project.slug,
            name: settings.name,
            description: settings.description,
            judgement: settings.judgement.as_str(),
            answers_per_prompt: settings.answers_per_prompt,
            demonstration_overlap: settings.demonstration_overlap,
            ranking_overlap: settings.ranking_overlap,
            validation_percent: settings.validation_percent,
            test_percent: settings.test_percent,
            promotion: settings.promotion.as_str(),
            prompts_per_round: settings.prompts_per_round,
            keep_models: settings.keep_models,
            label_scheme,
            training: Value::Object(settings.training),
            simulated: project.simulated,
            archived: project.archived_at.is_some(),
            created_at: project.created_at,
            ready_to_train: readiness.is_ready(),
            has_base_model: readiness.has_base,
            demonstrations: readiness.demonstrations,
            rankings: readiness.rankings,
            answering,
        }
    }
}

/// A job as it stands.
#[derive(Debug, Serialize)]
pub struct JobView {
    pub id: Uuid,
    /// `nightly` or `sample`.
    pub kind: String,
    pub round: i32,
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    pub state: String,
    /// How often it was claimed.
    pub attempts: i32,
    pub worker: Option<String>,
    pub stop_requested: bool,
    pub stage: Option<String>,
    pub step: Option<i64>,
    pub total_steps: Option<i64>,
    pub error: Option<String>,
    /// What the evaluation found.
    pub summary: Value,
    pub config: Value,
    /// The model that a sampling job samples from.
    pub model: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    pub finished_at: Option<OffsetDateTime>,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        JobView {
            id: job.id,
            kind: job.kind,
            round: job.round,
            state: job.state,
            attempts: job.attempts,
            worker: job.worker,
            stop_requested: job.stop_requested,
            stage: job.stage,
            step: job.step,
            total_steps: job.total_steps,
            error: job.error,
            summary: job.summary,
            config: job.config,
            model: job.model,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}
