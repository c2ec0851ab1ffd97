//! The settings that RLOO and GRPO have in common.

/// Defines the settings struct of a method that learns from groups of answers: its own fields, then those of all such
/// methods, then those of all stages.
macro_rules! group_settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($own:tt)*
        }
    ) => {
        $crate::train::settings::stage_settings! {
            $(#[$meta])*
            pub struct $name {
                learning rate 1e-5, with adapters 1e-4, schedule Schedule::Linear;
                $($own)*
                #[doc = "Rollouts, each followed by learning from it"]
                steps: usize = 50,
                #[doc = "Answers sampled in one rollout (episodes); a multiple of num_generations"]
                batch_size: usize = 32,
                #[doc = "Answers to each prompt, at least 2: they are each other's baseline"]
                num_generations: usize = 4,
                #[doc = "Answers in one step of the optimiser"]
                minibatch_size: usize = 16,
                #[doc = "Passes over each rollout"]
                num_iterations: usize = 2,
                #[doc = "Longest answer, tokens"]
                max_new_tokens: usize = 64,
                #[doc = "Divides the logits, when sampling and when scoring alike; above 0"]
                temperature: f64 = 1.0,
                #[doc = "Answers are drawn from so many of the likeliest tokens; 0: from all. Probabilities, ratios and divergences are then among these tokens"]
                top_k: usize = 0,
                #[doc = "Answers are drawn from the likeliest tokens that together have this probability; 1: from all. Scored as top_k is"]
                top_p: f64 = 1.0,
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
                #[doc = "How far the ratio of new to old probability may count, from 1"]
                clip_range: f64 = 0.2,
                #[doc = "Answers of policy and reference to a few fixed prompts go to the log after every so many steps; 0: never"]
                sample_steps: usize = 10,
                #[doc = "How many fixed prompts"]
                sample_prompts: usize = 3,
                #[doc = "The policy after every so many steps is also written as a model, to OUT.policies/STEP; 0: never"]
                keep_policy_steps: usize = 0,
            }
        }

        impl $name {
            fn group_of(&self, kind: Kind) -> Group {
                Group {
                    kind,
                    answers_per_prompt: self.num_generations,
                    iterations: self.num_iterations,
                    minibatch_size: self.minibatch_size,
                    clip_range: self.clip_range,
                    target_approx_kl: self.target_approx_kl,
                }
            }

            fn online(&self) -> $crate::train::online::OnlineSettings {
                $crate::train::online::OnlineSettings {
                    steps: self.steps,
                    batch_size: self.batch_size,
                    answers_per_prompt: self.num_generations,
                    sampling: $crate::generate::SamplingSettings {
                        temperature: self.temperature,
                        top_k: self.top_k,
                        top_p: self.top_p,
                        max_new_tokens: self.max_new_tokens,
                    },
                    scoring: $crate::train::online::Scoring {
                        normalise: self.normalise_scores,
                        clip: self.score_clip,
                        missing_eos_penalty: self.missing_eos_penalty,
                        missing_eos_replaces: self.missing_eos_replaces,
                    },
                    kl: $crate::train::online::kl_controller(self.kl_coefficient, self.kl_target, self.kl_horizon),
                    max_kl: self.max_kl,
                    sample_steps: self.sample_steps,
                    sample_prompts: self.sample_prompts,
                    keep_policy_steps: self.keep_policy_steps,
                    shared: $crate::train::StageSettings::shared(self),
                }
            }

            fn check_group(&self) -> Result<(), SettingsError> {
                $crate::train::online::check_sampling(self.temperature, self.top_k, self.top_p)?;
                $crate::train::online::check_dropout(self.lora_dropout)?;
                $crate::train::online::check_counts(&[
                    ("steps", self.steps),
                    ("batch_size", self.batch_size),
                    ("minibatch_size", self.minibatch_size),
                    ("num_iterations", self.num_iterations),
                    ("max_new_tokens", self.max_new_tokens),
                ])?;
                $crate::train::online::check_amounts(
                    &[("clip_range", self.clip_range), ("max_kl", self.max_kl), ("kl_horizon", self.kl_horizon)],
                    &[
                        ("kl_coefficient", self.kl_coefficient),
                        ("kl_target", self.kl_target),
                        ("missing_eos_penalty", self.missing_eos_penalty),
                        ("score_clip", self.score_clip),
                        ("target_approx_kl", self.target_approx_kl),
                    ],
                )?;
                $crate::train::online::check_steering(
                    self.kl_target,
                    self.kl_coefficient,
                    self.kl_horizon,
                    self.batch_size,
                )?;
                self.group().check(self.batch_size)
            }
        }
    };
}
pub(crate) use group_settings;
