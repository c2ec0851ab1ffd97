//! The settings of PPO, with the defaults of the papers where two cores allow them.

use super::super::{
    Schedule, SettingsError,
    settings::{at_least_one, stage_settings},
};
use crate::{generate::SamplingSettings, rlhf::kl::KlController};

stage_settings! {
    /// Settings of PPO.
    pub struct PpoSettings {
        learning rate 1e-5, with adapters 1e-4, schedule Schedule::Linear;
        #[doc = "Rollouts, each followed by learning from it"]
        steps: usize = 50,
        #[doc = "Answers sampled in one rollout (episodes), each to a prompt of its own"]
        batch_size: usize = 32,
        #[doc = "Answers in one step of the optimiser"]
        minibatch_size: usize = 16,
        #[doc = "Passes over each rollout"]
        ppo_epochs: usize = 2,
        #[doc = "Peak learning rate of the value model; when not given, the policy's"]
        value_learning_rate: Option<f64> = None,
        #[doc = "Longest answer, tokens"]
        max_new_tokens: usize = 64,
        #[doc = "Divides the logits, when sampling and when scoring alike; above 0"]
        temperature: f64 = 1.0,
        #[doc = "Sampling from the likeliest tokens only: refused unless 0, since the sampled law would not be the scored one"]
        top_k: usize = 0,
        #[doc = "Sampling from the likeliest share only: refused unless 1, since the sampled law would not be the scored one"]
        top_p: f64 = 1.0,
        #[doc = "Price of one nat of divergence from the reference policy, in units of the score"]
        kl_coefficient: f64 = 0.05,
        #[doc = "Divergence, nats an answer, that the price is steered to; 0 keeps the price fixed"]
        kl_target: f64 = 0.0,
        #[doc = "Episodes in which a steered price moves by at most a fifth of itself"]
        kl_horizon: f64 = 1000.0,
        #[doc = "Divergence, nats an answer, at which the run stops: the policy has left what the reward model can judge"]
        max_kl: f64 = 100.0,
        #[doc = "Taken off the score of an answer that does not end within max_new_tokens"]
        missing_eos_penalty: f64 = 1.0,
        #[doc = "Scores are shifted and scaled so that the reference policy's have mean 0 and deviation 1"]
        normalise_scores: bool = false,
        #[doc = "Scores are cut to within this distance of zero; 0 leaves them"]
        score_clip: f64 = 0.0,
        #[doc = "Rewards of all tokens are scaled to variance 1, their mean kept"]
        whiten_rewards: bool = false,
        #[doc = "Advantages of all tokens are shifted to mean 0 and scaled to variance 1"]
        whiten_advantages: bool = true,
        #[doc = "Discount of later rewards"]
        gamma: f64 = 1.0,
        #[doc = "Decay of generalised advantage estimation"]
        lambda: f64 = 0.95,
        #[doc = "How far the ratio of new to old probability may count, from 1"]
        clip_range: f64 = 0.2,
        #[doc = "How far a value may count, from the value at the time of sampling"]
        value_clip_range: f64 = 0.2,
        #[doc = "Weight of the pretraining loss, a mean over its tokens, where --pretrain names text (PPO-ptx)"]
        ptx_coefficient: f64 = 1.0,
        #[doc = "Blocks of pretraining text in one step of the optimiser"]
        ptx_batch_size: usize = 4,
        #[doc = "Tokens of a block of pretraining text"]
        ptx_block_length: usize = 256,
        #[doc = "Answers to a few fixed prompts go to the log after every so many steps; 0: never"]
        sample_steps: usize = 10,
        #[doc = "How many fixed prompts"]
        sample_prompts: usize = 3,
    }
}

impl PpoSettings {
    fn check_own(&self) -> Result<(), SettingsError> {
        for (name, value) in [
            ("steps", self.steps),
            ("batch_size", self.batch_size),
            ("minibatch_size", self.minibatch_size),
            ("ppo_epochs", self.ppo_epochs),
            ("max_new_tokens", self.max_new_tokens),
            ("ptx_batch_size", self.ptx_batch_size),
        ] {
            at_least_one(name, value)?;
        }
        self.check_sampling()?;
        let wrong = |name: &str, message: &str| Err(SettingsError::value(name, message));
        for (name, value) in [("gamma", self.gamma), ("lambda", self.lambda)] {
            if !(0.0..=1.0).contains(&value) {
                return wrong(name, "must be from 0 to 1");
            }
        }
        for (name, value) in [
            ("clip_range", self.clip_range),
            ("value_clip_range", self.value_clip_range),
            ("max_kl", self.max_kl),
            ("kl_horizon", self.kl_horizon),
            ("value_learning_rate", self.value_learning_rate.unwrap_or(1.0)),
        ] {
            if !(value > 0.0 && value.is_finite()) {
                return wrong(name, "must be above 0");
            }
        }
        for (name, value) in [
            ("kl_coefficient", self.kl_coefficient),
            ("kl_target", self.kl_target),
            ("missing_eos_penalty", self.missing_eos_penalty),
            ("score_clip", self.score_clip),
            ("ptx_coefficient", self.ptx_coefficient),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                return wrong(name, "must be at least 0");
            }
        }
        Ok(())
    }

    /// The law that is sampled from must be the law that is scored: otherwise the divergence comes out negative and the
    /// ratios are not 1 before anything was learned.
    fn check_sampling(&self) -> Result<(), SettingsError> {
        let wrong = |name: &str, message: &str| Err(SettingsError::value(name, message));
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return wrong("temperature", "must be above 0: PPO learns from answers that were drawn at random");
        }
        let why = "PPO samples from all tokens: a truncated law is not the one that probabilities are computed under";
        if self.top_k != 0 {
            return wrong("top_k", &format!("must be 0; {why}"));
        }
        if self.top_p != 1.0 {
            return wrong("top_p", &format!("must be 1; {why}"));
        }
        Ok(())
    }

    pub(super) fn sampling(&self) -> SamplingSettings {
        SamplingSettings { temperature: self.temperature, top_k: 0, top_p: 1.0, max_new_tokens: self.max_new_tokens }
    }

    pub(super) fn kl_controller(&self) -> KlController {
        let coefficient = self.kl_coefficient;
        if self.kl_target > 0.0 {
            KlController::Adaptive { coefficient, target: self.kl_target, horizon: self.kl_horizon }
        } else {
            KlController::Fixed { coefficient }
        }
    }
}
