//! Restoring a backup into an empty place: the whole archive is checked before the database is touched.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufReader, Read, Seek},
    path::{Path, PathBuf},
};

use anyhow::Context;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tar::Archive;
use uuid::Uuid;

use super::{DUMP, Digesting, Entry, FORMAT, MANIFEST, Manifest, Summary, postgres::Programs};
use crate::{
    config::Config,
    db::{self, embedded::Embedded},
    domain::model_file::is_model_file,
};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;
/// Bytes that a manifest may have.
const LONGEST_MANIFEST: u64 = 64 * 1024 * 1024;

/// Why an archive is not restored; all but `Failed` are the caller's to mend.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("{0} can't be read: {1}")]
    Unreadable(PathBuf, io::Error),
    #[error("this is no backup of Laurel, or it is damaged: {0}")]
    NoBackup(String),
    #[error("this backup was made by a newer Laurel ({0}): restore it with that version or a later one")]
    Newer(String),
    #[error("the database is not empty: a backup is restored into an empty one only")]
    DatabaseNotEmpty,
    #[error("{0} has models already: a backup is restored into an empty data directory only")]
    ModelsNotEmpty(PathBuf),
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

impl From<io::Error> for RestoreError {
    fn from(error: io::Error) -> Self {
        RestoreError::Failed(error.into())
    }
}

/// Restores the archive `file` into the data directory and the database of the settings. When anything fails, the database
/// stays empty and no model appears.
pub async fn restore(config: &Config, file: &Path) -> Result<Summary, RestoreError> {
    let source = File::open(file).map_err(|error| RestoreError::Unreadable(file.to_owned(), error))?;
    let mut archive = Archive::new(BufReader::with_capacity(BUFFER, source));
    let models_dir = config.models_dir();
    if fs::read_dir(&models_dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(RestoreError::ModelsNotEmpty(models_dir));
    }
    fs::create_dir_all(&config.data_dir)?;
    let unpacked = models_dir.with_extension("restoring");
    let (manifest, dump) = tokio::task::block_in_place(|| unpack(&mut archive, &unpacked, &config.data_dir))?;
    let has_models = unpacked.exists();
    let fits = if has_models { rehearse(&unpacked, &models_dir) } else { Ok(()) };
    let filled = match fits {
        Ok(()) => fill(config, dump).await,
        Err(error) => Err(error.into()),
    };
    match filled {
        Ok(()) if has_models => fs::rename(&unpacked, &models_dir)?,
        Ok(()) => {}
        Err(error) => {
            let _ = fs::remove_dir_all(&unpacked);
            return Err(error);
        }
    }
    Ok(manifest.summary())
}

/// Whether the models can take their place, which a mount or a link may keep: there and back, before the database is filled.
fn rehearse(unpacked: &Path, models_dir: &Path) -> anyhow::Result<()> {
    // An empty directory may be in the way.
    let _ = fs::remove_dir(models_dir);
    let there = fs::rename(unpacked, models_dir);
    there.with_context(|| {
        let place = models_dir.display();
        format!("{place} can't be replaced: if it is a mount or a link, take it away until the backup is restored")
    })?;
    Ok(fs::rename(models_dir, unpacked)?)
}

/// Opens the database of the settings, without making any table, and fills it if it is empty.
async fn fill(config: &Config, dump: File) -> Result<(), RestoreError> {
    let Some(url) = &config.database_url else {
        let embedded = Embedded::open(&config.data_dir).await?;
        let filled = fill_empty(embedded.laurel(), Programs::new(Some(&embedded), None, &config.data_dir)?, dump).await;
        tokio::task::block_in_place(|| embedded.close())?;
        return filled;
    };
    let options = url.parse().context("DATABASE_URL is not an address of a Postgres database")?;
    fill_empty(options, Programs::new(None, Some(url), &config.data_dir)?, dump).await
}

async fn fill_empty(options: PgConnectOptions, programs: Programs<'_>, dump: File) -> Result<(), RestoreError> {
    let mut connection = PgConnection::connect_with(&options).await.context("the database does not answer")?;
    let has_tables: bool = sqlx::query_scalar(
        r"
        SELECT EXISTS (
            SELECT 1
            FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%' AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
        )
        ",
    )
    .fetch_one(&mut connection)
    .await
    .context("the database does not answer")?;
    connection.close().await.context("the database does not answer")?;
    if has_tables {
        return Err(RestoreError::DatabaseNotEmpty);
    }
    Ok(tokio::task::block_in_place(|| programs.restore(dump))?)
}

/// Checks the whole archive: models' files go to `unpacked`, the database's dump into a file that has no name.
fn unpack(
    archive: &mut Archive<impl Read>,
    unpacked: &Path,
    data_dir: &Path,
) -> Result<(Manifest, File), RestoreError> {
    if unpacked.exists() {
        fs::remove_dir_all(unpacked)?;
    }
    let unpacking = unpack_into(archive, unpacked, data_dir);
    if unpacking.is_err() {
        let _ = fs::remove_dir_all(unpacked);
    }
    unpacking
}

fn unpack_into(
    archive: &mut Archive<impl Read>,
    unpacked: &Path,
    data_dir: &Path,
) -> Result<(Manifest, File), RestoreError> {
    let damaged = |error: io::Error| RestoreError::NoBackup(error.to_string());
    let mut entries = archive.entries().map_err(damaged)?;
    let manifest = match entries.next() {
        Some(Ok(entry)) if entry.path_bytes().as_ref() == MANIFEST.as_bytes() => read_manifest(entry)?,
        _ => return Err(RestoreError::NoBackup(format!("it does not begin with {MANIFEST}"))),
    };
    let mut wanted: HashMap<&str, &Entry> = manifest.entries.iter().map(|entry| (entry.path.as_str(), entry)).collect();
    let mut dump = None;
    for entry in entries {
        let mut entry = entry.map_err(damaged)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let expected = wanted
            .remove(path.as_str())
            .ok_or_else(|| RestoreError::NoBackup(format!("{path} does not belong in it")))?;
        let mut target = if path == DUMP {
            tempfile::tempfile_in(data_dir)?
        } else {
            let place = place(unpacked, &path)
                .ok_or_else(|| RestoreError::NoBackup(format!("{path} does not belong in it")))?;
            if let Some(folder) = place.parent() {
                fs::create_dir_all(folder)?;
            }
            File::create(place)?
        };
        let mut digesting = Digesting::new(&mut target);
        io::copy(&mut entry, &mut digesting).map_err(damaged)?;
        if digesting.sum() != (expected.bytes, expected.sha256.clone()) {
            return Err(RestoreError::NoBackup(format!("{path} is not as it was written")));
        }
        if path == DUMP {
            target.rewind()?;
            dump = Some(target);
        } else {
            target.sync_all()?;
        }
    }
    if let Some(path) = wanted.keys().next() {
        return Err(RestoreError::NoBackup(format!("{path} is missing")));
    }
    let dump = dump.ok_or_else(|| RestoreError::NoBackup(format!("{DUMP} is missing")))?;
    Ok((manifest, dump))
}

fn read_manifest(entry: impl Read) -> Result<Manifest, RestoreError> {
    let manifest: Manifest = serde_json::from_reader(entry.take(LONGEST_MANIFEST))
        .map_err(|_| RestoreError::NoBackup(format!("{MANIFEST} can't be read")))?;
    if manifest.format > FORMAT || manifest.schema > db::newest_schema() {
        return Err(RestoreError::Newer(manifest.program));
    }
    Ok(manifest)
}

/// Where `models/<id>/<name>` goes; `None` for a path that is of another form.
fn place(unpacked: &Path, path: &str) -> Option<PathBuf> {
    let (model, name) = path.strip_prefix("models/")?.split_once('/')?;
    let model: Uuid = model.parse().ok()?;
    is_model_file(name).then(|| unpacked.join(model.to_string()).join(name))
}
