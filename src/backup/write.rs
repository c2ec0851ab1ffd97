//! Writing a backup, while a server runs or while none does: the file appears whole, by rename.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use laurel_records::ModelRecord;
use tar::{Builder, EntryType, Header};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{DUMP, Digesting, Entry, FORMAT, MANIFEST, Manifest, Summary, postgres::Programs};
use crate::{
    config::Config,
    db::{self, Database, model_removal, models},
    jobs::model_files,
};

/// Bytes that are written at once.
const BUFFER: usize = 1 << 20;

/// Writes everything into `file`. A model's files that are gone from the disk are left out, and named in the log.
pub async fn write(database: &Database, config: &Config, file: &Path) -> anyhow::Result<Summary> {
    let folder = folder_of(file);
    let temporary = tempfile::Builder::new()
        .prefix(".laurel-backup-")
        .tempfile_in(&folder)
        .with_context(|| format!("{} can't be written to", folder.display()))?;
    let programs = Programs::new(database.embedded(), config.database_url.as_deref(), &config.data_dir)?;
    let schema = db::schema(&database.pool).await?;
    // Until the end: files of a model that is removed meanwhile stay on the disk, since the dump may call it complete.
    let mut holding = database.pool.begin().await?;
    model_removal::hold_files(&mut holding).await?;
    let before = models::all_complete(&database.pool).await?;
    let (dump, dump_entry) = tokio::task::block_in_place(|| dumped(&programs, &folder))?;
    // Before the dump or after it: every model that is complete in it has its files on the disk, and they stay as they are.
    let after = models::all_complete(&database.pool).await?;
    let records: BTreeMap<Uuid, ModelRecord> =
        before.into_iter().chain(after).map(|record| (record.id, record)).collect();
    let found = tokio::task::block_in_place(|| files(&config.models_dir(), records.values()))?;
    let manifest = Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        schema,
        created_at: OffsetDateTime::now_utc(),
        entries: found.iter().map(|(entry, _)| entry.clone()).chain([dump_entry.clone()]).collect(),
    };
    tokio::task::block_in_place(|| {
        let mut archive = Builder::new(BufWriter::with_capacity(BUFFER, temporary.as_file()));
        let text = serde_json::to_vec_pretty(&manifest)?;
        append(&mut archive, MANIFEST, text.len() as u64, manifest.created_at, text.as_slice())?;
        for (entry, path) in &found {
            let model = File::open(path).with_context(|| format!("{} can't be read", path.display()))?;
            add(&mut archive, entry, manifest.created_at, model)?;
        }
        add(&mut archive, &dump_entry, manifest.created_at, dump)?;
        archive.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        temporary.persist(file).with_context(|| format!("{} can't be written", file.display()))?;
        File::open(&folder)?.sync_all()?;
        Ok(manifest.summary())
    })
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The database in a file that has no name, and its entry.
fn dumped(programs: &Programs<'_>, folder: &Path) -> anyhow::Result<(File, Entry)> {
    let mut dump = tempfile::tempfile_in(folder)?;
    programs.dump(dump.try_clone()?)?;
    dump.rewind()?;
    let mut digesting = Digesting::new(&mut dump);
    io::copy(&mut digesting, &mut io::sink())?;
    let (bytes, sha256) = digesting.sum();
    dump.rewind()?;
    Ok((dump, Entry { path: DUMP.to_owned(), bytes, sha256 }))
}

/// The files of models that are there, with their place on the disk.
fn files<'a>(
    models_dir: &Path,
    records: impl Iterator<Item = &'a ModelRecord>,
) -> anyhow::Result<Vec<(Entry, PathBuf)>> {
    let mut found = Vec::new();
    for record in records {
        for file in &record.files {
            let path = model_files::directory(models_dir, record.id).join(&file.name);
            match path.metadata() {
                Ok(metadata) if metadata.len() == file.bytes => {
                    let place = format!("models/{}/{}", record.id, file.name);
                    found.push((Entry { path: place, bytes: file.bytes, sha256: file.sha256.clone() }, path));
                }
                Ok(_) => bail!("{} is damaged: it has not the size that the registry says", path.display()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tracing::warn!(
                        "the backup is without {}, a file of the model {}: it is gone",
                        path.display(),
                        record.name
                    );
                }
                Err(error) => return Err(error).with_context(|| format!("{} can't be read", path.display())),
            }
        }
    }
    Ok(found)
}

/// Appends a file, and makes sure that it is what the manifest says.
fn add<W: Write>(archive: &mut Builder<W>, entry: &Entry, at: OffsetDateTime, content: File) -> anyhow::Result<()> {
    let mut digesting = Digesting::new(content);
    append(archive, &entry.path, entry.bytes, at, &mut digesting)?;
    if digesting.sum() != (entry.bytes, entry.sha256.clone()) {
        bail!("{} is damaged: it has not the content that the registry says", entry.path);
    }
    Ok(())
}

fn append<W: Write>(
    archive: &mut Builder<W>,
    path: &str,
    bytes: u64,
    at: OffsetDateTime,
    content: impl Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(at.unix_timestamp()).unwrap_or_default());
    header.set_size(bytes);
    archive.append_data(&mut header, path, content)
}
