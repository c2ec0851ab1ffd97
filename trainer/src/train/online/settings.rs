//! What every method sets alike, and which settings no method can work with.

use super::{
    super::{
        SettingsError,
        settings::{Shared, at_least_one},
    },
    Scoring,
};
use crate::{generate::SamplingSettings, rlhf::kl::KlController};

/// What every method sets.
pub struct OnlineSettings {
    /// Rollouts.
    pub steps: usize,
    /// Answers in a rollout.
    pub batch_size: usize,
    /// Answers to each prompt of a rollout; divides `batch_size`.
    pub answers_per_prompt: usize,
    pub sampling: SamplingSettings,
    pub scoring: Scoring,
    pub kl: KlController,
    /// Divergence, nats an answer, at which the run stops.
    pub max_kl: f64,
    /// Samples are told of after every so many steps; 0: never.
    pub sample_steps: usize,
    /// Of how many prompts.
    pub sample_prompts: usize,
    /// The policy is written after every so many steps; 0: at the end alone.
    pub keep_policy_steps: usize,
    pub shared: Shared,
}

/// The law that is sampled from must be the law that is scored: otherwise the divergence comes out negative and the
/// ratios are not 1 before anything was learned. The likeliest token each time (temperature 0) is no law to learn from. A
/// truncated one is scored over the tokens that it left ([`super::episode::Rows`]).
pub fn check_sampling(temperature: f64, top_k: usize, top_p: f64) -> Result<(), SettingsError> {
    let wrong = |name: &str, message: &str| Err(SettingsError::value(name, message));
    if !(temperature > 0.0 && temperature.is_finite()) {
        return wrong("temperature", "must be above 0: learning is from answers that were drawn at random");
    }
    if top_k == 1 {
        return wrong("top_k", "must be 0 or at least 2: from one token there is nothing to learn");
    }
    if !(top_p > 0.0 && top_p <= 1.0) {
        return wrong("top_p", "must be above 0 and at most 1");
    }
    Ok(())
}

/// Answers are drawn, and log π is noted, without dropout: with dropout while learning the ratios would not be 1 before
/// anything was learned, and the clipping would be of noise.
pub fn check_dropout(lora_dropout: f64) -> Result<(), SettingsError> {
    if lora_dropout == 0.0 {
        return Ok(());
    }
    let text = "must be 0 here: answers are sampled without dropout, and learning from them with it would begin with \
                ratios of new to old probability that are not 1";
    Err(SettingsError::value("lora_dropout", text))
}

/// A price that is steered to `target`, or fixed where that is 0.
pub fn kl_controller(coefficient: f64, target: f64, horizon: f64) -> KlController {
    if target > 0.0 {
        KlController::Adaptive { coefficient, target, horizon }
    } else {
        KlController::Fixed { coefficient }
    }
}

/// Refuses a target for a price that cannot be steered there: a price moves by a part of itself, so that one of 0 stays 0, and
/// after a rollout of five horizons, far below the target, it would be 0 for good.
pub fn check_steering(target: f64, coefficient: f64, horizon: f64, batch_size: usize) -> Result<(), SettingsError> {
    if target == 0.0 {
        return Ok(());
    }
    if coefficient == 0.0 {
        let text =
            "is asked for, and kl_coefficient is 0: a price of 0 cannot be steered, it moves by a part of itself";
        return Err(SettingsError::value("kl_target", text));
    }
    if horizon * 5.0 <= batch_size as f64 {
        let text = format!(
            "must be above a fifth of batch_size, {batch_size}: the price moves by at most a fifth of itself in a horizon, and a \
             rollout of five horizons could leave nothing of it"
        );
        return Err(SettingsError::value("kl_horizon", text));
    }
    Ok(())
}

/// Refuses a count of zero.
pub fn check_counts(counts: &[(&str, usize)]) -> Result<(), SettingsError> {
    counts.iter().try_for_each(|(name, value)| at_least_one(name, *value))
}

/// Refuses amounts that are not finite, those of `positive` also where they are not above zero, and negative ones.
pub fn check_amounts(positive: &[(&str, f64)], not_negative: &[(&str, f64)]) -> Result<(), SettingsError> {
    if let Some((name, _)) = positive.iter().find(|(_, value)| !(*value > 0.0 && value.is_finite())) {
        return Err(SettingsError::value(name, "must be above 0"));
    }
    match not_negative.iter().find(|(_, value)| !(*value >= 0.0 && value.is_finite())) {
        Some((name, _)) => Err(SettingsError::value(name, "must be at least 0")),
        None => Ok(()),
    }
}
