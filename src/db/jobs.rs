//! Jobs at work: claimed by lease, signs of life, the end. A job is held by whoever knows its lease.

use laurel_records::{
    ClaimedJob, FinishRequest, HeartbeatAnswer, JobKind, JobOutcome, ModelRecord, PreviousRun, Stage,
};
use serde_json::{Map, Value};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    audit::Actor,
    models,
    promotions::{self, BETTER_ON_SPLIT, PromoteError},
    words,
};

/// Seconds that a lease lasts; every heartbeat and report renews it.
pub const LEASE_SECONDS: f64 = 120.0;

/// Workers that may lose a job before it counts as failed.
pub const MAX_ATTEMPTS: i32 = 3;

/// Why a worker's call about a job is refused.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("this job is not yours any more: its lease has ended, or it was stopped")]
    LeaseLost,
    #[error("there is no such job or model")]
    NotFound,
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// A job that the caller holds: its row is locked until the transaction ends.
#[derive(Debug, Clone)]
pub struct Held {
    pub project_id: Uuid,
    pub kind: JobKind,
    pub round: i32,
    /// Counts from 1: this worker's claim included.
    pub attempt: i32,
    pub model_id: Option<Uuid>,
    /// The blind test that a sampling job answers for.
    pub blind_test: Option<Uuid>,
}

/// Locks the job of a lease and renews the lease; refuses whoever does not hold it.
pub async fn hold(connection: &mut PgConnection, job: Uuid, lease: Uuid) -> Result<Held, JobError> {
    let row = sqlx::query!(
        r#"
        UPDATE jobs
        SET lease_until = now() + make_interval(secs => $3)
        WHERE id = $1 AND lease = $2 AND state = 'running'
        RETURNING project_id, kind, round, attempts, model_id, blind_test_id
        "#,
        job,
        lease,
        LEASE_SECONDS
    )
    .fetch_optional(&mut *connection)
    .await?;
    match row {
        Some(row) => Ok(Held {
            project_id: row.project_id,
            kind: words::parse(&row.kind)?,
            round: row.round,
            attempt: row.attempts,
            model_id: row.model_id,
            blind_test: row.blind_test_id,
        }),
        None => {
            let known = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM jobs WHERE id = $1) AS "known!""#, job)
                .fetch_one(connection)
                .await?;
            Err(if known { JobError::LeaseLost } else { JobError::NotFound })
        }
    }
}

/// Gives the longest-waiting job to a worker, sampling before training: people wait for answers to rank. `None` when nothing
/// waits; two workers never get the same job (`FOR UPDATE SKIP LOCKED`). A job whose lease has ended waits once the clock has
/// taken it from its worker ([`expire_leases`]): only the clock knows whether that worker could be heard.
pub async fn claim(pool: &PgPool, worker: &str) -> Result<Option<ClaimedJob>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let lease = Uuid::now_v7();
    let row = sqlx::query!(
        r#"
        UPDATE jobs
        SET
            state = 'running',
            worker = $1,
            lease = $2,
            lease_until = now() + make_interval(secs => $3),
            attempts = attempts + 1,
            started_at = coalesce(started_at, now()),
            stage = NULL,
            step = NULL,
            total_steps = NULL
        WHERE id = (
            SELECT j.id
            FROM jobs j
            JOIN projects p ON p.id = j.project_id
            WHERE j.state = 'queued'
                AND j.attempts < $4
                AND NOT j.stop_requested
                AND p.archived_at IS NULL
            ORDER BY j.kind = 'sample' DESC, j.created_at, j.id
            LIMIT 1
            FOR UPDATE OF j SKIP LOCKED
        )
        RETURNING id, project_id, kind, config, lease_until AS "lease_until!", attempts, model_id, blind_test_id
        "#,
        worker,
        lease,
        LEASE_SECONDS,
        MAX_ATTEMPTS
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let project = super::projects::by_id(&mut *transaction, row.project_id).await?;
    let policy = match row.model_id {
        Some(model) => Some(models::by_id(&mut *transaction, model).await?),
        None => promotions::answering(&mut transaction, row.project_id).await?,
    };
    // A blind test asks for one answer to a prompt. How unsure a reward model is of it is not asked: what comes next follows the
    // answers of rounds.
    let (answers, reward) = match row.blind_test_id {
        Some(_) => (1, None),
        None => {
            let reward = models::newest(&mut *transaction, row.project_id, Stage::Reward).await?;
            (project.settings.answers_per_prompt, reward)
        }
    };
    let completed: Vec<ModelRecord> = models::of_job(&mut *transaction, row.id)
        .await?
        .into_iter()
        .map(|model| model.record)
        .filter(|record| record.complete)
        .collect();
    let job = ClaimedJob {
        id: row.id,
        kind: words::parse(&row.kind)?,
        project: project.slug,
        lease,
        lease_until: row.lease_until,
        attempt: u32::try_from(row.attempts - 1).unwrap_or_default(),
        config: words::parse_json(row.config)?,
        base: base_of(&mut transaction, row.project_id, &completed).await?,
        policy: policy.map(|model| model.record),
        reward: reward.map(|model| model.record),
        completed,
        answers_per_prompt: u32::try_from(answers).unwrap_or_default(),
        previous: previous_run(&mut transaction, row.project_id).await?,
    };
    note_given(&mut transaction, &job).await?;
    transaction.commit().await?;
    Ok(Some(job))
}

/// Notes which models the worker was given: their files stay while it may fetch them. Whoever removes files at the same moment comes
/// first, or finds them needed.
async fn note_given(connection: &mut PgConnection, job: &ClaimedJob) -> Result<(), sqlx::Error> {
    let given = [&job.base, &job.policy, &job.reward].into_iter().flatten();
    let given: Vec<Uuid> = given.map(|model| model.id).collect();
    sqlx::query!("SELECT id FROM models WHERE id = ANY ($1) ORDER BY id FOR SHARE", &given)
        .fetch_all(&mut *connection)
        .await?;
    sqlx::query!("UPDATE jobs SET models_given = $2 WHERE id = $1", job.id, &given).execute(connection).await?;
    Ok(())
}

/// The base model of a job: what an earlier attempt has completed came of one, and the job goes on with it, also where another
/// was brought since; else the project's.
async fn base_of(
    connection: &mut PgConnection,
    project: Uuid,
    completed: &[ModelRecord],
) -> Result<Option<ModelRecord>, sqlx::Error> {
    if let Some(parent) = completed.first().and_then(|first| first.parent) {
        let parent = models::by_id(&mut *connection, parent).await?.record;
        if parent.stage == Stage::Base {
            return Ok(Some(parent));
        }
    }
    Ok(models::base(connection, project).await?.map(|model| model.record))
}

/// The last nightly run of a project that ended well.
async fn previous_run(connection: &mut PgConnection, project: Uuid) -> Result<Option<PreviousRun>, sqlx::Error> {
    sqlx::query!(
        r#"
        SELECT started_at AS "started_at!", summary
        FROM jobs
        WHERE project_id = $1 AND kind = 'nightly' AND state = 'done' AND started_at IS NOT NULL
        ORDER BY started_at DESC
        LIMIT 1
        "#,
        project
    )
    .fetch_optional(connection)
    .await?
    .map(|row| Ok(PreviousRun { started_at: row.started_at, summary: words::parse_json(row.summary)? }))
    .transpose()
}

/// Renews a lease and says whether somebody pressed “stop”.
pub async fn heartbeat(pool: &PgPool, job: Uuid, lease: Uuid) -> Result<HeartbeatAnswer, JobError> {
    let mut transaction = pool.begin().await?;
    hold(&mut transaction, job, lease).await?;
    let row = sqlx::query!(r#"SELECT lease_until AS "lease_until!", stop_requested FROM jobs WHERE id = $1"#, job)
        .fetch_one(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(HeartbeatAnswer { lease_until: row.lease_until, stop: row.stop_requested })
}

/// Ends a job. A nightly job whose policy is better is promoted in the same transaction where the project's rule says so.
/// Finishing again with the same lease changes nothing: a lost answer is not a second end.
pub async fn finish(pool: &PgPool, job: Uuid, request: &FinishRequest) -> Result<(), JobError> {
    let mut transaction = pool.begin().await?;
    let held = match hold(&mut transaction, job, request.lease).await {
        Err(JobError::LeaseLost) if ended_with(&mut transaction, job, request.lease).await? => return Ok(()),
        other => other?,
    };
    let state = match request.outcome {
        JobOutcome::Done => "done",
        JobOutcome::Failed => "failed",
        JobOutcome::Cancelled => "cancelled",
    };
    let mut summary = request.summary.clone();
    if let Some(better) = request.policy_is_better {
        summary.entry("policy_is_better").or_insert(Value::Bool(better));
    }
    sqlx::query!(
        "UPDATE jobs SET state = $2, error = $3, summary = $4, finished_at = now(), lease_until = NULL WHERE id = $1",
        job,
        state,
        request.error,
        Value::Object(summary)
    )
    .execute(&mut *transaction)
    .await?;
    let better = request.policy_is_better == Some(true);
    if held.kind == JobKind::Nightly && request.outcome == JobOutcome::Done && better {
        promote_by_rule(&mut transaction, job, request.lease, held.project_id, &request.summary).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Whether this lease ended the job already.
async fn ended_with(connection: &mut PgConnection, job: Uuid, lease: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM jobs WHERE id = $1 AND lease = $2 AND state IN ('done', 'failed', 'cancelled')) AS "ended!""#,
        job,
        lease
    )
    .fetch_one(connection)
    .await
}

/// Promotes the job's last policy where the project's rule is `if_better`, unless another model was promoted since the job was
/// claimed: the policy was measured against the one that answered then.
async fn promote_by_rule(
    connection: &mut PgConnection,
    job: Uuid,
    lease: Uuid,
    project: Uuid,
    summary: &Map<String, Value>,
) -> Result<(), JobError> {
    let policy = sqlx::query_scalar!(
        r#"
        SELECT m.id
        FROM models m
        JOIN projects p ON p.id = m.project_id
        WHERE m.job_id = $1 AND m.complete AND m.stage IN ('ppo', 'sft') AND p.promotion = 'if_better'
        ORDER BY m.stage = 'ppo' DESC
        LIMIT 1
        "#,
        job
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(policy) = policy else { return Ok(()) };
    if promotions::is_any_since(&mut *connection, project, lease).await? {
        return Ok(());
    }
    let numbers = ["win_rate", "nll_before", "nll_after", "kl"]
        .into_iter()
        .filter_map(|name| Some(format!("{name} {:.3}", summary.get(name)?.as_f64()?)))
        .collect::<Vec<_>>()
        .join(", ");
    let reason = format!("{BETTER_ON_SPLIT}: {numbers}");
    let reason = reason.trim_end_matches([':', ' ']);
    match promotions::promote_within(connection, &Actor::program("promotion rule"), project, policy, reason).await {
        Ok(_) => Ok(()),
        Err(PromoteError::Database(error)) => Err(error.into()),
        Err(other) => Err(JobError::Invalid(other.to_string())),
    }
}

/// Gives every worker that holds a job the time of a lease to be heard again, after nobody was there to hear it. Whoever died
/// meanwhile loses the job that much later.
pub async fn renew_leases(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE jobs SET lease_until = now() + make_interval(secs => $1) WHERE state = 'running'",
        LEASE_SECONDS
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// What became of jobs whose workers fell silent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    pub given_back: u64,
    pub failed: u64,
    pub cancelled: u64,
}

/// Takes jobs from workers whose lease has ended: back to the queue, or, after [`MAX_ATTEMPTS`] claims, failed; a job
/// that was asked to stop is cancelled.
pub async fn expire_leases(pool: &PgPool) -> Result<Expired, sqlx::Error> {
    let states = sqlx::query_scalar!(
        r#"
        UPDATE jobs
        SET
            state = CASE
                WHEN stop_requested THEN 'cancelled'
                WHEN attempts >= $1 THEN 'failed'
                ELSE 'queued'
            END,
            error = CASE
                WHEN stop_requested THEN error
                WHEN attempts >= $1 THEN 'the worker fell silent ' || attempts || ' times'
                ELSE error
            END,
            finished_at = CASE WHEN stop_requested OR attempts >= $1 THEN now() END,
            lease = NULL,
            lease_until = NULL
        WHERE id IN (
            SELECT id FROM jobs WHERE state = 'running' AND lease_until < now() FOR UPDATE SKIP LOCKED
        )
        RETURNING state
        "#,
        MAX_ATTEMPTS
    )
    .fetch_all(pool)
    .await?;
    let mut expired = Expired::default();
    for state in states {
        match state.as_str() {
            "queued" => expired.given_back += 1,
            "failed" => expired.failed += 1,
            _ => expired.cancelled += 1,
        }
    }
    Ok(expired)
}
