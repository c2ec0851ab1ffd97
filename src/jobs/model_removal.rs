//! The files of models leave the disk, after the registry says that they were removed: what stands there as removed may lie here for a
//! while, as after a crash, but never the other way round. The next removal, or the clock, deletes what was left.

use std::path::Path;

use anyhow::Context;
use laurel_records::ModelRecord;
use sqlx::PgPool;
use uuid::Uuid;

use super::model_files;
use crate::db::{
    audit::Actor,
    model_removal::{self, RemoveError},
};

/// Removes the files of a model that nothing needs. `false` where they were removed before.
pub async fn remove(
    pool: &PgPool,
    models_dir: &Path,
    actor: &Actor,
    project: Uuid,
    model: Uuid,
) -> Result<bool, RemoveError> {
    let removed = model_removal::remove(pool, actor, project, model).await?;
    sweep_or_log(pool, models_dir).await;
    Ok(removed)
}

/// Removes the files of all models that runs made and nothing needs, but for the `keep` newest of them.
pub async fn prune(
    pool: &PgPool,
    models_dir: &Path,
    actor: &Actor,
    project: Uuid,
    keep: i32,
) -> Result<Vec<ModelRecord>, sqlx::Error> {
    let pruned = model_removal::prune(pool, actor, project, keep).await?;
    sweep_or_log(pool, models_dir).await;
    Ok(pruned)
}

/// Prunes the projects with a rule for it of which a night has ended, then deletes what lies here of any removed model.
pub async fn after_nights(pool: &PgPool, models_dir: &Path) -> anyhow::Result<()> {
    let clock = Actor::program("clock");
    for project in model_removal::due(pool).await? {
        let pruned = model_removal::prune_by_rule(pool, &clock, project).await?;
        tracing::info!(%project, models = pruned.len(), "models beyond those that are kept were removed after a night");
    }
    sweep(pool, models_dir).await
}

/// The removal stands in the registry, whatever becomes of the files now: the clock tries again.
async fn sweep_or_log(pool: &PgPool, models_dir: &Path) {
    if let Err(error) = sweep(pool, models_dir).await {
        tracing::error!(error = format!("{error:#}"), "the files of a removed model could not be deleted");
    }
}

/// Deletes the files of removed models that lie here. While a backup reads models' files they stay: it has their records.
async fn sweep(pool: &PgPool, models_dir: &Path) -> anyhow::Result<()> {
    let left = model_removal::removed_among(pool, &lying_here(models_dir).await?).await?;
    if left.is_empty() {
        return Ok(());
    }
    let mut transaction = pool.begin().await?;
    if !model_removal::may_delete_files(&mut transaction).await? {
        tracing::debug!("files of removed models stay while a backup is made, or somebody else deletes them");
        return Ok(());
    }
    let mut swept = Ok(());
    for model in left {
        // One that can't be deleted, since another user brought it say, keeps none of the others.
        if let Err(error) = model_files::clear(models_dir, model).await {
            let folder = model_files::directory(models_dir, model);
            swept = Err(anyhow::Error::from(error).context(format!("{} can't be deleted", folder.display())));
        }
    }
    transaction.commit().await?;
    swept
}

/// The models of which a directory lies here.
async fn lying_here(models_dir: &Path) -> anyhow::Result<Vec<Uuid>> {
    let unreadable = || format!("{} can't be read", models_dir.display());
    let mut entries = match tokio::fs::read_dir(models_dir).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(unreadable)?,
    };
    let mut found = Vec::new();
    while let Some(entry) = entries.next_entry().await.with_context(unreadable)? {
        found.extend(entry.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok()));
    }
    Ok(found)
}
