//! `laurel export`: a project's records into a file, or to standard output.

use std::{
    fs::{OpenOptions, Permissions},
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
    /// The file to write; it appears whole or not at all. Standard output without this, or with -
    #[arg(long)]
    out: Option<PathBuf>,
}

impl Export {
    pub async fn run(self, storage: Storage) -> anyhow::Result<()> {
        let unknown = |word: &str| WrongInput(format!("unknown word “{word}”"));
        let kind = Kind::from_word(&self.kind).ok_or_else(|| unknown(&self.kind))?;
        let format = Format::from_word(&self.format).ok_or_else(|| unknown(&self.format))?;
        // Nothing takes the place of a directory: that is said now, and not after all has been gathered.
        if let Some(path) = self.out.as_ref().filter(|path| path.is_dir()) {
            return Err(WrongInput(format!("{} is a directory", path.display())).into());
        }
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
                Some(path) if !is_stdout(path) => to_file(path, bytes).await,
                _ => to_stdout(bytes).await,
            }
        })
        .await
    }
}

fn reliability(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "a number from 0 to 1 is needed".to_owned())?;
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err("a number from 0 to 1 is needed".to_owned()) }
}

/// Whether a path on the command line means standard output.
fn is_stdout(path: &Path) -> bool {
    path == Path::new("-") || path == Path::new("/dev/stdout")
}

/// Writes beside the file and renames: whoever reads it sees the old one or the new one. A device or a pipe stays what it is, and
/// so does a link to a file.
async fn to_file(path: &Path, bytes: impl Stream<Item = Result<Bytes, ExportError>>) -> anyhow::Result<()> {
    let cannot = || format!("{} can't be written", path.display());
    if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let mut out = OpenOptions::new().write(true).open(path).with_context(cannot)?;
        return write_into(&mut out, bytes, cannot).await;
    }
    let place = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".laurel-export")
        // As other new files: what the umask leaves.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .with_context(cannot)?;
    write_into(file.as_file_mut(), bytes, cannot).await?;
    file.as_file().sync_all().with_context(cannot)?;
    file.persist(&place).with_context(cannot)?;
    Ok(())
}

async fn write_into(
    out: &mut impl Write,
    bytes: impl Stream<Item = Result<Bytes, ExportError>>,
    cannot: impl Fn() -> String,
) -> anyhow::Result<()> {
    let mut bytes = pin!(bytes);
    while let Some(piece) = bytes.try_next().await? {
        out.write_all(&piece).with_context(&cannot)?;
    }
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

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Read,
        os::{fd::AsRawFd, unix::fs::symlink},
    };

    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn a_link_leads_where_it_led_and_a_pipe_is_written_into() {
        let lines = || stream::iter([Ok::<_, ExportError>(Bytes::from_static(b"{}\n"))]);
        let folder = tempfile::tempdir().expect("a directory");
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "before").expect("written");
        symlink(&file, &link).expect("a link");
        to_file(&link, lines()).await.expect("exported");
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).expect("read"), "{}\n");

        let (mut reader, writer) = io::pipe().expect("a pipe");
        to_file(Path::new(&format!("/dev/fd/{}", writer.as_raw_fd())), lines()).await.expect("exported");
        drop(writer);
        let mut written = String::new();
        reader.read_to_string(&mut written).expect("read");
        assert_eq!(written, "{}\n");
        assert!(is_stdout(Path::new("-")) && is_stdout(Path::new("/dev/stdout")));
    }
}
