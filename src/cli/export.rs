//! `laurel export`: a project's records into a file, or to standard output.

use std::{
    fs::Permissions,
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    pin::pin,
};

use anyhow::Context;
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use laurel_records::Split;

use super::{WrongInput, with_database};
use crate::{
    config::Storage,
    db::words,
    export::{self, ExportError, Format, Kind, Selection},
};

/// Export records as files that TRL and datasets read as they are
#[derive(Debug, clap::Args)]
pub struct Export {
    /// Which records
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)))]
    kind: String,
    /// Short name of the project
    #[arg(long)]
    project: String,
    #[arg(long, default_value = "jsonl", value_parser = clap::builder::PossibleValuesParser::new(Format::ALL.map(Format::as_str)))]
    format: String,
    /// Only what belongs to one split
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(["train", "validation", "test"]))]
    split: Option<String>,
    /// Also rankings and demonstrations that a reviewer rejected, or corrected by a label of their own; without this they are left
    /// out
    #[arg(long)]
    include_rejected: bool,
    /// Leave out rankings of annotators whose reliability is known to be less, from 0 to 1: their estimated chance to put a pair
    /// of answers in the right order. Annotators with too few shared pairs stay
    #[arg(long, value_name = "X", value_parser = reliability)]
    minimum_reliability: Option<f64>,
    /// Give rankings and comparisons a field `weight`: 2 × reliability − 1 of the annotator, 1 for a reviewer's decision
    #[arg(long)]
    weights: bool,
    /// The file to write; it appears whole or not at all. Standard output without this
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Export {
    pub async fn run(self, storage: Storage) -> anyhow::Result<()> {
        let unknown = |word: &str| WrongInput(format!("unknown word “{word}”"));
        let kind = Kind::from_word(&self.kind).ok_or_else(|| unknown(&self.kind))?;
        let format = Format::from_word(&self.format).ok_or_else(|| unknown(&self.format))?;
        let split: Option<Split> = self.split.as_deref().map(words::parse).transpose()?;
        let selection = Selection {
            split,
            include_rejected: self.include_rejected,
            minimum_reliability: self.minimum_reliability,
            weights: self.weights,
        };
        with_database(storage, async |database, _| {
            let project = super::project::named(&database.pool, &self.project).await?;
            let bytes = export::stream(database.pool.clone(), &project, kind, format, selection);
            match &self.out {
                Some(path) => to_file(path, bytes).await,
                None => to_stdout(bytes).await,
            }
        })
        .await
    }
}

fn reliability(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "a number from 0 to 1 is needed".to_owned())?;
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err("a number from 0 to 1 is needed".to_owned()) }
}

/// Writes beside the file and renames: whoever reads it sees the old one or the new one.
async fn to_file(path: &Path, bytes: impl Stream<Item = Result<Bytes, ExportError>>) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot = || format!("{} can't be written", path.display());
    let mut file = tempfile::Builder::new()
        .prefix(".laurel-export")
        // As other new files: what the umask leaves.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .with_context(cannot)?;
    let mut bytes = pin!(bytes);
    while let Some(piece) = bytes.try_next().await? {
        file.write_all(&piece).with_context(cannot)?;
    }
    file.as_file().sync_all().with_context(cannot)?;
    file.persist(path).with_context(cannot)?;
    Ok(())
}

async fn to_stdout(bytes: impl Stream<Item = Result<Bytes, ExportError>>) -> anyhow::Result<()> {
    let mut bytes = pin!(bytes);
    while let Some(piece) = bytes.try_next().await? {
        match io::stdout().write_all(&piece) {
            // Whoever read it, head say, has enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            other => other.context("standard output can't be written")?,
        }
    }
    match io::stdout().flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("standard output can't be written")
        }
        _ => Ok(()),
    }
}
