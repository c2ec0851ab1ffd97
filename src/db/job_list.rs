//! Jobs as the pages show them.

use serde_json::Value;
use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// A job as the pages show it.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: Uuid,
    pub project_id: Uuid,
    pub kind: String,
    pub round: i32,
    /// `queued`, `running`, `done`, `failed`, `cancelled`.
    pub state: String,
    pub attempts: i32,
    pub worker: Option<String>,
    pub stop_requested: bool,
    pub stage: Option<String>,
    pub step: Option<i64>,
    pub total_steps: Option<i64>,
    pub error: Option<String>,
    pub summary: Value,
    pub config: Value,
    /// The model that a sampling job samples from.
    pub model: Option<String>,
    /// Its answers are for a blind test.
    pub for_blind_test: bool,
    /// Who started it; nobody where the clock or the rule did.
    pub started_by: Option<String>,
    pub created_at: OffsetDateTime,
    pub started_at: Option<OffsetDateTime>,
    pub finished_at: Option<OffsetDateTime>,
}

impl Job {
    pub fn is_under_way(&self) -> bool {
        matches!(self.state.as_str(), "queued" | "running")
    }
}

/// The job of an id; `RowNotFound` where there is none.
pub async fn by_id(pool: &PgPool, id: Uuid) -> Result<Job, sqlx::Error> {
    sqlx::query_as!(
        Job,
        r#"
        SELECT
            j.id, j.project_id, j.kind, j.round, j.state, j.attempts, j.worker, j.stop_requested, j.stage, j.step,
            j.total_steps, j.error, j.summary, j.config, m.name AS "model?",
            j.blind_test_id IS NOT NULL AS "for_blind_test!", u.name AS "started_by?", j.created_at, j.started_at,
            j.finished_at
        FROM jobs j
        LEFT JOIN models m ON m.id = j.model_id
        LEFT JOIN users u ON u.id = j.created_by
        WHERE j.id = $1
        "#,
        id
    )
    .fetch_one(pool)
    .await
}

/// The newest jobs of a project, newest first.
pub async fn of_project(pool: &PgPool, project: Uuid, limit: i64) -> Result<Vec<Job>, sqlx::Error> {
    sqlx::query_as!(
        Job,
        r#"
        SELECT
            j.id, j.project_id, j.kind, j.round, j.state, j.attempts, j.worker, j.stop_requested, j.stage, j.step,
            j.total_steps, j.error, j.summary, j.config, m.name AS "model?",
            j.blind_test_id IS NOT NULL AS "for_blind_test!", u.name AS "started_by?", j.created_at, j.started_at,
            j.finished_at
        FROM jobs j
        LEFT JOIN models m ON m.id = j.model_id
        LEFT JOIN users u ON u.id = j.created_by
        WHERE j.project_id = $1
        ORDER BY j.id DESC
        LIMIT $2
        "#,
        project,
        limit
    )
    .fetch_all(pool)
    .await
}

/// A nightly run, by what tells it from others.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: Uuid,
    pub round: i32,
    pub created_at: OffsetDateTime,
}

/// Every nightly run of a project, newest first.
pub async fn runs(pool: &PgPool, project: Uuid) -> Result<Vec<Run>, sqlx::Error> {
    sqlx::query_as!(
        Run,
        r#"
        SELECT
            id,
            round,
            created_at
        FROM jobs
        WHERE project_id = $1 AND kind = 'nightly'
        ORDER BY id DESC
        "#,
        project
    )
    .fetch_all(pool)
    .await
}
