//! Who learns in PPO: the policy, and a value model beside it or a value head on its trunk.

use burn::{module::Module, tensor::Tensor};
use serde::{Deserialize, Serialize};

use super::super::{
    TrainError, derived_seed,
    learning::to_learn,
    online::{Rollout, Rows, ScoreScale, Start},
    optimiser::{Accumulator, Optimiser},
    settings::Shared,
    stored::{Tensors, count_learned, restore_learned, store_learned},
};
use crate::model::{Decoder, RewardModel, ScalarHead};

/// Where the values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueModel {
    /// A model of its own that starts as the reward model (Ouyang et al. 2022, appendix C).
    Reward,
    /// A model of its own that starts as the policy, under a head that gives zero.
    Policy,
    /// A head that gives zero on the policy's own trunk (Ziegler et al. 2019): half the memory and half the time, and both
    /// losses pull at the same weights.
    Shared,
}

/// The models that learn, each with its optimiser.
#[expect(clippy::large_enum_variant, reason = "there is one of them in a run")]
pub(super) enum Learners {
    Separate {
        policy: Decoder,
        policy_optimiser: Optimiser,
        value: RewardModel,
        value_optimiser: Optimiser,
        /// The value model began as the reward model: values are read on the scale of the scores.
        on_score_scale: bool,
    },
    /// The decoder is the policy, its own output kept.
    Shared { model: RewardModel, optimiser: Optimiser },
}

/// Gradients of a minibatch as they come together, for one kind of [`Learners`].
pub(super) enum Gradients {
    Separate(Accumulator<Decoder>, Accumulator<RewardModel>),
    Shared(Accumulator<RewardModel>),
}

/// What the optimisers' steps need and tell.
pub(super) struct Rates {
    pub policy: f64,
    pub value: f64,
}

impl Learners {
    pub fn start(kind: ValueModel, start: &Start, shared: &Shared, seed: u64) -> Result<Self, TrainError> {
        let policy = to_learn(start.reference.clone(), shared, seed)?;
        let optimiser = || Optimiser::of(shared);
        let mut value = match kind {
            ValueModel::Reward => start.reward.clone(),
            ValueModel::Policy => RewardModel::value_from_policy(&start.reference),
            ValueModel::Shared => {
                let device = policy.token_embedding.device();
                let score = ScalarHead::zero(policy.config().hidden_size, &device);
                let model = RewardModel { decoder: policy, score }.train();
                return Ok(Self::Shared { model, optimiser: optimiser() });
            }
        };
        value.decoder = to_learn(value.decoder, shared, derived_seed(seed, "value adapters", 0))?;
        Ok(Self::Separate {
            policy: policy.train(),
            policy_optimiser: optimiser(),
            value: value.train(),
            value_optimiser: optimiser(),
            on_score_scale: kind == ValueModel::Reward,
        })
    }

    pub fn policy(&self) -> &Decoder {
        match self {
            Self::Separate { policy, .. } => policy,
            Self::Shared { model, .. } => &model.decoder,
        }
    }

    /// How many numbers learn, in both models together.
    pub fn learned(&self) -> u64 {
        match self {
            Self::Separate { policy, value, .. } => count_learned(policy) + count_learned(value),
            Self::Shared { model, .. } => count_learned(model),
        }
    }

    /// V before each token of the rollout's answers, `[batch, response]`, without gradient.
    pub fn values(&self, rollout: &Rollout) -> Tensor<2> {
        let model = match self {
            Self::Separate { value, .. } => value,
            Self::Shared { model, .. } => model,
        };
        self.scale(rollout).of(rollout.reading.values(&model.valid(), &rollout.episodes))
    }

    /// From what the value head gives to values. A value model that began as the reward model gives raw scores: without
    /// their zero and unit it would be off by as much at every token of the first rollouts.
    fn scale(&self, rollout: &Rollout) -> ScoreScale {
        match self {
            Self::Separate { on_score_scale: true, .. } => rollout.scale,
            _ => ScoreScale::RAW,
        }
    }

    /// log π and V of some answers, `[rows, response]` both, and the sum of the entropies of their tokens' laws. A shared
    /// trunk is run once.
    pub fn forward(&self, rollout: &Rollout, rows: &Rows) -> (Tensor<2>, Tensor<2>, f64) {
        let policy = self.policy();
        let hidden = rows.hidden(policy);
        let values = match self {
            Self::Separate { value, .. } => rows.values(&value.score, rows.hidden(&value.decoder)),
            Self::Shared { model, .. } => rows.values(&model.score, hidden.clone()),
        };
        let (log_probs, entropy) = rows.log_probs(policy, hidden, rollout.reading.temperature);
        (log_probs, self.scale(rollout).of(values), entropy)
    }

    pub fn gradients(&self) -> Gradients {
        match self {
            Self::Separate { policy_optimiser, value_optimiser, .. } => {
                Gradients::Separate(policy_optimiser.accumulator(), value_optimiser.accumulator())
            }
            Self::Shared { optimiser, .. } => Gradients::Shared(optimiser.accumulator()),
        }
    }

    /// What the losses are multiplied by on the way back, by the metric's name; nothing where they are not.
    pub fn loss_scales(&self) -> impl Iterator<Item = (String, f64)> {
        let (policy, value) = match self {
            Self::Separate { policy_optimiser, value_optimiser, .. } => {
                (policy_optimiser.loss_scale(), value_optimiser.loss_scale())
            }
            Self::Shared { optimiser, .. } => (optimiser.loss_scale(), None),
        };
        let named = [("train/loss_scale", policy), ("train/value_loss_scale", value)];
        named.into_iter().filter_map(|(name, scale)| Some((name.to_owned(), scale?)))
    }

    /// Adds the gradients of both losses, each summed over `tokens`. On a shared trunk the value's counts `coefficient`
    /// times; models of their own have learning rates of their own instead.
    pub fn add(&self, gradients: &mut Gradients, policy: Tensor<1>, value: Tensor<1>, tokens: f64, coefficient: f64) {
        match (self, gradients) {
            (Self::Separate { policy: model, value: critic, .. }, Gradients::Separate(ours, theirs)) => {
                ours.add(model, policy, tokens);
                theirs.add(critic, value, tokens);
            }
            (Self::Shared { model, .. }, Gradients::Shared(both)) => {
                both.add(model, policy + value * coefficient, tokens);
            }
            _ => unreachable!("gradients are made by the learners that they are for"),
        }
    }

    /// Adds the gradient of a loss that only the policy has.
    pub fn add_to_policy(&self, gradients: &mut Gradients, loss: Tensor<1>) {
        match (self, gradients) {
            (Self::Separate { policy, .. }, Gradients::Separate(ours, _)) => ours.add(policy, loss, 0.0),
            (Self::Shared { model, .. }, Gradients::Shared(both)) => both.add(model, loss, 0.0),
            _ => unreachable!("gradients are made by the learners that they are for"),
        }
    }

    /// One step of each optimiser. Also the norms that the gradients had: the policy's, and the value model's where it is
    /// one of its own.
    pub fn step(self, gradients: Gradients, rates: &Rates) -> Result<(Self, f64, Option<f64>), TrainError> {
        match (self, gradients) {
            (
                Self::Separate { policy, mut policy_optimiser, value, mut value_optimiser, on_score_scale },
                Gradients::Separate(ours, theirs),
            ) => {
                let (policy, policy_norm) = policy_optimiser.step(policy, ours, rates.policy)?;
                let (value, value_norm) = value_optimiser.step(value, theirs, rates.value)?;
                let stepped = Self::Separate { policy, policy_optimiser, value, value_optimiser, on_score_scale };
                Ok((stepped, policy_norm, Some(value_norm)))
            }
            (Self::Shared { model, mut optimiser }, Gradients::Shared(both)) => {
                let (model, norm) = optimiser.step(model, both, rates.policy)?;
                Ok((Self::Shared { model, optimiser }, norm, None))
            }
            _ => unreachable!("gradients are made by the learners that they are for"),
        }
    }

    pub fn store(&self, tensors: &mut Tensors) {
        match self {
            Self::Separate { policy, policy_optimiser, value, value_optimiser, .. } => {
                store_learned("policy.", policy, tensors);
                store_learned("value.", value, tensors);
                policy_optimiser.store("policy_adam.", tensors);
                value_optimiser.store("value_adam.", tensors);
            }
            Self::Shared { model, optimiser } => {
                store_learned("model.", model, tensors);
                optimiser.store("adam.", tensors);
            }
        }
    }

    pub fn restore(self, tensors: &mut Tensors) -> Result<Self, TrainError> {
        Ok(match self {
            Self::Separate { policy, mut policy_optimiser, value, mut value_optimiser, on_score_scale } => {
                let policy = restore_learned("policy.", policy, tensors)?;
                let value = restore_learned("value.", value, tensors)?;
                policy_optimiser.restore("policy_adam.", &policy, tensors);
                value_optimiser.restore("value_adam.", &value, tensors);
                Self::Separate { policy, policy_optimiser, value, value_optimiser, on_score_scale }
            }
            Self::Shared { model, mut optimiser } => {
                let model = restore_learned("model.", model, tensors)?;
                optimiser.restore("adam.", &model, tensors);
                Self::Shared { model, optimiser }
            }
        })
    }
}
