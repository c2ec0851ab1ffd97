//! Where the files of models lie: `<models_dir>/<id>/<name>`, see [`crate::config::Config::models_dir`]. A file appears
//! whole, by rename, after its size and digest were checked.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use laurel_records::{ModelFile, ModelRecord};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use crate::domain::model_file::is_model_file;

/// What the names of files on their way begin with.
const INCOMING: &str = ".incoming-";
/// Bytes after which what has come is put on the disk: all of some GB at their end takes longer than a worker waits for the answer,
/// which then sends the file once more, and comes to the same end.
const SYNCED: u64 = 256 * 1024 * 1024;

/// Why a file is not stored.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("“{0}” is no file of this model")]
    Unknown(String),
    #[error("“{name}” has {found} bytes instead of {expected}")]
    Size { name: String, expected: u64, found: u64 },
    #[error("the content of “{0}” does not have the digest that was announced")]
    Digest(String),
    #[error("the upload broke off: {0}")]
    BrokenOff(String),
    #[error("the server can't store the file: {0}")]
    Disk(#[from] std::io::Error),
}

/// The directory of a model.
pub fn directory(models_dir: &Path, model: Uuid) -> PathBuf {
    models_dir.join(model.to_string())
}

/// The file of a model; `None` for a name that is not on its list.
pub fn path(models_dir: &Path, model: &ModelRecord, name: &str) -> Option<PathBuf> {
    let listed = is_model_file(name) && model.files.iter().any(|file| file.name == name);
    listed.then(|| directory(models_dir, model.id).join(name))
}

/// A file that has arrived as it was announced, beside its place. Dropping it deletes it.
#[derive(Debug)]
pub struct Received {
    temporary: tempfile::TempPath,
    place: PathBuf,
}

impl Received {
    /// Puts the file in its place.
    pub fn keep(self) -> Result<(), StoreError> {
        let folder = self.place.parent().map(Path::to_owned);
        self.temporary.persist(&self.place).map_err(|error| error.error)?;
        if let Some(folder) = folder {
            // The name is as durable as the content.
            std::fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

/// Receives a file from a stream of its bytes, without holding it in memory, and checks it against the model's list.
pub async fn receive<E: std::fmt::Display>(
    models_dir: &Path,
    model: &ModelRecord,
    name: &str,
    mut content: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<Received, StoreError> {
    let expected = model
        .files
        .iter()
        .find(|file| file.name == name && is_model_file(name))
        .ok_or_else(|| StoreError::Unknown(name.to_owned()))?;
    let folder = directory(models_dir, model.id);
    let place = folder.join(name);
    tokio::fs::create_dir_all(place.parent().unwrap_or(&folder)).await?;
    let temporary = tempfile::Builder::new().prefix(INCOMING).tempfile_in(&folder)?.into_temp_path();
    let mut file = tokio::fs::File::create(&temporary).await?;
    let mut digest = Sha256::new();
    let (mut size, mut unsynced) = (0_u64, 0_u64);
    while let Some(chunk) = content.next().await {
        let chunk = chunk.map_err(|error| StoreError::BrokenOff(error.to_string()))?;
        size += chunk.len() as u64;
        if size > expected.bytes {
            break;
        }
        digest.update(&chunk);
        file.write_all(&chunk).await?;
        unsynced += chunk.len() as u64;
        if unsynced >= SYNCED {
            file.flush().await?;
            file.sync_data().await?;
            unsynced = 0;
        }
    }
    if size != expected.bytes {
        return Err(StoreError::Size { name: name.to_owned(), expected: expected.bytes, found: size });
    }
    if hexadecimal(&digest.finalize()) != expected.sha256 {
        return Err(StoreError::Digest(name.to_owned()));
    }
    // What became of the last write is told here alone, a full disk say: `sync_all` passes over it.
    file.flush().await?;
    file.sync_all().await?;
    Ok(Received { temporary, place })
}

/// Stores a file from a stream of its bytes. Never leaves a file that is not what the model's list says.
pub async fn store<E: std::fmt::Display>(
    models_dir: &Path,
    model: &ModelRecord,
    name: &str,
    content: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> Result<(), StoreError> {
    receive(models_dir, model, name, content).await?.keep()
}

/// Deletes the files of a model that is registered anew, or was removed. Who reads one of them reads on to its end.
pub async fn clear(models_dir: &Path, model: Uuid) -> Result<(), std::io::Error> {
    match tokio::fs::remove_dir_all(directory(models_dir, model)).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what a server that was killed has left of files on their way, each as large as weights may be: of a model that is whole.
pub async fn tidy(models_dir: &Path, model: Uuid) {
    let Ok(mut entries) = tokio::fs::read_dir(directory(models_dir, model)).await else { return };
    while let Ok(Some(entry)) = entries.next_entry().await {
        if entry.file_name().to_string_lossy().starts_with(INCOMING) {
            // What can't be removed is in nobody's way.
            let _ = tokio::fs::remove_file(entry.path()).await;
        }
    }
}

/// The files of a model that are not on the disk yet, by name.
pub async fn missing(models_dir: &Path, model: &ModelRecord) -> Result<Vec<String>, std::io::Error> {
    let folder = directory(models_dir, model.id);
    let mut missing = Vec::new();
    for file in &model.files {
        let there = match tokio::fs::metadata(folder.join(&file.name)).await {
            Ok(metadata) => metadata.len() == file.bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
            Err(error) => return Err(error),
        };
        if !there {
            missing.push(file.name.clone());
        }
    }
    Ok(missing)
}

/// The digest of a model, as the trainer and a child's laurel.json name it: SHA-256 over `name`, `\n`, `digest of content`,
/// `\n` of every file in order of its name. `laurel.json` is left out: writing metrics into it makes no other model. A
/// GGUF file alone has the digest of its content.
pub fn model_digest(files: &[ModelFile]) -> String {
    if let [file] = files
        && file.name.to_ascii_lowercase().ends_with(".gguf")
    {
        return file.sha256.clone();
    }
    let mut lines: Vec<_> = files.iter().filter(|file| file.name != "laurel.json").collect();
    lines.sort_by(|left, right| left.name.cmp(&right.name));
    let text: String = lines.iter().map(|file| format!("{}\n{}\n", file.name, file.sha256)).collect();
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

/// Bytes as small hexadecimal digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
