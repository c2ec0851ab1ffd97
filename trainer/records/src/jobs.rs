//! What a worker and the server say to each other about a job: claiming it, its metrics and log, the models it makes.
//!
//! Routes (all under `/api/v1`, `Authorization: Bearer TOKEN`, role trainer or admin; errors are [`ApiError`] as JSON):
//!
//! | call | body → answer |
//! |---|---|
//! | `POST jobs/claim` | [`ClaimRequest`] → 200 [`ClaimedJob`], or 204 when nothing waits |
//! | `POST jobs/{id}/heartbeat` | [`Lease`] → [`HeartbeatAnswer`]; 409 when the lease is lost |
//! | `POST jobs/{id}/report` | [`JobReport`] → 204; sending the same report again changes nothing; 409 when the lease is lost |
//! | `POST jobs/{id}/finish` | [`FinishRequest`] → 204; 409 when the lease is lost |
//! | `POST jobs/{id}/models` | [`RegisterModel`] → [`ModelRecord`]; one model a job and stage: a second call gives the first one's record |
//! | `PUT models/{id}/files/{name}` | the file's bytes → 204 (checked against size and digest of its [`ModelFile`]) |
//! | `POST models/{id}/complete` | [`Lease`] → [`ModelRecord`]; 409 while a file is missing |
//! | `GET models/{id}` | → [`ModelRecord`] |
//! | `GET models/{id}/files/{name}` | → the file's bytes; 409 where the model's files were removed |
//! | `GET jobs/{id}/prompts` | → JSONL of [`crate::PromptRecord`]: the prompts that still need answers (kind `sample`) |
//! | `POST jobs/{id}/responses?lease=UUID` | JSONL of [`crate::ResponsesRecord`] → [`ResponsesAnswer`]; a prompt that has its answers of this job keeps them |
//! | `GET jobs/{id}/waiting` | → JSONL of [`crate::ResponsesRecord`]: the project's prompts whose answers wait to be ranked, newest first |
//! | `POST projects/{slug}/prompt-scores` | [`PromptScores`] → [`PromptScoresAnswer`] |
//! | `GET projects/{slug}/export/{prompts,demonstrations,rankings,comparisons}?format=jsonl&split=train` | → the records |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Message;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobKind {
    /// SFT → reward model → PPO → evaluation.
    Nightly,
    /// New candidate answers of one model for prompts that people will rank.
    Sample,
}

/// The stage that made a model, or that a metric belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// A pretrained model that somebody brought.
    Base,
    Sft,
    Reward,
    Ppo,
    Dpo,
    Rloo,
    Grpo,
    Evaluate,
    Sample,
}

/// A worker asks for a job.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClaimRequest {
    /// Name of the worker as the dashboard shows it.
    pub worker: String,
}

/// Proof of holding a job; given with the claim, sent with everything after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub lease: Uuid,
}

/// A job as the worker gets it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClaimedJob {
    pub id: Uuid,
    pub kind: JobKind,
    pub project: String,
    pub lease: Uuid,
    #[serde(with = "time::serde::rfc3339")]
    pub lease_until: OffsetDateTime,
    /// How often this job was claimed before: above 0, an earlier worker lost it.
    pub attempt: u32,
    /// Settings of the stages, as the project has them: `{"sft":{…},"reward":{…},"ppo":{…},"sampling":{…},"device":"auto"}`; every field has a default.
    pub config: Map<String, Value>,
    /// The pretrained model where SFT starts (kind `nightly`): the one that `completed` came of, where there are any; else the
    /// project's.
    pub base: Option<ModelRecord>,
    /// The model that answers now (kind `nightly`), or the one to sample from (kind `sample`).
    pub policy: Option<ModelRecord>,
    /// The project's newest reward model (kind `sample`): it says how unsure it is of the order of the new answers. None where they
    /// are for a blind test.
    #[serde(default)]
    pub reward: Option<ModelRecord>,
    /// Models that an earlier attempt at this job has completed: their stages are not run again.
    pub completed: Vec<ModelRecord>,
    /// Candidate answers wanted for each prompt (kind `sample`); one where they are for a blind test.
    pub answers_per_prompt: u32,
    /// The project's last run that ended well (kind `nightly`); what was labelled after its start is new.
    #[serde(default)]
    pub previous: Option<PreviousRun>,
}

/// What a nightly run has to know of the one before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviousRun {
    #[serde(with = "time::serde::rfc3339")]
    pub started_at: OffsetDateTime,
    /// As it was finished, see [`FinishRequest::summary`].
    pub summary: Map<String, Value>,
}

/// The server's answer to a sign of life.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeartbeatAnswer {
    #[serde(with = "time::serde::rfc3339")]
    pub lease_until: OffsetDateTime,
    /// Somebody pressed "stop": finish with state `cancelled`.
    pub stop: bool,
}

/// One number of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricRecord {
    pub stage: Stage,
    pub step: u64,
    /// TRL's names: `objective/kl`, `loss/policy_avg`, `train/loss`, `eval/nll`, ….
    pub name: String,
    /// Finite; a worker leaves out what is not.
    pub value: f64,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Counts up within a job and attempt; the same number is stored once.
    pub sequence: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    pub level: LogLevel,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Info,
    Warning,
    Error,
}

/// One of a few fixed prompts, answered by the policy that learns and by its reference, and what the reward model says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRecord {
    pub stage: Stage,
    pub step: u64,
    /// Which of the step's prompts, from 0; the same prompt has the same place at every step.
    pub position: u32,
    pub prompt: Vec<Message>,
    pub policy: String,
    /// `None` where it is no finite number.
    pub policy_reward: Option<f64>,
    /// The answer of the SFT model, which the policy started from.
    pub reference: String,
    pub reference_reward: Option<f64>,
}

/// Progress of a job: metrics, log lines and samples since the last report, and where it stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobReport {
    pub lease: Uuid,
    /// Stage under way, with steps done and in all.
    pub progress: Option<Progress>,
    #[serde(default)]
    pub metrics: Vec<MetricRecord>,
    #[serde(default)]
    pub log: Vec<LogLine>,
    /// Known by (job, stage, step, position): the same one again changes nothing.
    #[serde(default)]
    pub samples: Vec<SampleRecord>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub stage: Stage,
    pub step: u64,
    pub total: u64,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobOutcome {
    Done,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FinishRequest {
    pub lease: Uuid,
    pub outcome: JobOutcome,
    /// What went wrong, in words for the dashboard.
    #[serde(default)]
    pub error: Option<String>,
    /// What the evaluation found: `{"nll_before":…,"nll_after":…,"reward_accuracy":…,"win_rate":…,"kl":…}`. `policy_is_better` decides promotion by rule.
    #[serde(default)]
    pub summary: Map<String, Value>,
    #[serde(default)]
    pub policy_is_better: Option<bool>,
}

/// One file of a model directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelFile {
    pub name: String,
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// A worker tells of a model that it made; its files follow.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RegisterModel {
    pub lease: Uuid,
    pub stage: Stage,
    pub parent: Option<Uuid>,
    /// SHA-256 over the directory, as laurel.json of a child names its parent.
    pub digest: String,
    pub files: Vec<ModelFile>,
    pub metrics: BTreeMap<String, f64>,
    /// The model's laurel.json.
    pub lineage: Value,
}

/// A model of the registry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelRecord {
    pub id: Uuid,
    /// Unique in its project, `sft-3`: stage and round.
    pub name: String,
    pub stage: Stage,
    pub round: u32,
    pub parent: Option<Uuid>,
    pub digest: String,
    pub files: Vec<ModelFile>,
    /// All of its files are on the server: not before they have arrived, nor after they were removed.
    pub complete: bool,
    /// When its files were removed; the record stays.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub files_removed_at: Option<OffsetDateTime>,
}

/// What became of sampled answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponsesAnswer {
    /// Ranking tasks made; of a blind test, answers stored.
    pub stored: u64,
    /// Prompts that had their answers of this job already, or of which a blind test asks for none any more.
    pub already_there: u64,
}

/// How unsure a reward model is of prompts: what comes next may follow it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PromptScores {
    /// The reward model, as the registry names it.
    #[serde(default)]
    pub model: Option<String>,
    pub scores: Vec<PromptScore>,
}

/// How unsure it is of one prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PromptScore {
    pub prompt_id: Uuid,
    /// 0 or more, higher is less sure: the standard deviation of an ensemble's rewards, or the entropy of its preferences.
    pub uncertainty: f64,
}

/// What became of the scores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptScoresAnswer {
    pub stored: usize,
    /// Ids that are no prompts of the project.
    pub unknown: Vec<Uuid>,
}

/// The body of every error answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiError {
    /// A word for programs: `lease_lost`, `not_found`, `invalid`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Bad fields or lines, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}
