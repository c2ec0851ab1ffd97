//! `laurel import`: records of a file into a project, all or nothing.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::io::{AsyncRead, ReadBuf};

use super::{WrongInput, print, with_database};
use crate::{
    config::Storage,
    db::{Database, audit::Actor},
    import::{self, BadRecord, ImportError, ImportReport, Kind},
};

/// Import records: all of a file, or, where a record is wrong, nothing of it
#[derive(Debug, clap::Args)]
pub struct Import {
    /// What the file holds
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)))]
    kind: String,
    /// Short name of the project
    #[arg(long)]
    project: String,
    /// JSON lines, a JSON list or CSV; - is standard input
    file: PathBuf,
}

/// How often progress is told, and when first.
const PROGRESS: Duration = Duration::from_secs(2);

impl Import {
    pub async fn run(self, storage: Storage) -> anyhow::Result<()> {
        let kind = Kind::from_word(&self.kind).ok_or_else(|| WrongInput(format!("unknown kind “{}”", self.kind)))?;
        let (mut reader, size) = open(&self.file).await?;
        let report =
            with_database(storage, async |database, _| self.import(database, kind, &mut reader, size).await).await?;
        print(said(&report))
    }

    async fn import(
        &self,
        database: &Database,
        kind: Kind,
        reader: &mut (impl AsyncRead + Unpin + Send),
        size: Option<u64>,
    ) -> anyhow::Result<ImportReport> {
        let project = super::project::named(&database.pool, &self.project).await?;
        let read = Arc::new(AtomicU64::new(0));
        let mut counted = Counted { inner: reader, read: read.clone() };
        let teller = tokio::spawn(tell(read, size));
        let actor = Actor::program("command line");
        let done = import::import(&database.pool, &actor, &project, kind, &mut counted).await;
        teller.abort();
        done.map_err(|error| match error {
            ImportError::BadRecords(bad) => WrongInput(list(&bad)).into(),
            other => anyhow::Error::from(other),
        })
    }
}

type Input = Box<dyn AsyncRead + Unpin + Send>;

/// The file and its size, where it has one.
async fn open(path: &Path) -> anyhow::Result<(Input, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(tokio::io::stdin()), None));
    }
    let wrong = |error: std::io::Error| WrongInput(format!("{} can't be opened: {error}", path.display()));
    let file = tokio::fs::File::open(path).await.map_err(wrong)?;
    let about = file.metadata().await.map_err(wrong)?;
    if about.is_dir() {
        return Err(WrongInput(format!("{} is a directory", path.display())).into());
    }
    Ok((Box::new(file), about.is_file().then_some(about.len())))
}

/// Counts the bytes that pass.
struct Counted<'a, R> {
    inner: &'a mut R,
    read: Arc<AtomicU64>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<'_, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut *self.inner).poll_read(context, into);
        let passed = u64::try_from(into.filled().len() - before).unwrap_or_default();
        self.read.fetch_add(passed, Ordering::Relaxed);
        polled
    }
}

/// Tells on standard error how far a long import is.
async fn tell(read: Arc<AtomicU64>, size: Option<u64>) {
    let again = std::io::stderr().is_terminal();
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    loop {
        tokio::time::sleep(PROGRESS).await;
        let read = megabytes(read.load(Ordering::Relaxed));
        let line = match size {
            Some(size) => format!("{read:.1} of {:.1} MB read", megabytes(size)),
            None => format!("{read:.1} MB read"),
        };
        if again { eprint!("\r{line} ") } else { eprintln!("{line}") }
    }
}

fn said(report: &ImportReport) -> String {
    let ImportReport { records, added, duplicates, prompts_added, tasks } = report;
    format!(
        "{records} records: {added} new, {duplicates} here already; {prompts_added} new prompts, {tasks} tasks made"
    )
}

fn list(bad: &[BadRecord]) -> String {
    let which = match bad.len() {
        1 => "this record is wrong".to_owned(),
        import::MOST_NAMED => format!("these records are wrong (the first {})", import::MOST_NAMED),
        _ => "these records are wrong".to_owned(),
    };
    let lines = bad.iter().map(|BadRecord { line, field, reason }| {
        if field.is_empty() { format!("\nline {line}: {reason}") } else { format!("\nline {line}: {field}: {reason}") }
    });
    format!("nothing was imported; {which}{}", lines.collect::<String>())
}
