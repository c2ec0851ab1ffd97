//! The model registry: models that jobs made and base models that people brought. Their files lie in the data directory.

use std::collections::BTreeMap;

use laurel_records::{ModelFile, ModelRecord, RegisterModel, Stage};
use serde_json::{Value, json};
use sqlx::{PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    jobs::{self, Held, JobError},
    words,
};
use crate::domain::model_file::is_model_file;

/// A model with what the registry page shows of it.
#[derive(Debug, Clone)]
pub struct Model {
    pub record: ModelRecord,
    pub project_id: Uuid,
    pub job_id: Option<Uuid>,
    pub metrics: BTreeMap<String, f64>,
    pub lineage: Value,
    pub created_at: OffsetDateTime,
}

pub(super) struct Row {
    id: Uuid,
    project_id: Uuid,
    name: String,
    stage: String,
    round: i32,
    parent_id: Option<Uuid>,
    job_id: Option<Uuid>,
    digest: String,
    files: Value,
    metrics: Value,
    lineage: Value,
    complete: bool,
    created_at: OffsetDateTime,
    files_removed_at: Option<OffsetDateTime>,
}

impl TryFrom<Row> for Model {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, Self::Error> {
        Ok(Model {
            record: ModelRecord {
                id: row.id,
                name: row.name,
                stage: words::parse(&row.stage)?,
                round: u32::try_from(row.round).unwrap_or_default(),
                parent: row.parent_id,
                digest: row.digest,
                files: words::parse_json(row.files)?,
                complete: row.complete,
                files_removed_at: row.files_removed_at,
            },
            project_id: row.project_id,
            job_id: row.job_id,
            metrics: words::parse_json(row.metrics)?,
            lineage: row.lineage,
            created_at: row.created_at,
        })
    }
}

/// The model of an id; `RowNotFound` where there is none.
pub async fn by_id(executor: impl PgExecutor<'_>, id: Uuid) -> Result<Model, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"
        SELECT
            id, project_id, name, stage, round, parent_id, job_id, digest, files, metrics, lineage, complete, created_at,
            files_removed_at
        FROM models
        WHERE id = $1
        "#,
        id
    )
    .fetch_one(executor)
    .await?
    .try_into()
}

/// The model that a project has under a name.
pub async fn by_name(executor: impl PgExecutor<'_>, project: Uuid, name: &str) -> Result<Option<Model>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"
        SELECT
            id, project_id, name, stage, round, parent_id, job_id, digest, files, metrics, lineage, complete, created_at,
            files_removed_at
        FROM models
        WHERE project_id = $1 AND name = $2
        "#,
        project,
        name
    )
    .fetch_optional(executor)
    .await?
    .map(Model::try_from)
    .transpose()
}

/// [`by_id`], with the row locked until the transaction ends.
pub async fn lock(connection: &mut PgConnection, id: Uuid) -> Result<Model, sqlx::Error> {
    sqlx::query!("SELECT id FROM models WHERE id = $1 FOR UPDATE", id).fetch_one(&mut *connection).await?;
    by_id(connection, id).await
}

/// All models of a project, newest first.
pub async fn of_project(executor: impl PgExecutor<'_>, project: Uuid) -> Result<Vec<Model>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"
        SELECT
            id, project_id, name, stage, round, parent_id, job_id, digest, files, metrics, lineage, complete, created_at,
            files_removed_at
        FROM models
        WHERE project_id = $1
        ORDER BY id DESC
        "#,
        project
    )
    .fetch_all(executor)
    .await?
    .into_iter()
    .map(Model::try_from)
    .collect()
}

/// Every complete model of every project, oldest first: those whose files lie in the data directory.
pub async fn all_complete(executor: impl PgExecutor<'_>) -> Result<Vec<ModelRecord>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"
        SELECT
            id, project_id, name, stage, round, parent_id, job_id, digest, files, metrics, lineage, complete, created_at,
            files_removed_at
        FROM models
        WHERE complete
        ORDER BY id
        "#
    )
    .fetch_all(executor)
    .await?
    .into_iter()
    .map(|row| Model::try_from(row).map(|model| model.record))
    .collect()
}

/// The models of a job, in the order in which they were made.
pub async fn of_job(executor: impl PgExecutor<'_>, job: Uuid) -> Result<Vec<Model>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"
        SELECT
            id, project_id, name, stage, round, parent_id, job_id, digest, files, metrics, lineage, complete, created_at,
            files_removed_at
        FROM models
        WHERE job_id = $1
        ORDER BY id
        "#,
        job
    )
    .fetch_all(executor)
    .await?
    .into_iter()
    .map(Model::try_from)
    .collect()
}

/// The pretrained model of a project, where training starts: the base model that was brought last and is complete.
pub async fn base(executor: impl PgExecutor<'_>, project: Uuid) -> Result<Option<Model>, sqlx::Error> {
    newest(executor, project, Stage::Base).await
}

/// The newest complete model that a stage made in a project.
pub async fn newest(executor: impl PgExecutor<'_>, project: Uuid, stage: Stage) -> Result<Option<Model>, sqlx::Error> {
    sqlx::query_as!(
        Row,
        r#"
        SELECT
            id, project_id, name, stage, round, parent_id, job_id, digest, files, metrics, lineage, complete, created_at,
            files_removed_at
        FROM models
        WHERE project_id = $1 AND stage = $2 AND complete
        ORDER BY id DESC
        LIMIT 1
        "#,
        project,
        words::stage(stage)
    )
    .fetch_optional(executor)
    .await?
    .map(Model::try_from)
    .transpose()
}

/// Registers a model that a job made, named by stage and round. One model a job and stage: registering again gives the
/// record that is there. If that one never became complete (its worker died), it takes over the new files' names and digests.
pub async fn register(pool: &PgPool, job: Uuid, model: &RegisterModel) -> Result<ModelRecord, JobError> {
    if !matches!(model.stage, Stage::Sft | Stage::Reward | Stage::Ppo) {
        return Err(JobError::Invalid("a job makes models of the stages sft, reward and ppo".to_owned()));
    }
    check_files(&model.files)?;
    let mut transaction = pool.begin().await?;
    let held = jobs::hold(&mut transaction, job, model.lease).await?;
    if let Some(parent) = model.parent {
        let known = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM models WHERE id = $1 AND project_id = $2) AS "known!""#,
            parent,
            held.project_id
        )
        .fetch_one(&mut *transaction)
        .await?;
        if !known {
            return Err(JobError::Invalid("the parent is no model of this project".to_owned()));
        }
    }
    let stage = words::stage(model.stage);
    let name = free_name(&mut transaction, &held, job, stage).await?;
    let id = sqlx::query_scalar!(
        r#"
        INSERT INTO models (id, project_id, name, stage, round, parent_id, job_id, digest, files, metrics, lineage)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT ON CONSTRAINT models_one_per_stage_of_a_job DO UPDATE
        SET
            parent_id = CASE WHEN models.complete THEN models.parent_id ELSE excluded.parent_id END,
            digest = CASE WHEN models.complete THEN models.digest ELSE excluded.digest END,
            files = CASE WHEN models.complete THEN models.files ELSE excluded.files END,
            metrics = CASE WHEN models.complete THEN models.metrics ELSE excluded.metrics END,
            lineage = CASE WHEN models.complete THEN models.lineage ELSE excluded.lineage END
        RETURNING id
        "#,
        Uuid::now_v7(),
        held.project_id,
        name,
        stage,
        held.round,
        model.parent,
        job,
        model.digest,
        json!(model.files),
        json!(model.metrics),
        model.lineage,
    )
    .fetch_one(&mut *transaction)
    .await?;
    let record = by_id(&mut *transaction, id).await?.record;
    transaction.commit().await?;
    Ok(record)
}

/// The name of what a job's stage makes: `sft-3`. Somebody may have brought a base model of that name: then `sft-3-2`.
async fn free_name(connection: &mut PgConnection, held: &Held, job: Uuid, stage: &str) -> Result<String, sqlx::Error> {
    let mut name = format!("{stage}-{}", held.round);
    let mut number = 1;
    while by_name(&mut *connection, held.project_id, &name).await?.is_some_and(|known| known.job_id != Some(job)) {
        number += 1;
        name = format!("{stage}-{}-{number}", held.round);
    }
    Ok(name)
}

/// A base model that somebody brings.
#[derive(Debug, Clone)]
pub struct NewBase {
    pub name: String,
    pub digest: String,
    pub files: Vec<ModelFile>,
    pub lineage: Value,
}

/// Why a base model can't be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterBaseError {
    #[error("this project already has a model named “{0}”")]
    NameTaken(String),
    #[error("the files of the model “{0}” were removed, and its name stays its own: bring it under another name")]
    FilesRemoved(String),
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Registers a base model; its files follow, then [`complete_base`]. The same name and digest again give the record that is there.
pub async fn register_base(
    pool: &PgPool,
    actor: &Actor,
    project: Uuid,
    base: &NewBase,
) -> Result<ModelRecord, RegisterBaseError> {
    if base.name.trim().is_empty() || base.name.chars().count() > 100 {
        return Err(RegisterBaseError::Invalid("a model's name has 1 to 100 characters".to_owned()));
    }
    check_files(&base.files).map_err(|error| RegisterBaseError::Invalid(error.to_string()))?;
    let mut transaction = pool.begin().await?;
    let made = sqlx::query_scalar!(
        r#"
        INSERT INTO models (id, project_id, name, stage, round, digest, files, lineage)
        VALUES ($1, $2, $3, 'base', 0, $4, $5, $6)
        ON CONFLICT ON CONSTRAINT models_name_unique DO NOTHING
        RETURNING id
        "#,
        Uuid::now_v7(),
        project,
        base.name,
        base.digest,
        json!(base.files),
        base.lineage,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let id = match made {
        Some(id) => {
            let subject = format!("model/{}", base.name);
            audit::record(&mut *transaction, actor, "model.import", &subject, json!({ "digest": base.digest })).await?;
            id
        }
        None => {
            let known = by_name(&mut *transaction, project, &base.name).await?.map(|known| known.record);
            let same = known.filter(|known| known.stage == Stage::Base && known.digest == base.digest);
            let same = same.ok_or_else(|| RegisterBaseError::NameTaken(base.name.clone()))?;
            if same.files_removed_at.is_some() {
                return Err(RegisterBaseError::FilesRemoved(base.name.clone()));
            }
            same.id
        }
    };
    let record = by_id(&mut *transaction, id).await?.record;
    transaction.commit().await?;
    Ok(record)
}

/// A model's files are plain names, each once, with SHA-256 digests.
fn check_files(files: &[ModelFile]) -> Result<(), JobError> {
    let mut seen = std::collections::HashSet::new();
    if files.is_empty() {
        return Err(JobError::Invalid("a model has at least one file".to_owned()));
    }
    for file in files {
        if !is_model_file(&file.name) {
            return Err(JobError::Invalid(format!("“{}” is no plain file name", file.name)));
        }
        if !seen.insert(&file.name) {
            return Err(JobError::Invalid(format!("the file “{}” is named twice", file.name)));
        }
        if file.sha256.len() != 64 || !file.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(JobError::Invalid(format!("the digest of “{}” is no SHA-256 in small hexadecimal", file.name)));
        }
    }
    Ok(())
}

/// Marks a job's model as complete, for the holder of the job's lease. The caller has seen every file, checked by size and digest.
pub async fn complete(pool: &PgPool, model: Uuid, lease: Uuid) -> Result<ModelRecord, JobError> {
    let mut transaction = pool.begin().await?;
    let job = by_id_of_job(&mut transaction, model).await?;
    jobs::hold(&mut transaction, job, lease).await?;
    sqlx::query!("UPDATE models SET complete = true WHERE id = $1", model).execute(&mut *transaction).await?;
    let record = by_id(&mut *transaction, model).await?.record;
    transaction.commit().await?;
    Ok(record)
}

async fn by_id_of_job(connection: &mut PgConnection, model: Uuid) -> Result<Uuid, JobError> {
    sqlx::query_scalar!("SELECT job_id FROM models WHERE id = $1", model)
        .fetch_optional(connection)
        .await?
        .ok_or(JobError::NotFound)?
        .ok_or_else(|| JobError::Invalid("this model was made by no job".to_owned()))
}

/// Marks a base model as complete. The caller has seen every file, checked by size and digest.
pub async fn complete_base(pool: &PgPool, model: Uuid) -> Result<ModelRecord, sqlx::Error> {
    sqlx::query!(
        "UPDATE models SET complete = true WHERE id = $1 AND stage = 'base' AND files_removed_at IS NULL",
        model
    )
    .execute(pool)
    .await?;
    Ok(by_id(pool, model).await?.record)
}

/// The highest round that made a model; 0 before the first run.
pub async fn rounds(pool: &PgPool, project: Uuid) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT coalesce(max(round), 0) AS "round!" FROM models WHERE project_id = $1"#, project)
        .fetch_one(pool)
        .await
}
