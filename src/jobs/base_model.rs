//! Brings a base model in from the server's own disk: a Hugging Face directory or one GGUF file is checked and copied.

use std::path::{Path, PathBuf};

use laurel_records::{ModelFile, ModelRecord};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::model_files::{self, StoreError, hexadecimal, model_digest};
use crate::{
    db::{
        audit::Actor,
        models::{self, NewBase, RegisterBaseError},
    },
    domain::model_file::{MORE_TEMPLATES, is_plain_file_name},
};

/// Endings of the files that a model directory is made of; others stay where they are.
const ENDINGS: [&str; 6] = ["json", "safetensors", "txt", "model", "jinja", "gguf"];

/// Why a model does not come in; the words are for the person who typed the path.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("“{0}” is not there, or the server may not read it")]
    NotThere(String),
    #[error("a GGUF file, or a directory with config.json, is needed: “{0}” is neither")]
    NotAModel(String),
    #[error("the directory lacks {0}")]
    Lacks(&'static str),
    #[error(transparent)]
    Register(#[from] RegisterBaseError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("reading “{path}”: {error}")]
    Read { path: String, error: std::io::Error },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Checks the model at `source`, registers it as a base model named `name`, copies its files to the other models' and
/// marks it complete. Done again with the same files, it finds what is there.
pub async fn import(
    pool: &PgPool,
    models_dir: &Path,
    actor: &Actor,
    project: Uuid,
    name: &str,
    source: &Path,
) -> Result<ModelRecord, ImportError> {
    let found = files_of(source).await?;
    let mut files = Vec::with_capacity(found.len());
    for (name, path) in &found {
        files.push(describe(name, path).await?);
    }
    let base = NewBase {
        name: name.trim().to_owned(),
        digest: model_digest(&files),
        files,
        lineage: json!({ "stage": "base", "source": source.display().to_string() }),
    };
    let record = models::register_base(pool, actor, project, &base).await?;
    if record.complete {
        return Ok(record);
    }
    for (name, path) in &found {
        let file = tokio::fs::File::open(path).await.map_err(|error| unreadable(path, error))?;
        model_files::store(models_dir, &record, name, ReaderStream::with_capacity(file, 1 << 20)).await?;
    }
    model_files::tidy(models_dir, record.id).await;
    Ok(models::complete_base(pool, record.id).await?)
}

/// The files that make up the model at a path, each with its name in the model.
async fn files_of(source: &Path) -> Result<Vec<(String, PathBuf)>, ImportError> {
    let shown = source.display().to_string();
    let metadata = tokio::fs::metadata(source).await.map_err(|_| ImportError::NotThere(shown.clone()))?;
    if metadata.is_file() {
        if !source.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf")) {
            return Err(ImportError::NotAModel(shown));
        }
        // The trainer finds it by its ending, whatever it is called: a name that a model's file can't have makes it no other model.
        let name = Some(name_of(source)).filter(|name| is_plain_file_name(name) && name.ends_with(".gguf"));
        return Ok(vec![(name.unwrap_or_else(|| "model.gguf".to_owned()), source.to_owned())]);
    }
    let mut found = plain_files(source, "", &ENDINGS).await?;
    let templates = source.join(MORE_TEMPLATES);
    if templates.is_dir() {
        found.extend(plain_files(&templates, &format!("{MORE_TEMPLATES}/"), &["jinja"]).await?);
    }
    found.sort();
    let has = |wanted: fn(&str) -> bool| found.iter().any(|(name, _)| wanted(name));
    if !has(|name| name == "config.json") {
        return Err(ImportError::NotAModel(shown));
    }
    if !has(|name| name.ends_with(".safetensors")) {
        return Err(ImportError::Lacks("its weights: model.safetensors"));
    }
    if !has(|name| name == "tokenizer.json") {
        return Err(ImportError::Lacks("tokenizer.json"));
    }
    Ok(found)
}

/// The files of a folder that end so, with `before` before their names.
async fn plain_files(folder: &Path, before: &str, endings: &[&str]) -> Result<Vec<(String, PathBuf)>, ImportError> {
    let mut entries = tokio::fs::read_dir(folder).await.map_err(|error| unreadable(folder, error))?;
    let mut found = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(|error| unreadable(folder, error))? {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let known = path.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| endings.contains(&ending));
        if known && path.is_file() && is_plain_file_name(&name) {
            found.push((format!("{before}{name}"), path));
        }
    }
    Ok(found)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

async fn describe(name: &str, path: &Path) -> Result<ModelFile, ImportError> {
    let mut file = tokio::fs::File::open(path).await.map_err(|error| unreadable(path, error))?;
    let mut digest = Sha256::new();
    let mut bytes = 0_u64;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).await.map_err(|error| unreadable(path, error))?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        digest.update(&buffer[..read]);
    }
    Ok(ModelFile { name: name.to_owned(), bytes, sha256: hexadecimal(&digest.finalize()) })
}

fn unreadable(path: &Path, error: std::io::Error) -> ImportError {
    ImportError::Read { path: path.display().to_string(), error }
}
