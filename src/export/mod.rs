//! Streams prompts, demonstrations, rankings and comparisons out as JSONL, CSV and Parquet.

mod columns;
mod counts;
mod encode;
mod records;
mod selection;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use laurel_records::Split;
use sqlx::PgPool;

use crate::db::projects::Project;
pub use counts::{Counts, counts};
use encode::Encoder;
use selection::Makers;
pub use selection::Selection;

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Prompts,
    Demonstrations,
    Rankings,
    Comparisons,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Prompts, Kind::Demonstrations, Kind::Rankings, Kind::Comparisons];

    /// The word of commands, forms and addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Prompts => "prompts",
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

/// The form of an exported file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    #[default]
    Jsonl,
    Csv,
    Parquet,
}

impl Format {
    pub const ALL: [Format; 3] = [Format::Jsonl, Format::Csv, Format::Parquet];

    /// The word of commands and addresses; the ending of a file's name, too.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }

    /// The format that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Format::ALL.into_iter().find(|format| format.as_str() == word)
    }

    /// Value of `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Jsonl => "application/jsonl; charset=utf-8",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// The name that a download has: `sample-rankings-train.jsonl`.
pub fn file_name(project: &Project, kind: Kind, format: Format, split: Option<Split>) -> String {
    let split = split.map(|split| format!("-{}", crate::db::words::split(split))).unwrap_or_default();
    format!("{}-{}{split}.{}", project.slug, kind.as_str(), format.as_str())
}

/// Why an export broke off.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("the records could not be written as {format}: {reason}")]
    Encode { format: &'static str, reason: String },
}

/// The bytes of an export, as they come out of the database: memory stays the same however many records there are. All
/// records are of one moment. An error ends the stream.
pub fn stream(
    pool: PgPool,
    project: &Project,
    kind: Kind,
    format: Format,
    selection: impl Into<Selection>,
) -> BoxStream<'static, Result<Bytes, ExportError>> {
    let (project, selection) = (project.clone(), selection.into());
    let bytes = async_stream::try_stream! {
        let mut encoder = Encoder::new(kind, format)?;
        let makers = Makers::of(&pool, project.id, &selection).await?;
        let mut connection = pool.acquire().await?;
        // Of a reader who goes in the middle, the pool would read the rest, to use the connection again: with hundreds of
        // thousands of rankings the database would work for minutes for nobody. Of one that is closed, it stops.
        connection.close_on_drop();
        let mut records = records::of(&mut connection, &project, kind, &selection, &makers);
        while let Some(record) = records.try_next().await? {
            if let Some(bytes) = encoder.push(record)? {
                yield bytes;
            }
        }
        yield encoder.finish()?;
    };
    bytes.boxed()
}
