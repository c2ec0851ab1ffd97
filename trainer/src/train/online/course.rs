//! Where a run stands: what a checkpoint holds beyond weights, how a run is taken up again, and how it ends badly.

use std::collections::BTreeMap;

use laurel_records::LogLevel;
use serde::{Deserialize, Serialize};

use super::{EMA, Method, scoring::Scale};
use crate::{
    rlhf::kl::KlController,
    train::{
        TrainError,
        checkpoint::{Checkpoints, Loaded, Position},
        ema::Ema,
        metrics::Reporter,
        stored::Tensors,
    },
};

/// Steps done, and what they left.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Course {
    #[serde(skip)]
    pub step: usize,
    pub kl: KlController,
    /// Of the reference policy's scores, once known.
    pub scale: Option<Scale>,
    before: BTreeMap<String, f64>,
    last: BTreeMap<String, f64>,
}

impl Course {
    pub fn new(kl: KlController) -> Self {
        Self { step: 0, kl, scale: None, before: BTreeMap::new(), last: BTreeMap::new() }
    }

    /// Notes the metrics of the step under way.
    pub fn note(&mut self, metrics: &BTreeMap<String, f64>) {
        // JSON, and so a checkpoint, has no word for the others.
        self.last =
            metrics.iter().filter(|(_, value)| value.is_finite()).map(|(name, value)| (name.clone(), *value)).collect();
        if self.step == 0 {
            for name in ["objective/scores", "objective/length"] {
                self.before.extend(metrics.get(name).map(|value| (format!("{name}_before"), *value)));
            }
        }
    }

    /// Replaces what is known of the policy's answers by what those of the policy as it is written say.
    pub fn note_last(&mut self, metrics: &BTreeMap<String, f64>) {
        self.last.extend(metrics.clone());
    }

    /// What the run ends with.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mut metrics = self.last.clone();
        metrics.extend(self.before.clone());
        metrics.insert("train/steps".into(), self.step as f64);
        metrics
    }

    pub fn save<M: Method>(
        &self,
        method: &M,
        learners: &M::Learners,
        ema: Option<&Ema>,
        checkpoints: &Checkpoints,
    ) -> Result<(), TrainError> {
        let mut tensors = Tensors::new();
        method.store(learners, &mut tensors);
        if let Some(ema) = ema {
            ema.store(EMA, &mut tensors);
        }
        checkpoints.save(Position::new(self.step, self, None)?, &tensors)
    }

    /// The learners and the course of a checkpoint.
    pub fn resume<M: Method>(
        self,
        method: &M,
        learners: M::Learners,
        mut loaded: Loaded,
        reporter: &mut dyn Reporter,
    ) -> Result<(M::Learners, Self), TrainError> {
        let learners = method.restore(learners, &mut loaded.tensors)?;
        let step = loaded.position.step;
        reporter.log(LogLevel::Info, &format!("going on from the checkpoint at step {step}"));
        for change in &loaded.changed {
            reporter.log(LogLevel::Warning, &format!("a setting is not what it was: {change}"));
        }
        let mut stored: Self = loaded.state()?;
        stored.step = step;
        // A new price was asked for, perhaps because the old one let the policy run away.
        if loaded.changed.iter().any(|change| change.starts_with("kl_")) {
            stored.kl = self.kl;
        }
        Ok((learners, stored))
    }

    /// Numbers beyond use end the run at `step`. The weights of now gave them: their checkpoint is removed, and the one before
    /// it named.
    pub fn diverged(&self, step: usize, error: TrainError, checkpoints: &Checkpoints) -> TrainError {
        let reason = match error {
            TrainError::NotFinite { .. } => format!("{error}; a lower learning rate may help"),
            TrainError::BeyondFloat16 => error.to_string(),
            TrainError::Diverged { reason, .. } => reason,
            other => return other,
        };
        TrainError::Diverged { step, reason, checkpoint: checkpoints.without(self.step) }
    }
}
