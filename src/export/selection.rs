//! Which records an export holds, and what it says of the people behind them.

use std::collections::HashMap;

use laurel_records::Split;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    db::{export::RankingRow, quality},
    domain::quality::{Reliability, reliabilities},
};

/// What is asked for. Nothing but a split, usually.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Selection {
    pub split: Option<Split>,
    /// Also rankings and demonstrations that a reviewer rejected, or corrected by a label of their own.
    pub include_rejected: bool,
    /// Leaves out rankings of annotators known to be less reliable than this, between 0 and 1.
    pub minimum_reliability: Option<f64>,
    /// Rankings and comparisons get a field `weight`.
    pub weights: bool,
}

impl From<Option<Split>> for Selection {
    fn from(split: Option<Split>) -> Self {
        Selection { split, ..Selection::default() }
    }
}

/// The makers of rankings, as far as the selection asks for them.
#[derive(Debug, Default)]
pub struct Makers {
    by_key: HashMap<String, Reliability>,
    minimum: Option<f64>,
    weights: bool,
}

impl Makers {
    /// Estimates reliability where the selection needs it: from every ranking of the project that stands, of whatever split.
    pub async fn of(pool: &PgPool, project: Uuid, selection: &Selection) -> sqlx::Result<Self> {
        let Selection { minimum_reliability: minimum, weights, .. } = *selection;
        if minimum.is_none() && !weights {
            return Ok(Makers::default());
        }
        let labels = quality::labels(pool, project).await?;
        let keys: Vec<String> = labels.annotators.into_iter().map(|annotator| annotator.key).collect();
        let estimate = move || keys.iter().cloned().zip(reliabilities(&labels.labels, keys.len())).collect();
        let by_key = tokio::task::spawn_blocking(estimate)
            .await
            .map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))?;
        Ok(Makers { by_key, minimum, weights })
    }

    fn reliability(&self, maker: Option<&str>) -> Reliability {
        maker.and_then(|maker| self.by_key.get(maker)).copied().unwrap_or(Reliability::UNKNOWN)
    }

    /// Whether a ranking is exported.
    pub fn take(&self, row: &RankingRow) -> bool {
        self.takes(row.maker.as_deref(), row.adjudicated)
    }

    /// Whether rankings of a maker are: somebody of whom too little is known is not unreliable, and a reviewer's decision stands.
    pub fn takes(&self, maker: Option<&str>, adjudicated: bool) -> bool {
        let reliability = self.reliability(maker);
        adjudicated || !reliability.is_known() || self.minimum.is_none_or(|minimum| reliability.right >= minimum)
    }

    /// What a ranking counts for, where weights are asked for.
    pub fn weight(&self, row: &RankingRow) -> Option<f64> {
        let weight = if row.adjudicated { 1.0 } else { self.reliability(row.maker.as_deref()).weight() };
        self.weights.then_some((weight * 1e4).round() / 1e4)
    }
}
