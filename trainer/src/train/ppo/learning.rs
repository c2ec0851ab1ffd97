//! Step 4 of PPO: several passes over a rollout in minibatches, clipped losses for the policy and the value model, and
//! pretraining text mixed in.

use burn::tensor::{Int, Tensor, TensorData};

use super::{
    super::{
        completion::{chunks_by_tokens, completion_nll},
        derived_seed,
        error::TrainError,
        optimiser::{Accumulator, Optimiser},
    },
    PpoSettings,
    rollout::{Episode, Rollout, Rows, number},
};
use crate::{
    data::{Example, Order, SftBatch},
    model::{Decoder, RewardModel},
    rlhf::ppo::{PolicyLoss, policy_loss, value_loss},
};

/// The two models that learn, each with its optimiser.
pub(super) struct Learners {
    pub policy: Decoder,
    pub policy_optimiser: Optimiser,
    pub value: RewardModel,
    pub value_optimiser: Optimiser,
}

/// Means over all minibatches of a rollout, weighted by their tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Losses {
    pub policy: f64,
    pub value: f64,
    pub clip_fraction: f64,
    pub value_clip_fraction: f64,
    pub ratio: f64,
    pub ratio_variance: f64,
    pub approx_kl: f64,
    pub ptx: f64,
    /// Means over the optimiser's steps.
    pub policy_norm: f64,
    pub value_norm: f64,
    /// The ratio in the first minibatch, before anything was learned: 1, or sampling and scoring differ.
    pub first_ratio: f64,
    /// The same of the approximate divergence: 0.
    pub first_approx_kl: f64,
    tokens: f64,
    steps: f64,
}

/// What learning from one rollout needs besides the models.
pub(super) struct Lesson<'a> {
    pub settings: &'a PpoSettings,
    pub seed: u64,
    pub step: usize,
    pub pad_id: u32,
    pub micro_batch_tokens: usize,
    pub policy_rate: f64,
    pub value_rate: f64,
    /// Blocks of pretraining text; empty without PPO-ptx.
    pub pretraining: &'a [Example],
}

impl Lesson<'_> {
    /// Learns from a rollout. The first error leaves the models unusable: the run is over.
    pub fn learn(&self, mut learners: Learners, rollout: &Rollout) -> Result<(Learners, Losses), TrainError> {
        let mut losses = Losses::default();
        let count = rollout.episodes.len();
        let order = Order::new(count, derived_seed(self.seed, "minibatches", self.step as u64));
        for epoch in 0..self.settings.ppo_epochs {
            for minibatch in order.epoch(epoch as u64).chunks(self.settings.minibatch_size) {
                learners = self.step(learners, rollout, minibatch, &mut losses)?;
            }
        }
        Ok((learners, losses.means()))
    }

    /// One step of both optimisers on one minibatch.
    fn step(
        &self,
        learners: Learners,
        rollout: &Rollout,
        minibatch: &[usize],
        losses: &mut Losses,
    ) -> Result<Learners, TrainError> {
        let Learners { policy, mut policy_optimiser, value, mut value_optimiser } = learners;
        let episodes = &rollout.episodes;
        let tokens: usize = minibatch.iter().map(|&row| episodes[row].answer.len()).sum();
        let (mut policy_gradient, mut value_gradient) = (Accumulator::new(), Accumulator::new());
        let first = losses.tokens == 0.0;
        let length = |row: usize| episodes[row].tokens();
        for chunk in chunks_by_tokens(minibatch.to_vec(), length, self.micro_batch_tokens) {
            let part = Part::of(rollout, &chunk, self.pad_id, &policy);
            let new = part.rows.log_probs(&policy, self.settings.temperature);
            let PolicyLoss { loss, clip_fraction, ratio_mean, ratio_variance, approx_kl, .. } =
                policy_loss(new, part.log_probs, part.advantages, part.mask.clone(), self.settings.clip_range);
            losses.clip_fraction += part.tokens * number(clip_fraction);
            losses.ratio += part.tokens * number(ratio_mean.clone());
            losses.ratio_variance += part.tokens * number(ratio_variance);
            losses.approx_kl += part.tokens * number(approx_kl.clone());
            if first {
                losses.first_ratio += number(ratio_mean) * part.tokens / tokens as f64;
                losses.first_approx_kl += number(approx_kl) * part.tokens / tokens as f64;
            }
            policy_gradient.add(&policy, loss * part.tokens, part.tokens);

            let new = part.rows.values(&value);
            let found = value_loss(new, part.values, part.returns, part.mask, self.settings.value_clip_range);
            losses.value_clip_fraction += part.tokens * number(found.clip_fraction);
            value_gradient.add(&value, found.loss * part.tokens, part.tokens);
        }
        losses.policy += policy_gradient.mean_loss() * tokens as f64;
        losses.value += value_gradient.mean_loss() * tokens as f64;
        self.mix_pretraining(&policy, &mut policy_gradient, tokens as f64, losses);
        losses.tokens += tokens as f64;
        losses.steps += 1.0;
        let (policy, policy_norm) = policy_optimiser.step(policy, policy_gradient, self.policy_rate)?;
        let (value, value_norm) = value_optimiser.step(value, value_gradient, self.value_rate)?;
        losses.policy_norm += policy_norm;
        losses.value_norm += value_norm;
        Ok(Learners { policy, policy_optimiser, value, value_optimiser })
    }

    /// PPO-ptx (Ouyang et al. 2022, eq. 2): the gradient of the mean loss on pretraining text, times its coefficient. The
    /// accumulated gradient will be divided by the answers' `tokens`, so it is multiplied by them here.
    fn mix_pretraining(&self, policy: &Decoder, gradient: &mut Accumulator<Decoder>, tokens: f64, losses: &mut Losses) {
        if self.pretraining.is_empty() || self.settings.ptx_coefficient == 0.0 {
            return;
        }
        let device = policy.token_embedding.device();
        let size = self.settings.ptx_batch_size.min(self.pretraining.len());
        let number_of_step = self.step as u64 * 1_000_003 + losses.steps as u64;
        let order = Order::new(self.pretraining.len(), derived_seed(self.seed, "pretraining", number_of_step));
        let blocks: Vec<usize> = order.epoch(0).into_iter().take(size).collect();
        let all: usize = blocks.iter().map(|&block| self.pretraining[block].completion_tokens()).sum();
        let scale = self.settings.ptx_coefficient * tokens / all.max(1) as f64;
        let length = |block: usize| self.pretraining[block].ids.len();
        for chunk in chunks_by_tokens(blocks, length, self.micro_batch_tokens) {
            let examples: Vec<&Example> = chunk.iter().map(|&block| &self.pretraining[block]).collect();
            let (sum, _) = completion_nll(policy, &SftBatch::padded(&examples, self.pad_id, &device));
            losses.ptx += number(sum.clone()) / all.max(1) as f64 * tokens;
            gradient.add(policy, sum * scale, 0.0);
        }
    }
}

/// Some rows of a rollout, as the losses take them.
struct Part {
    rows: Rows,
    tokens: f64,
    mask: Tensor<2>,
    log_probs: Tensor<2>,
    values: Tensor<2>,
    advantages: Tensor<2>,
    returns: Tensor<2>,
}

impl Part {
    fn of(rollout: &Rollout, rows: &[usize], pad_id: u32, policy: &Decoder) -> Self {
        let device = policy.token_embedding.device();
        let episodes: Vec<&Episode> = rows.iter().map(|&row| &rollout.episodes[row]).collect();
        let index: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let index = Tensor::<1, Int>::from_data(TensorData::new(index, [rows.len()]), &rollout.mask.device());
        let select = |tensor: &Tensor<2>| Tensor::from_inner(tensor.clone().select(0, index.clone()));
        Self {
            rows: Rows::new(&episodes, rollout.width(), pad_id, &device),
            tokens: episodes.iter().map(|episode| episode.answer.len()).sum::<usize>() as f64,
            mask: select(&rollout.mask),
            log_probs: select(&rollout.log_probs),
            values: select(&rollout.values),
            advantages: select(&rollout.advantages),
            returns: select(&rollout.returns),
        }
    }
}

impl Losses {
    fn means(mut self) -> Self {
        for sum in [
            &mut self.policy,
            &mut self.value,
            &mut self.clip_fraction,
            &mut self.value_clip_fraction,
            &mut self.ratio,
            &mut self.ratio_variance,
            &mut self.approx_kl,
            &mut self.ptx,
        ] {
            *sum /= self.tokens.max(1.0);
        }
        self.policy_norm /= self.steps.max(1.0);
        self.value_norm /= self.steps.max(1.0);
        self
    }
}
