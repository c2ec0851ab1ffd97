//! Which model answers: the newest promotion of a project names it; going back is a new promotion.

use serde_json::json;
use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    job_queue,
    models::{self, Model},
    prompt_order,
};

/// Reasons that the program gives itself. The registry and the log put them into the reader's words.
pub const BY_HAND: &str = "by hand";
pub const BY_COMMAND: &str = "by command";
/// Followed by the token's name.
pub const BY_TOKEN: &str = "by the token ";
/// Followed by the numbers that say so: `: win_rate 0.612, kl 0.100`.
pub const BETTER_ON_SPLIT: &str = "better on the held-out split";

/// The model that was promoted last; none before the first promotion.
pub async fn current(executor: impl PgExecutor<'_>, project: Uuid) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("SELECT model_id FROM promotions WHERE project_id = $1 ORDER BY id DESC LIMIT 1", project)
        .fetch_optional(executor)
        .await
}

/// The model that answers now: the one promoted last, else the base model.
pub async fn answering(connection: &mut PgConnection, project: Uuid) -> Result<Option<Model>, sqlx::Error> {
    match current(&mut *connection, project).await? {
        Some(model) => models::by_id(connection, model).await.map(Some),
        None => models::base(connection, project).await,
    }
}

/// Whether a model of the project was promoted after a lease was given: the ids of both tell when. The project's row is locked, so
/// that no other promotion comes before the end of the transaction.
pub async fn is_any_since(connection: &mut PgConnection, project: Uuid, lease: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project)
        .fetch_optional(&mut *connection)
        .await?;
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM promotions WHERE project_id = $1 AND id > $2) AS "since!""#,
        project,
        lease
    )
    .fetch_one(connection)
    .await
}

/// One promotion, as the registry page lists them.
#[derive(Debug, Clone)]
pub struct Promotion {
    pub model_id: Uuid,
    pub model: String,
    pub by: Option<String>,
    pub reason: String,
    pub promoted_at: OffsetDateTime,
}

/// The promotions of a project, newest first.
pub async fn of_project(pool: &PgPool, project: Uuid) -> Result<Vec<Promotion>, sqlx::Error> {
    sqlx::query_as!(
        Promotion,
        r#"
        SELECT
            p.model_id,
            m.name AS model,
            u.name AS "by?",
            p.reason,
            p.promoted_at
        FROM promotions p
        JOIN models m ON m.id = p.model_id
        LEFT JOIN users u ON u.id = p.by_user
        WHERE p.project_id = $1
        ORDER BY p.id DESC
        "#,
        project
    )
    .fetch_all(pool)
    .await
}

/// Why a model can't be promoted.
#[derive(Debug, thiserror::Error)]
pub enum PromoteError {
    #[error("there is no such model in this project")]
    NotFound,
    #[error("this model is not complete: its files have not all arrived")]
    Incomplete,
    #[error("the files of this model were removed")]
    FilesRemoved,
    #[error("a reward model judges answers and can't write them")]
    NotAPolicy,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// What a promotion did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promoted {
    /// The model answers from now on; this job samples its answers.
    Now { sample_job: Uuid },
    /// It was the one that answers already: nothing changed.
    Already,
}

/// Makes a model the one that answers, and queues the job that samples its answers, in one transaction: they are ranked before
/// what is left of others, also of later rounds. Promoting the model that answers already changes nothing, so a double click makes
/// one round and not two.
pub async fn promote(
    pool: &PgPool,
    actor: &Actor,
    project: Uuid,
    model: Uuid,
    reason: &str,
) -> Result<Promoted, PromoteError> {
    let mut transaction = pool.begin().await?;
    let promoted = promote_within(&mut transaction, actor, project, model, reason).await?;
    transaction.commit().await?;
    Ok(promoted)
}

/// [`promote`] inside a transaction of the caller.
pub async fn promote_within(
    connection: &mut PgConnection,
    actor: &Actor,
    project: Uuid,
    model: Uuid,
    reason: &str,
) -> Result<Promoted, PromoteError> {
    // The project's row is the lock: two promotions at once come one after the other.
    sqlx::query!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project)
        .fetch_optional(&mut *connection)
        .await?
        .ok_or(PromoteError::NotFound)?;
    let found = match models::by_id(&mut *connection, model).await {
        Ok(found) if found.project_id == project => found,
        Ok(_) | Err(sqlx::Error::RowNotFound) => return Err(PromoteError::NotFound),
        Err(error) => return Err(error.into()),
    };
    if found.record.files_removed_at.is_some() {
        return Err(PromoteError::FilesRemoved);
    }
    if !found.record.complete {
        return Err(PromoteError::Incomplete);
    }
    if found.record.stage == laurel_records::Stage::Reward {
        return Err(PromoteError::NotAPolicy);
    }
    if current(&mut *connection, project).await? == Some(model) {
        return Ok(Promoted::Already);
    }
    sqlx::query!(
        "INSERT INTO promotions (id, project_id, model_id, by_user, reason) VALUES ($1, $2, $3, $4, $5)",
        Uuid::now_v7(),
        project,
        model,
        actor.user,
        reason
    )
    .execute(&mut *connection)
    .await?;
    let sample_job = job_queue::enqueue_sample(&mut *connection, project, &found, actor.user).await?;
    let round = i32::try_from(found.record.round).unwrap_or(i32::MAX);
    prompt_order::leave_rounds_behind(&mut *connection, project, round).await?;
    let subject = format!("model/{}", found.record.name);
    audit::record(connection, actor, "model.promote", &subject, json!({ "reason": reason })).await?;
    Ok(Promoted::Now { sample_job })
}
