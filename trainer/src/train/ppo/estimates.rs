//! What the value model makes of a rollout: the reward of each token, advantages, returns.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};

use super::{
    super::online::{Rollout, number},
    PpoSettings,
};
use crate::rlhf::{
    advantages::{advantages, explained_variance},
    masked::{self, whiten},
    ppo::kl_penalised_rewards,
};

/// All `[batch, response]`, on the device without gradients.
pub(super) struct Estimates {
    /// V before each token, at the time of sampling.
    pub values: Tensor<2>,
    /// Whitened, if they are to be.
    pub advantages: Tensor<2>,
    pub returns: Tensor<2>,
    mask: Tensor<2>,
}

impl Estimates {
    /// The price of leaving the reference at each token, the score at the last; advantages and returns of that.
    pub fn new(rollout: &Rollout, values: Tensor<2>, coefficient: f64, settings: &PpoSettings) -> Self {
        let mask = rollout.mask.clone();
        let scores: Vec<f32> = rollout.scores.iter().map(|score| *score as f32).collect();
        let scores = Tensor::<1>::from_data(TensorData::new(scores, [rollout.scores.len()]), &values.device());
        let (log_probs, reference) = (rollout.log_probs.clone(), rollout.reference.clone());
        let mut rewards = kl_penalised_rewards(scores, log_probs, reference, mask.clone(), coefficient);
        if settings.whiten_rewards {
            rewards = whiten(rewards, mask.clone(), false);
        }
        let (mut advantages, returns) =
            advantages(rewards, values.clone(), mask.clone(), settings.gamma, settings.lambda);
        if settings.whiten_advantages {
            advantages = whiten(advantages, mask.clone(), true);
        }
        Self { values, advantages, returns, mask }
    }

    /// Means and variances over tokens, and how much of the returns the values foresaw.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let mean = |of: &Tensor<2>| number(masked::mean(of.clone(), self.mask.clone()));
        let variance = |of: &Tensor<2>| number(masked::variance(of.clone(), self.mask.clone()));
        let explained = explained_variance(self.values.clone(), self.returns.clone(), self.mask.clone());
        [
            ("val/mean", mean(&self.values)),
            ("val/var", variance(&self.values)),
            ("val/var_explained", number(explained)),
            ("returns/mean", mean(&self.returns)),
            ("returns/var", variance(&self.returns)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}
