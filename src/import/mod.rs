//! Reads records in: our own forms, and what other tools export.

mod assessment;
mod fields;
mod foreign;
pub mod mapping;
mod own;
pub mod preview;
mod read;
mod reason;
mod scan;
mod store;
mod table;

use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, PgPool};
use tokio::io::AsyncRead;

use crate::db::{
    audit::{self, Actor},
    bulk, near_duplicates,
    projects::Project,
};
use foreign::Rewriter;
use mapping::Mapping;
pub use own::COMPARISON;
use own::Incoming;
use read::Records;
pub use read::Written;
pub use reason::Reason;
use store::Store;
use table::Headers;

/// What the records of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Prompts,
    Responses,
    Demonstrations,
    Rankings,
    Comparisons,
    /// Answers whose order is known: checks, and tasks of the course.
    KnownAnswers,
}

impl Kind {
    pub const ALL: [Kind; 6] =
        [Kind::Prompts, Kind::Responses, Kind::Demonstrations, Kind::Rankings, Kind::Comparisons, Kind::KnownAnswers];

    /// The word of commands, forms and addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Prompts => "prompts",
            Kind::Responses => "responses",
            Kind::Demonstrations => "demonstrations",
            Kind::Rankings => "rankings",
            Kind::Comparisons => "comparisons",
            Kind::KnownAnswers => "known-answers",
        }
    }

    /// The kind that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What an import did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Records that the file holds.
    pub records: u64,
    /// Of these, how many were new.
    pub added: u64,
    /// How many were here already, or stand in the file twice.
    pub duplicates: u64,
    /// Prompts that came in, by themselves or under a label.
    pub prompts_added: u64,
    /// Tasks made for people.
    pub tasks: u64,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadRecord {
    /// Line of the file on which the record begins, from 1.
    pub line: u64,
    /// `ranks`, `prompt[2].role`; empty where the record as a whole is wrong.
    pub field: String,
    pub reason: Reason,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The first bad records of the file, by line; at most [`MOST_NAMED`].
    #[error("nothing was imported: {} bad", .0.len())]
    BadRecords(Vec<BadRecord>),
    /// The file, or the connection that it came by, could not be read to its end.
    #[error("the file could not be read to its end")]
    Read(#[source] std::io::Error),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Bad records that an import names before it gives up.
pub const MOST_NAMED: usize = 20;
/// Records and bytes of one batch: what is in memory at a time.
const BATCH_RECORDS: usize = 2_000;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Reads a whole file into a project, or nothing of it. Memory stays the same however long the file is.
///
/// What is here already is counted and changes nothing. Responses make ranking tasks, prompts make demonstration tasks where
/// the project asks for demonstrations.
///
/// # Errors
/// Names the first bad records by line and field; then, or when the file or the database fails, nothing was imported.
pub async fn import(
    pool: &PgPool,
    actor: &Actor,
    project: &Project,
    kind: Kind,
    reader: &mut (impl AsyncRead + Unpin + Send),
) -> Result<ImportReport, ImportError> {
    import_mapped(pool, actor, project, kind, &Mapping::default(), reader).await
}

/// [`import`] of a file that calls its columns otherwise.
pub async fn import_mapped(
    pool: &PgPool,
    actor: &Actor,
    project: &Project,
    kind: Kind,
    mapping: &Mapping,
    reader: &mut (impl AsyncRead + Unpin + Send),
) -> Result<ImportReport, ImportError> {
    let mut transaction = pool.begin().await?;
    let (report, bad) = take_in(&mut transaction, project, kind, mapping, reader, MOST_NAMED).await?;
    if !bad.is_empty() {
        transaction.rollback().await?;
        return Err(ImportError::BadRecords(bad));
    }
    if report.prompts_added > 0 {
        near_duplicates::after_arrival(&mut transaction, actor, (project.id, &project.slug)).await?;
    }
    if report.added > 0 || report.tasks > 0 {
        let detail = json!({ "kind": kind.as_str(), "report": report });
        let subject = format!("project/{}", project.slug);
        audit::record(&mut *transaction, actor, "records.import", &subject, detail).await?;
    }
    transaction.commit().await?;
    Ok(report)
}

/// What an import would do, and which records are in its way: at most `most`. Nothing is changed.
pub async fn rehearse(
    pool: &PgPool,
    project: &Project,
    kind: Kind,
    mapping: &Mapping,
    reader: &mut (impl AsyncRead + Unpin + Send),
    most: usize,
) -> Result<(ImportReport, Vec<BadRecord>), ImportError> {
    let mut transaction = pool.begin().await?;
    let found = take_in(&mut transaction, project, kind, mapping, reader, most).await?;
    transaction.rollback().await?;
    Ok(found)
}

/// Stores what is good within the caller's transaction, and gives the first bad records by line.
async fn take_in(
    connection: &mut PgConnection,
    project: &Project,
    kind: Kind,
    mapping: &Mapping,
    reader: &mut (impl AsyncRead + Unpin + Send),
    most: usize,
) -> Result<(ImportReport, Vec<BadRecord>), ImportError> {
    bulk::one_import_at_a_time(&mut *connection, project.id).await?;
    let mut store = Store::new(connection, project, kind);
    let mut batches = Batches::open(kind, mapping, reader).await.map_err(ImportError::Read)?;
    let mut bad = Vec::new();
    while let Some(batch) = batches.next().await.map_err(ImportError::Read)? {
        let mut found = batch.bad;
        found.extend(store.batch(batch.records).await?);
        // The first by line, also among those that only the database shows to be bad.
        found.sort_by_key(|record| record.line);
        bad.extend(found);
        if bad.len() >= most {
            break;
        }
    }
    let report = store.report();
    if bad.is_empty() && report.records == 0 {
        bad.push(BadRecord { line: 1, field: String::new(), reason: "import-reason-none".into() });
    }
    bad.truncate(most);
    Ok((report, bad))
}

/// Checked records, and those that are wrong by themselves.
#[derive(Default)]
struct Batch {
    records: Vec<Incoming>,
    bad: Vec<BadRecord>,
}

/// A file, batch by batch.
struct Batches<'a> {
    records: Records<'a>,
    rewriter: Rewriter,
    kind: Kind,
    done: bool,
}

impl<'a> Batches<'a> {
    async fn open(
        kind: Kind,
        mapping: &Mapping,
        reader: &'a mut (dyn AsyncRead + Unpin + Send),
    ) -> std::io::Result<Self> {
        let records = Records::open(reader, Headers::Ours, mapping).await?;
        Ok(Batches { records, rewriter: Rewriter::new(kind), kind, done: false })
    }

    async fn next(&mut self) -> std::io::Result<Option<Batch>> {
        if self.done {
            return Ok(None);
        }
        let (mut batch, mut bytes) = (Batch::default(), 0);
        while batch.records.len() < BATCH_RECORDS && batch.bad.len() < MOST_NAMED && bytes < BATCH_BYTES {
            let rewritten = match self.records.next().await? {
                Some(raw) => {
                    bytes += raw.size;
                    match raw.content {
                        Ok(record) => self.rewriter.push(raw.line, record),
                        Err(wrong) => vec![(raw.line, Err(wrong))],
                    }
                }
                None => {
                    self.done = true;
                    self.rewriter.finish()
                }
            };
            for (line, record) in rewritten {
                match record.and_then(|record| own::parse(self.kind, line, record)) {
                    Ok(record) => batch.records.push(record),
                    Err(wrong) => batch.bad.push(BadRecord::of(line, wrong)),
                }
            }
            if self.done {
                break;
            }
        }
        Ok(Some(batch))
    }
}
