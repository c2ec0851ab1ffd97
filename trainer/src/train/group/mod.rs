//! Learning from several answers to each prompt, which are each other's baseline: no value model. RLOO and GRPO are two ways
//! to do it (Ahmadian et al. 2024; Shao et al. 2024); rollouts, scores and the run are those of PPO.

mod learning;
mod settings;

use std::collections::BTreeMap;

use burn::{
    module::Module,
    tensor::{Tensor, TensorData},
};

use super::{
    SettingsError, TrainError,
    learning::to_learn,
    online::{Method, Online, Rollout, Step, mean, mean_and_deviation},
    optimiser::Optimiser,
    stored::{Tensors, restore_learned, store_learned},
};
use crate::{
    model::Decoder,
    rlhf::group::{grpo_advantages, normalised, rloo_advantages},
};
use learning::Lesson;
pub(super) use settings::group_settings;

/// What the two methods differ in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// The price of divergence is part of an answer's reward, and an answer is one action.
    Rloo { normalise_advantages: bool },
    /// The price of divergence is part of the loss, and every token is an action.
    Grpo { scale_rewards: bool, weighting: Weighting },
}

/// How much a token counts in the loss of a minibatch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Weighting {
    /// Every token the same: a mean over the tokens.
    Tokens,
    /// Every answer the same: a mean over the answers of the mean over their tokens.
    Answers,
    /// Every token the same whatever the lengths: Σ over the tokens / (answers · this many).
    Constant(f64),
}

/// One of the two methods with its settings.
pub(super) struct Group {
    pub kind: Kind,
    pub answers_per_prompt: usize,
    /// Passes over a rollout.
    pub iterations: usize,
    pub minibatch_size: usize,
    pub clip_range: f64,
    /// As PPO's.
    pub target_approx_kl: f64,
}

impl Group {
    /// Refuses what no group can be made of.
    pub fn check(&self, batch_size: usize) -> Result<(), SettingsError> {
        let each = self.answers_per_prompt;
        if each < 2 {
            let text = "must be at least 2: an answer is compared with the others to its prompt";
            return Err(SettingsError::value("num_generations", text));
        }
        if !batch_size.is_multiple_of(each) {
            let text = format!("must be a multiple of num_generations, {each}: it counts answers, not prompts");
            return Err(SettingsError::value("batch_size", text));
        }
        Ok(())
    }

    /// The advantage of each answer of a rollout over the others to its prompt.
    fn advantages(&self, rewards: &[f64]) -> Vec<f32> {
        let shape = [rewards.len() / self.answers_per_prompt, self.answers_per_prompt];
        let rewards: Vec<f32> = rewards.iter().map(|reward| *reward as f32).collect();
        let rewards = Tensor::<2>::from_data(TensorData::new(rewards, shape), &burn::tensor::Device::flex());
        let advantages = match self.kind {
            Kind::Rloo { normalise_advantages: false } => rloo_advantages(rewards),
            Kind::Rloo { normalise_advantages: true } => normalised(rloo_advantages(rewards)),
            Kind::Grpo { scale_rewards: true, .. } => grpo_advantages(rewards),
            Kind::Grpo { scale_rewards: false, .. } => rewards.clone() - rewards.mean_dim(1),
        };
        advantages.into_data_as::<f32>().try_to_vec().expect("the data was just converted to f32")
    }
}

/// The policy and its optimiser.
pub(super) struct Learner {
    pub policy: Decoder,
    pub optimiser: Optimiser,
}

impl Method for Group {
    type Learners = Learner;

    fn start(&self, online: &Online) -> Result<Learner, TrainError> {
        let shared = &online.settings.shared;
        let policy = to_learn(online.start.reference.clone(), shared, online.run.seed)?;
        Ok(Learner { policy: policy.train(), optimiser: Optimiser::of(shared) })
    }

    fn policy<'a>(&self, learner: &'a Learner) -> &'a Decoder {
        &learner.policy
    }

    fn learn(
        &self,
        learner: Learner,
        rollout: &Rollout,
        step: &Step,
    ) -> Result<(Learner, BTreeMap<String, f64>), TrainError> {
        let mut rewards = rollout.scores.clone();
        if let Kind::Rloo { .. } = self.kind {
            let divergences = rollout.divergences();
            rewards.iter_mut().zip(divergences).for_each(|(reward, kl)| *reward -= step.coefficient * kl);
        }
        let advantages = self.advantages(&rewards);
        let lesson = Lesson { group: self, step, rollout, advantages: &advantages };
        let (learner, losses) = lesson.learn(learner)?;
        let mut metrics = losses.metrics();
        metrics.extend(self.watched(rollout, &rewards));
        metrics.extend(learner.optimiser.loss_scale().map(|scale| ("train/loss_scale".to_owned(), scale)));
        Ok((learner, metrics))
    }

    fn store(&self, learner: &Learner, tensors: &mut Tensors) {
        store_learned("policy.", &learner.policy, tensors);
        learner.optimiser.store("policy_adam.", tensors);
    }

    fn restore(&self, learner: Learner, tensors: &mut Tensors) -> Result<Learner, TrainError> {
        let Learner { policy, mut optimiser } = learner;
        let policy = restore_learned("policy.", policy, tensors)?;
        optimiser.restore("policy_adam.", &policy, tensors);
        Ok(Learner { policy, optimiser })
    }
}

impl Group {
    /// What TRL's trainers of these methods report of a rollout, under their names.
    fn watched(&self, rollout: &Rollout, rewards: &[f64]) -> BTreeMap<String, f64> {
        let deviations: Vec<f64> =
            rewards.chunks(self.answers_per_prompt).map(|group| mean_and_deviation(group)[1]).collect();
        // Groups that teach nothing: all their answers are worth the same.
        let equal = deviations.iter().filter(|deviation| **deviation < 1e-6).count();
        let lengths: Vec<f64> = rollout.episodes.iter().map(|episode| episode.answer.len() as f64).collect();
        let cut = rollout.episodes.iter().filter(|episode| !episode.finished).count();
        [
            ("reward", mean(rewards)),
            ("reward_std", mean(&deviations)),
            ("frac_reward_zero_std", equal as f64 / deviations.len().max(1) as f64),
            ("completions/mean_length", mean(&lengths)),
            ("completions/min_length", lengths.iter().copied().fold(f64::INFINITY, f64::min)),
            ("completions/max_length", lengths.iter().copied().fold(0.0, f64::max)),
            ("completions/clipped_ratio", cut as f64 / lengths.len().max(1) as f64),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}
