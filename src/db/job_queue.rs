//! Putting jobs and stopping them: a nightly run needs something to train from, a promotion asks for answers.

use serde_json::json;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    models::Model,
};

/// What a project lacks before a training run makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    pub has_base: bool,
    /// Demonstrations and rankings of the training split that stand, without what a reviewer set aside.
    pub demonstrations: i64,
    pub rankings: i64,
}

/// Fewest demonstrations, or rankings, of the training split with which a run starts.
pub const FEWEST_LABELS: i64 = 4;

impl Readiness {
    pub fn has_labels(self) -> bool {
        self.demonstrations >= FEWEST_LABELS || self.rankings >= FEWEST_LABELS
    }

    pub fn is_ready(self) -> bool {
        self.has_base && self.has_labels()
    }
}

/// What a project has to train from.
pub async fn readiness(connection: &mut PgConnection, project: Uuid) -> Result<Readiness, sqlx::Error> {
    sqlx::query_as!(
        Readiness,
        r#"
        SELECT
            EXISTS (SELECT 1 FROM models WHERE project_id = $1 AND stage = 'base' AND complete) AS "has_base!",
            (SELECT count(*) FROM standing_demonstrations d JOIN prompts p ON p.id = d.prompt_id
                WHERE p.project_id = $1 AND p.split = 'train') AS "demonstrations!",
            (SELECT count(*) FROM current_rankings r JOIN prompts p ON p.id = r.prompt_id
                WHERE p.project_id = $1 AND p.split = 'train'
                    AND NOT EXISTS (SELECT 1 FROM rankings_set_aside aside WHERE aside.ranking_id = r.id)) AS "rankings!"
        "#,
        project
    )
    .fetch_one(connection)
    .await
}

/// Why a nightly job can't be queued.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    #[error("a run of this project is under way already")]
    UnderWay(Uuid),
    #[error("this project is closed")]
    Closed,
    #[error("the project has nothing to train from yet")]
    NotReady(Readiness),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Queues a nightly run with the project's settings as they are now. One at a time, and only with a base model and labels.
pub async fn enqueue_nightly(pool: &PgPool, actor: &Actor, project: Uuid) -> Result<Uuid, EnqueueError> {
    let mut transaction = pool.begin().await?;
    let job = enqueue_nightly_within(&mut transaction, actor, project).await?;
    transaction.commit().await?;
    Ok(job)
}

/// [`enqueue_nightly`] inside a transaction of the caller.
pub async fn enqueue_nightly_within(
    connection: &mut PgConnection,
    actor: &Actor,
    project: Uuid,
) -> Result<Uuid, EnqueueError> {
    let of = sqlx::query!(
        r#"SELECT slug, archived_at IS NOT NULL AS "closed!" FROM projects WHERE id = $1 FOR NO KEY UPDATE"#,
        project
    )
    .fetch_one(&mut *connection)
    .await?;
    if of.closed {
        return Err(EnqueueError::Closed);
    }
    let under_way = sqlx::query_scalar!(
        "SELECT id FROM jobs WHERE project_id = $1 AND kind = 'nightly' AND state IN ('queued', 'running')",
        project
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(job) = under_way {
        return Err(EnqueueError::UnderWay(job));
    }
    let readiness = readiness(&mut *connection, project).await?;
    if !readiness.is_ready() {
        return Err(EnqueueError::NotReady(readiness));
    }
    let id = Uuid::now_v7();
    let round = sqlx::query_scalar!(
        r#"
        INSERT INTO jobs (id, project_id, kind, round, config, created_by)
        SELECT
            $1,
            p.id,
            'nightly',
            (SELECT coalesce(max(j.round), 0) + 1 FROM jobs j WHERE j.project_id = p.id AND j.kind = 'nightly'),
            p.training,
            $3
        FROM projects p
        WHERE p.id = $2
        RETURNING round
        "#,
        id,
        project,
        actor.user
    )
    .fetch_one(&mut *connection)
    .await?;
    audit::record(
        connection,
        actor,
        "job.start",
        &format!("project/{}", of.slug),
        json!({ "job": id, "round": round }),
    )
    .await?;
    Ok(id)
}

/// Queues the job that samples a model's answers. Sampling jobs of other models that nobody has begun are cancelled:
/// people should rank what answers now. Those that a blind test waits for stay.
pub async fn enqueue_sample(
    connection: &mut PgConnection,
    project: Uuid,
    model: &Model,
    created_by: Option<Uuid>,
) -> Result<Uuid, sqlx::Error> {
    sqlx::query!(
        r#"
        UPDATE jobs
        SET state = 'cancelled', finished_at = now(), error = 'another model was promoted'
        WHERE project_id = $1 AND kind = 'sample' AND state = 'queued' AND blind_test_id IS NULL
        "#,
        project
    )
    .execute(&mut *connection)
    .await?;
    let id = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO jobs (id, project_id, kind, round, config, model_id, created_by)
        SELECT $1, id, 'sample', $3, training, $4, $5
        FROM projects
        WHERE id = $2
        "#,
        id,
        project,
        i32::try_from(model.record.round).unwrap_or(i32::MAX),
        model.record.id,
        created_by
    )
    .execute(connection)
    .await?;
    Ok(id)
}

/// Queues the job in which a model writes the answers that a blind test lacks of it.
pub async fn enqueue_for_blind_test(
    connection: &mut PgConnection,
    test: Uuid,
    model: &Model,
    created_by: Option<Uuid>,
) -> Result<Uuid, sqlx::Error> {
    let id = Uuid::now_v7();
    sqlx::query!(
        r#"
        INSERT INTO jobs (id, project_id, kind, round, config, model_id, created_by, blind_test_id)
        SELECT $1, id, 'sample', $3, training, $4, $5, $6
        FROM projects
        WHERE id = $2
        "#,
        id,
        model.project_id,
        i32::try_from(model.record.round).unwrap_or(i32::MAX),
        model.record.id,
        created_by,
        test
    )
    .execute(connection)
    .await?;
    Ok(id)
}

/// Asks a job to stop: one that waits is cancelled at once, one that runs hears of it with its next heartbeat.
/// `false` where the job had ended already.
pub async fn stop(pool: &PgPool, actor: &Actor, job: Uuid) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let stopped = stop_within(&mut transaction, actor, job).await?;
    transaction.commit().await?;
    Ok(stopped)
}

/// [`stop`] inside a transaction of the caller.
pub async fn stop_within(connection: &mut PgConnection, actor: &Actor, job: Uuid) -> Result<bool, sqlx::Error> {
    let stopped = sqlx::query!(
        r#"
        UPDATE jobs
        SET
            stop_requested = true,
            state = CASE WHEN state = 'queued' THEN 'cancelled' ELSE state END,
            finished_at = CASE WHEN state = 'queued' THEN now() ELSE finished_at END
        WHERE id = $1 AND state IN ('queued', 'running')
        "#,
        job
    )
    .execute(&mut *connection)
    .await?
    .rows_affected()
        > 0;
    if stopped {
        audit::record(connection, actor, "job.stop", &format!("job/{job}"), json!({})).await?;
    }
    Ok(stopped)
}
