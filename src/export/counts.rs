//! How many records an export would hold, before one exports: of the same selection, split by split.

use sqlx::PgPool;
use uuid::Uuid;

use super::{Kind, Selection, selection::Makers};
use crate::db::export::{self, RecordCounts};

/// Numbers of one split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    pub split: String,
    pub prompts: i64,
    pub demonstrations: i64,
    pub rankings: i64,
    pub comparisons: i64,
}

impl Counts {
    /// The number of a kind.
    pub fn of(&self, kind: Kind) -> i64 {
        match kind {
            Kind::Prompts => self.prompts,
            Kind::Demonstrations => self.demonstrations,
            Kind::Rankings => self.rankings,
            Kind::Comparisons => self.comparisons,
        }
    }
}

/// The counts of a project by split, with a row of zeros for a split without records; the selection's own split is passed over.
pub async fn counts(pool: &PgPool, project: Uuid, selection: &Selection) -> sqlx::Result<Vec<Counts>> {
    let makers = Makers::of(pool, project, selection).await?;
    let mut counts: Vec<Counts> = export::record_counts(pool, project, selection.include_rejected)
        .await?
        .into_iter()
        .map(|RecordCounts { split, prompts, demonstrations }| Counts {
            split,
            prompts,
            demonstrations,
            rankings: 0,
            comparisons: 0,
        })
        .collect();
    for group in export::ranking_counts(pool, project, selection.include_rejected).await? {
        if !makers.takes(group.maker.as_deref(), group.adjudicated) {
            continue;
        }
        if let Some(row) = counts.iter_mut().find(|row| row.split == group.split) {
            row.rankings += group.rankings;
            row.comparisons += group.comparisons;
        }
    }
    Ok(counts)
}
