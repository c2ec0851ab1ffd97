//! Removing the files of models that nothing needs: which those are, and the mark in the registry. A model's record, its lineage, its
//! metrics and its name on labels stay. The files leave the disk after the mark is stored: see [`crate::jobs::model_removal`].

use std::{collections::HashMap, fmt};

use laurel_records::{ModelRecord, Stage};
use serde::Deserialize;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use super::{
    audit::{self, Actor},
    models::{self, Model},
    words,
};

/// Held by whoever reads the files of all models, and by whoever deletes some: never both at once. The number means nothing.
const FILES_LOCK: i64 = 0x6c61_7572_656c;

/// Why the files of a model stay, as the view `needed_models` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// It answers now.
    Answers,
    /// It answered before the one that answers now.
    AnsweredBefore,
    /// Training starts from it.
    Base,
    /// It is the newest reward model, or that of the policy that answers now.
    Reward,
    /// A job that waits or runs uses it.
    Job,
    /// An adapter whose files are here can't be loaded without it.
    Adapter,
}

impl Need {
    pub fn as_str(self) -> &'static str {
        match self {
            Need::Answers => "answers",
            Need::AnsweredBefore => "answered_before",
            Need::Base => "base",
            Need::Reward => "reward",
            Need::Job => "job",
            Need::Adapter => "adapter",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Need::Answers => "it answers now",
            Need::AnsweredBefore => "going back from the model that answers now leads to it",
            Need::Base => "training starts from it",
            Need::Reward => "it is the newest reward model, or that of the policy that answers now",
            Need::Job => "a job that waits or runs uses it",
            Need::Adapter => "an adapter that is here can't be loaded without it",
        })
    }
}

/// Why the files of a model are not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    #[error("there is no such model in this project")]
    NotFound,
    #[error("the files of this model stay: {0}")]
    Needed(Need),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The models of a project whose files stay, each with a reason.
pub async fn needs(executor: impl PgExecutor<'_>, project: Uuid) -> Result<HashMap<Uuid, Need>, sqlx::Error> {
    sqlx::query!(r#"SELECT model_id AS "model_id!", why AS "why!" FROM needed_models WHERE project_id = $1"#, project)
        .fetch_all(executor)
        .await?
        .into_iter()
        .map(|row| Ok((row.model_id, words::parse(&row.why)?)))
        .collect()
}

/// Who removed the files of a project's models, by model: a person's name, or what the audit log calls a program.
pub async fn removed_by(pool: &PgPool, project: Uuid) -> Result<HashMap<Uuid, String>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT m.id, coalesce(u.name, m.files_removed_by) AS "who!"
        FROM models m
        LEFT JOIN users u ON u.email = m.files_removed_by
        WHERE m.project_id = $1 AND m.files_removed_at IS NOT NULL
        "#,
        project
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.who)).collect())
}

/// Marks the files of a model as removed and notes who did. `false` where they were removed before: of two leads at once, one does it.
pub async fn remove(pool: &PgPool, actor: &Actor, project: Uuid, model: Uuid) -> Result<bool, RemoveError> {
    let mut transaction = pool.begin().await?;
    lock(&mut transaction, project).await?;
    let record = match models::by_id(&mut *transaction, model).await {
        Ok(found) if found.project_id == project => found.record,
        Ok(_) | Err(sqlx::Error::RowNotFound) => return Err(RemoveError::NotFound),
        Err(error) => return Err(error.into()),
    };
    if record.files_removed_at.is_some() {
        return Ok(false);
    }
    if let Some(need) = needs(&mut *transaction, project).await?.get(&model) {
        return Err(RemoveError::Needed(*need));
    }
    mark(&mut transaction, actor, &record, None).await?;
    transaction.commit().await?;
    Ok(true)
}

/// The models whose files [`prune`] would remove now.
pub async fn prunable(pool: &PgPool, project: Uuid, keep: i32) -> Result<Vec<ModelRecord>, sqlx::Error> {
    let models = models::of_project(pool, project).await?;
    Ok(surplus(models, &needs(pool, project).await?, keep))
}

/// Marks as removed the files of all models that runs made and nothing needs, but for the `keep` newest of them.
pub async fn prune(pool: &PgPool, actor: &Actor, project: Uuid, keep: i32) -> Result<Vec<ModelRecord>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    lock(&mut transaction, project).await?;
    let pruned = prune_within(&mut transaction, actor, project, keep).await?;
    transaction.commit().await?;
    Ok(pruned)
}

/// The projects with a rule of which a night has ended that the rule was not applied after.
pub async fn due(pool: &PgPool) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        SELECT p.id
        FROM projects p
        WHERE p.keep_models IS NOT NULL
            AND EXISTS (
                SELECT 1
                FROM jobs j
                WHERE j.project_id = p.id AND j.kind = 'nightly' AND j.finished_at > p.models_pruned_at
            )
        "#
    )
    .fetch_all(pool)
    .await
}

/// [`prune`] as the project's rule says, once a night: of two servers, the second finds nothing to do.
pub async fn prune_by_rule(pool: &PgPool, actor: &Actor, project: Uuid) -> Result<Vec<ModelRecord>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    lock(&mut transaction, project).await?;
    let keep = sqlx::query_scalar!(
        r#"
        UPDATE projects p
        SET models_pruned_at = night.ended_at
        FROM (
            SELECT max(finished_at) AS ended_at
            FROM jobs
            WHERE project_id = $1 AND kind = 'nightly'
        ) night
        WHERE p.id = $1 AND p.keep_models IS NOT NULL AND night.ended_at > p.models_pruned_at
        RETURNING p.keep_models AS "keep!"
        "#,
        project
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(keep) = keep else { return Ok(Vec::new()) };
    let pruned = prune_within(&mut transaction, actor, project, keep).await?;
    transaction.commit().await?;
    Ok(pruned)
}

/// Locks a project and its models until the transaction ends: nobody promotes one meanwhile, and no job asks for one or is given one.
async fn lock(connection: &mut PgConnection, project: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT id FROM projects WHERE id = $1 FOR NO KEY UPDATE", project)
        .fetch_optional(&mut *connection)
        .await?;
    sqlx::query!("SELECT id FROM models WHERE project_id = $1 ORDER BY id FOR NO KEY UPDATE", project)
        .fetch_all(connection)
        .await?;
    Ok(())
}

async fn prune_within(
    connection: &mut PgConnection,
    actor: &Actor,
    project: Uuid,
    keep: i32,
) -> Result<Vec<ModelRecord>, sqlx::Error> {
    let models = models::of_project(&mut *connection, project).await?;
    let pruned = surplus(models, &needs(&mut *connection, project).await?, keep);
    for record in &pruned {
        mark(&mut *connection, actor, record, Some(keep)).await?;
    }
    Ok(pruned)
}

/// What goes of a project's models, newest first: of those that runs made and nothing needs, all but the newest `keep`. What never
/// became whole is of no use to anybody, and does not count. Base models stay: people brought them.
fn surplus(models: Vec<Model>, needs: &HashMap<Uuid, Need>, keep: i32) -> Vec<ModelRecord> {
    let is_free = |record: &ModelRecord| {
        record.stage != Stage::Base && record.files_removed_at.is_none() && !needs.contains_key(&record.id)
    };
    let free = models.into_iter().map(|model| model.record).filter(is_free);
    let (whole, broken): (Vec<_>, Vec<_>) = free.partition(|record| record.complete);
    whole.into_iter().skip(usize::try_from(keep).unwrap_or_default()).chain(broken).collect()
}

/// Marks one model. `keep`: how many stay, where this is one of those beyond.
async fn mark(
    connection: &mut PgConnection,
    actor: &Actor,
    record: &ModelRecord,
    keep: Option<i32>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "UPDATE models SET complete = false, files_removed_at = now(), files_removed_by = $2 WHERE id = $1",
        record.id,
        actor.name
    )
    .execute(&mut *connection)
    .await?;
    let bytes = bytes(record);
    let detail = match keep {
        Some(keep) => json!({ "bytes": bytes, "keep": keep }),
        None => json!({ "bytes": bytes }),
    };
    audit::record(connection, actor, "model.remove_files", &format!("model/{}", record.name), detail).await
}

/// The bytes that a model's files take; none once they were removed.
pub fn bytes(record: &ModelRecord) -> u64 {
    match record.files_removed_at {
        None => record.files.iter().map(|file| file.bytes).sum(),
        Some(_) => 0,
    }
}

/// Those of these models whose files were removed.
pub async fn removed_among(pool: &PgPool, models: &[Uuid]) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!("SELECT id FROM models WHERE id = ANY ($1) AND files_removed_at IS NOT NULL", models)
        .fetch_all(pool)
        .await
}

/// Keeps all files of models on the disk until the transaction ends: for a backup, which reads them after the database.
pub async fn hold_files(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT pg_advisory_xact_lock_shared($1)").bind(FILES_LOCK).execute(connection).await?;
    Ok(())
}

/// Whether files may be deleted now, until the transaction ends: not while somebody holds them.
pub async fn may_delete_files(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(FILES_LOCK).fetch_one(connection).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;
    use time::OffsetDateTime;

    use super::*;

    fn model(name: &str, stage: Stage, complete: bool) -> Model {
        let record = ModelRecord {
            id: Uuid::now_v7(),
            name: name.to_owned(),
            stage,
            round: 1,
            parent: None,
            digest: String::new(),
            files: Vec::new(),
            complete,
            files_removed_at: None,
        };
        let (project_id, created_at) = (Uuid::nil(), OffsetDateTime::UNIX_EPOCH);
        Model { record, project_id, job_id: None, metrics: BTreeMap::new(), lineage: Value::Null, created_at }
    }

    #[test]
    fn the_newest_stay_beside_those_that_are_needed() {
        let mut gone = model("ppo-0", Stage::Ppo, false);
        gone.record.files_removed_at = Some(OffsetDateTime::UNIX_EPOCH);
        let models = vec![
            model("ppo-3", Stage::Ppo, true),
            model("reward-3", Stage::Reward, false),
            model("sft-3", Stage::Sft, true),
            model("ppo-2", Stage::Ppo, true),
            model("sft-2", Stage::Sft, true),
            gone,
            model("old", Stage::Base, true),
        ];
        let needs = HashMap::from([(models[0].record.id, Need::Answers)]);
        let names = |keep: i32| {
            let surplus = surplus(models.clone(), &needs, keep);
            surplus.into_iter().map(|record| record.name).collect::<Vec<_>>()
        };
        assert_eq!(names(0), ["sft-3", "ppo-2", "sft-2", "reward-3"]);
        assert_eq!(names(2), ["sft-2", "reward-3"]);
        assert_eq!(names(9), ["reward-3"]);
    }

    #[test]
    fn reasons_have_the_words_of_the_view() {
        for need in [Need::Answers, Need::AnsweredBefore, Need::Base, Need::Reward, Need::Job, Need::Adapter] {
            assert_eq!(words::parse::<Need>(need.as_str()).expect("a reason"), need);
        }
    }
}
