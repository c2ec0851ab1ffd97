//! The settings of PPO, with the defaults of the papers where two cores allow them.

use super::{
    super::{
        Schedule, SettingsError, StageSettings,
        online::{
            OnlineSettings, Scoring, check_amounts, check_counts, check_dropout, check_sampling, check_steering,
            kl_controller,
        },
        settings::stage_settings,
    },
    ValueModel,
};
use crate::generate::SamplingSettings;

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
        #[doc = "Where the values come from: reward (a model that starts as the reward model), policy (one that starts as the policy) or shared (a head on the policy's own trunk: half the memory and time)"]
        value_model: ValueModel = ValueModel::Reward,
        #[doc = "Peak learning rate of a value model of its own; when not given, the policy's. Refused on a shared trunk"]
        value_learning_rate: Option<f64> = None,
        #[doc = "Weight of the value loss on a shared trunk; refused where the value model is one of its own"]
        value_coefficient: f64 = 0.1,
        #[doc = "Longest answer, tokens"]
        max_new_tokens: usize = 64,
        #[doc = "Divides the logits, when sampling and when scoring alike; above 0"]
        temperature: f64 = 1.0,
        #[doc = "Answers are drawn from so many of the likeliest tokens; 0: from all. Probabilities, ratios and divergences are then among these tokens"]
        top_k: usize = 0,
        #[doc = "Answers are drawn from the likeliest tokens that together have this probability; 1: from all. Scored as top_k is"]
        top_p: f64 = 1.0,
        #[doc = "Price of one nat of divergence from the reference policy, in units of the score"]
        kl_coefficient: f64 = 0.05,
        #[doc = "Divergence, nats an answer, that the price is steered to; 0 keeps the price fixed"]
        kl_target: f64 = 0.0,
        #[doc = "Episodes in which a steered price moves by at most a fifth of itself"]
        kl_horizon: f64 = 1000.0,
        #[doc = "Divergence, nats an answer, at which the run stops: the policy has left what the reward model can judge"]
        max_kl: f64 = 100.0,
        #[doc = "Divergence from the policy that sampled (k3, nats a token) above which the rest of a rollout's passes is left out; 0: never"]
        target_approx_kl: f64 = 0.0,
        #[doc = "Taken off the score of an answer that does not end within max_new_tokens"]
        missing_eos_penalty: f64 = 1.0,
        #[doc = "Such an answer scores minus the penalty, whatever the reward model says, instead of losing it"]
        missing_eos_replaces: bool = false,
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
        #[doc = "Weight of the pretraining loss, a mean over its tokens, where --pretrain names text (PPO-ptx); 0 mixes nothing in"]
        ptx_coefficient: f64 = 1.0,
        #[doc = "Blocks of pretraining text in one step of the optimiser"]
        ptx_batch_size: usize = 4,
        #[doc = "Tokens of a block of pretraining text; 0 is the longest sequence"]
        ptx_block_length: usize = 256,
        #[doc = "Answers of policy and reference to a few fixed prompts go to the log after every so many steps; 0: never"]
        sample_steps: usize = 10,
        #[doc = "How many fixed prompts"]
        sample_prompts: usize = 3,
        #[doc = "The policy after every so many steps is also written as a model, to OUT.policies/STEP; 0: never"]
        keep_policy_steps: usize = 0,
    }
}

impl PpoSettings {
    fn check_own(&self) -> Result<(), SettingsError> {
        check_sampling(self.temperature, self.top_k, self.top_p)?;
        check_dropout(self.lora_dropout)?;
        check_counts(&[
            ("steps", self.steps),
            ("batch_size", self.batch_size),
            ("minibatch_size", self.minibatch_size),
            ("ppo_epochs", self.ppo_epochs),
            ("max_new_tokens", self.max_new_tokens),
            ("ptx_batch_size", self.ptx_batch_size),
        ])?;
        for (name, value) in [("gamma", self.gamma), ("lambda", self.lambda)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(SettingsError::value(name, "must be from 0 to 1"));
            }
        }
        if self.ptx_block_length == 1 {
            let text = "must be at least 2: a token is learned from those before it";
            return Err(SettingsError::value("ptx_block_length", text));
        }
        self.check_value_model()?;
        check_amounts(
            &[
                ("clip_range", self.clip_range),
                ("value_clip_range", self.value_clip_range),
                ("max_kl", self.max_kl),
                ("kl_horizon", self.kl_horizon),
                ("value_learning_rate", self.value_learning_rate.unwrap_or(1.0)),
            ],
            &[
                ("kl_coefficient", self.kl_coefficient),
                ("kl_target", self.kl_target),
                ("missing_eos_penalty", self.missing_eos_penalty),
                ("score_clip", self.score_clip),
                ("ptx_coefficient", self.ptx_coefficient),
                ("target_approx_kl", self.target_approx_kl),
                ("value_coefficient", self.value_coefficient),
            ],
        )?;
        check_steering(self.kl_target, self.kl_coefficient, self.kl_horizon, self.batch_size)
    }

    /// Refuses what is set for another kind of value model than the one that there is. Settings do not tell a default from the
    /// same value that was asked for, so a default is taken for nothing asked.
    fn check_value_model(&self) -> Result<(), SettingsError> {
        let shared = self.value_model == ValueModel::Shared;
        if shared && self.value_learning_rate.is_some() {
            let text = "is that of a value model of its own; with value_model = \"shared\" there is one learning rate, and \
                        value_coefficient weighs the loss of the values";
            return Err(SettingsError::value("value_learning_rate", text));
        }
        if !shared && self.value_coefficient != Self::default().value_coefficient {
            let text = "weighs the loss of the values where value_model = \"shared\"; a value model of its own has a learning \
                        rate of its own instead, value_learning_rate";
            return Err(SettingsError::value("value_coefficient", text));
        }
        Ok(())
    }

    /// What the loop around the method needs.
    pub(super) fn online(&self) -> OnlineSettings {
        OnlineSettings {
            steps: self.steps,
            batch_size: self.batch_size,
            answers_per_prompt: 1,
            sampling: SamplingSettings {
                temperature: self.temperature,
                top_k: self.top_k,
                top_p: self.top_p,
                max_new_tokens: self.max_new_tokens,
            },
            scoring: Scoring {
                normalise: self.normalise_scores,
                clip: self.score_clip,
                missing_eos_penalty: self.missing_eos_penalty,
                missing_eos_replaces: self.missing_eos_replaces,
            },
            kl: kl_controller(self.kl_coefficient, self.kl_target, self.kl_horizon),
            max_kl: self.max_kl,
            sample_steps: self.sample_steps,
            sample_prompts: self.sample_prompts,
            keep_policy_steps: self.keep_policy_steps,
            shared: self.shared(),
        }
    }
}
