//! Checked records to rows, a batch at a time, within one transaction: what is here already is counted, the rest inserted.

mod answers;
mod demonstrations;
mod known_answers;
mod prompts;
mod rankings;
mod tasks;

use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    BadRecord, ImportReport, Kind,
    fields::Wrong,
    own::{Demonstration, Incoming, Label, Ranked},
};
use crate::db::projects::Project;

/// SHA-256 of a text.
type TextDigest = Vec<u8>;

fn digest(text: &str) -> TextDigest {
    Sha256::digest(text.as_bytes()).to_vec()
}

/// A record of which the prompt is known.
struct Placed<T> {
    line: u64,
    prompt: Uuid,
    what: T,
}

/// Takes the batches of one import.
pub struct Store<'a> {
    connection: &'a mut PgConnection,
    project: &'a Project,
    kind: Kind,
    report: ImportReport,
}

impl<'a> Store<'a> {
    pub fn new(connection: &'a mut PgConnection, project: &'a Project, kind: Kind) -> Self {
        Store { connection, project, kind, report: ImportReport::default() }
    }

    /// What was done so far.
    pub fn report(&self) -> ImportReport {
        self.report
    }

    /// Stores a batch; gives the records that contradict what is here, or each other.
    pub async fn batch(&mut self, mut records: Vec<Incoming>) -> sqlx::Result<Vec<BadRecord>> {
        let number = u64::try_from(records.len()).unwrap_or_default();
        self.report.records += number;
        let mut bad = Vec::new();
        let resolved = prompts::resolve(self, &mut records).await?;
        let (mut candidates, mut written, mut ranked, mut known) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut added = 0;
        for (record, prompt) in records.into_iter().zip(&resolved) {
            let line = record.line;
            let (prompt, new) = match prompt {
                Ok((prompt, new)) => (*prompt, *new),
                Err(wrong) => {
                    bad.push(BadRecord::of(line, wrong.clone()));
                    continue;
                }
            };
            match record.label {
                Label::Prompt => added += u64::from(new),
                Label::Responses(what) => candidates.push(Placed { line, prompt, what }),
                Label::Demonstration(what) => written.push(Placed { line, prompt, what }),
                Label::Ranking(what) => ranked.push(Placed { line, prompt, what }),
                Label::KnownAnswer(what) => known.push(Placed { line, prompt, what }),
            }
        }
        if self.kind == Kind::Prompts {
            self.report.tasks += prompts::ask_for_demonstrations(self, &resolved).await?;
        }
        if !candidates.is_empty() {
            added += tasks::store(self, candidates, &mut bad).await?;
        }
        if !written.is_empty() {
            added += demonstrations::store(self, written, &mut bad).await?;
        }
        if !ranked.is_empty() {
            added += rankings::store(self, ranked, &mut bad).await?;
        }
        if !known.is_empty() {
            added += known_answers::store(self, known, &mut bad).await?;
        }
        self.report.added += added;
        self.report.duplicates = self.report.records - self.report.added;
        Ok(bad)
    }
}

impl BadRecord {
    pub(super) fn of(line: u64, wrong: Wrong) -> Self {
        BadRecord { line, field: wrong.field, reason: wrong.reason }
    }
}

/// The prompts of placed records, each once.
fn prompts_of<T>(placed: &[Placed<T>]) -> Vec<Uuid> {
    let mut prompts: Vec<Uuid> = placed.iter().map(|record| record.prompt).collect();
    prompts.sort_unstable();
    prompts.dedup();
    prompts
}
