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
    stored::{Tensors, count_learned, restore_learned, store_learned},
};
use crate::{
    model::Decoder,
    rlhf::group::{centred, grpo_advantages, normalised, rloo_advantages},
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
            Kind::Grpo { scale_rewards: false, .. } => centred(rewards),
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

    fn learned(&self, learner: &Learner) -> u64 {
        count_learned(&learner.policy)
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
    /// What TRL's trainers of these methods report of a rollout, under their names (`_generate_and_score_completions`):
    /// `reward` and `reward_std` are of all answers' scores before the price of divergence, RLOO's `kl` is k1 a token of what
    /// was sampled. `rewards` are what the groups are compared by, in RLOO with the price taken off.
    fn watched(&self, rollout: &Rollout, rewards: &[f64]) -> BTreeMap<String, f64> {
        let scores = mean_and_deviation(&rollout.scores);
        let deviations: Vec<f64> =
            rewards.chunks(self.answers_per_prompt).map(|group| mean_and_deviation(group)[1]).collect();
        // Groups that teach nothing: all their answers are worth the same.
        let equal = deviations.iter().filter(|deviation| **deviation < 1e-6).count();
        let lengths: Vec<f64> = rollout.episodes.iter().map(|episode| episode.answer.len() as f64).collect();
        let cut = rollout.episodes.iter().filter(|episode| !episode.finished).count();
        let mut metrics: BTreeMap<String, f64> = [
            ("reward", scores[0]),
            ("reward_std", scores[1]),
            ("frac_reward_zero_std", equal as f64 / deviations.len().max(1) as f64),
            ("completions/mean_length", mean(&lengths)),
            ("completions/min_length", lengths.iter().copied().fold(f64::INFINITY, f64::min)),
            ("completions/max_length", lengths.iter().copied().fold(0.0, f64::max)),
            ("completions/clipped_ratio", cut as f64 / lengths.len().max(1) as f64),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if let Kind::Rloo { .. } = self.kind {
            let tokens = lengths.iter().sum::<f64>().max(1.0);
            metrics.insert("kl".into(), rollout.divergences().iter().sum::<f64>() / tokens);
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::{
        super::online::{Episode, Reading, ScoreScale},
        *,
    };

    /// Two prompts with two answers each, of 2, 1, 2 and 1 tokens.
    fn rollout() -> Rollout {
        let device = Device::flex();
        let table = |rows: [[f32; 2]; 4]| Tensor::<2>::from_data(TensorData::new(rows.concat(), [4, 2]), &device);
        let episode = |tokens: usize| Episode {
            prompt: vec![1],
            answer: vec![2; tokens],
            finished: true,
            log_probs: vec![],
            kept: vec![],
        };
        Rollout {
            episodes: [2, 1, 2, 1].map(episode).into(),
            scores: vec![1.0, 2.0, 3.0, 6.0],
            scale: ScoreScale::RAW,
            mask: table([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0], [1.0, 0.0]]),
            log_probs: table([[-1.0, -1.0], [-1.0, 0.0], [-1.0, -1.0], [-1.0, 0.0]]),
            reference: table([[-1.5, -1.25], [-0.5, 9.0], [-2.0, -1.0], [-1.25, 9.0]]),
            reading: Reading { device: device.clone(), pad_id: 0, tokens: 64, temperature: 1.0 },
        }
    }

    fn group(kind: Kind, answers_per_prompt: usize) -> Group {
        Group { kind, answers_per_prompt, iterations: 1, minibatch_size: 4, clip_range: 0.2, target_approx_kl: 0.0 }
    }

    fn watched(kind: Kind, rewards: &[f64]) -> BTreeMap<String, f64> {
        group(kind, 2).watched(&rollout(), rewards)
    }

    #[test]
    fn equal_rewards_give_no_advantage_whichever_way_they_are_scaled() {
        let weighting = Weighting::Tokens;
        for kind in [
            Kind::Rloo { normalise_advantages: false },
            Kind::Rloo { normalise_advantages: true },
            Kind::Grpo { scale_rewards: true, weighting },
            Kind::Grpo { scale_rewards: false, weighting },
        ] {
            // In single precision seven of this have a mean that is not quite it.
            let found = group(kind, 7).advantages(&[29.99; 7]);
            assert!(found.iter().all(|advantage| advantage.abs() < 1e-7), "{kind:?}: {found:?}");
        }
    }

    #[test]
    fn rewards_are_told_before_the_price_and_over_the_whole_batch_as_trl_does() {
        // k1 of the answers: 0.75, −0.5, 1, 0.25. At a price of 2 the rewards are −0.5, 3, 1, 5.5.
        let found = watched(Kind::Rloo { normalise_advantages: false }, &[-0.5, 3.0, 1.0, 5.5]);
        assert!((found["reward"] - 3.0).abs() < 1e-12);
        // Deviations from 3: −2, −1, 0, 3; 14 / (4 − 1) under the root.
        assert!((found["reward_std"] - (14.0f64 / 3.0).sqrt()).abs() < 1e-12);
        // 1.5 nats over 6 tokens.
        assert!((found["kl"] - 0.25).abs() < 1e-6, "{found:?}");
        // After the price, it is the mean of what the groups are compared by: 9 / 4.
        let objective = rollout().objective(2.0).metrics();
        assert!((objective["objective/rlhf_reward"] - 2.25).abs() < 1e-6, "{objective:?}");
    }

    #[test]
    fn groups_without_a_lesson_are_counted_by_what_they_are_compared_by() {
        let grpo = Kind::Grpo { scale_rewards: true, weighting: Weighting::Tokens };
        let found = watched(grpo, &[1.0, 1.0, 3.0, 6.0]);
        assert_eq!((found["frac_reward_zero_std"], found["completions/mean_length"]), (0.5, 1.5));
        // GRPO's is of the policy that learns, by k3.
        assert!(!found.contains_key("kl"));
    }
}
