//! Records in and out: every kind and form over the functions that commands use and over the pages; nothing half imported,
//! nothing doubled, nothing lost on the way round.

#[path = "../support/mod.rs"]
mod support;

mod foreign;
mod pages;
mod rules;
mod there_and_back;

use std::io::Cursor;

use futures_util::TryStreamExt;
use laurel::{
    db::{
        audit::Actor,
        projects::{self, Project, ProjectSettings},
    },
    domain::role::Role,
    export::{self, Format},
    import::{self, BadRecord, ImportError, ImportReport, Kind},
};
use laurel_records::{ComparisonRecord, DemonstrationRecord, PromptRecord, RankingRecord, Split};
use serde_json::{Value, json};
use sqlx::PgPool;
use support::seed::count;

async fn project(pool: &PgPool, slug: &str) -> Project {
    let settings = ProjectSettings { name: slug.to_owned(), ..ProjectSettings::default() };
    projects::create(pool, &Actor::program("test"), slug, &settings, false).await.expect("a project")
}

async fn bring(
    pool: &PgPool,
    project: &Project,
    kind: Kind,
    file: impl AsRef<[u8]>,
) -> Result<ImportReport, ImportError> {
    let mut reader = Cursor::new(file.as_ref().to_vec());
    import::import(pool, &Actor::program("test"), project, kind, &mut reader).await
}

#[track_caller]
fn good(done: Result<ImportReport, ImportError>) -> ImportReport {
    match done {
        Ok(report) => report,
        Err(ImportError::BadRecords(bad)) => panic!("{bad:?}"),
        Err(other) => panic!("{other}"),
    }
}

/// What was wrong, as (line, field).
#[track_caller]
fn refused(done: Result<ImportReport, ImportError>) -> Vec<BadRecord> {
    match done {
        Err(ImportError::BadRecords(bad)) => bad,
        other => panic!("not refused: {other:?}"),
    }
}

fn places(bad: &[BadRecord]) -> Vec<(u64, &str)> {
    bad.iter().map(|record| (record.line, record.field.as_str())).collect()
}

async fn bytes(pool: &PgPool, project: &Project, kind: export::Kind, format: Format, split: Option<Split>) -> Vec<u8> {
    let pieces: Vec<bytes::Bytes> =
        export::stream(pool.clone(), project, kind, format, split).try_collect().await.expect("an export");
    pieces.concat()
}

async fn file(pool: &PgPool, project: &Project, kind: export::Kind) -> String {
    String::from_utf8(bytes(pool, project, kind, Format::Jsonl, None).await).expect("UTF-8")
}

fn values(file: &str) -> Vec<Value> {
    file.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

fn asked(text: &str) -> Value {
    json!([{ "role": "user", "content": text }])
}

fn said(text: &str) -> Value {
    json!([{ "role": "assistant", "content": text }])
}

async fn nothing_is_here(pool: &PgPool) {
    let query =
        "SELECT (SELECT count(*) FROM prompts) + (SELECT count(*) FROM responses) + (SELECT count(*) FROM tasks)
                 + (SELECT count(*) FROM rankings) + (SELECT count(*) FROM demonstrations)";
    assert_eq!(count(pool, query).await, 0);
}
