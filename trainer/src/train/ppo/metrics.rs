//! What PPO reports, under TRL's names.

use std::collections::BTreeMap;

use super::{learning::Losses, rollout::Objective};

/// The numbers of one step; `without_pretraining` leaves out the loss on text that is not there.
pub(super) fn metrics_of(objective: &Objective, losses: &Losses, without_pretraining: bool) -> BTreeMap<String, f64> {
    let mut metrics: BTreeMap<String, f64> = [
        ("objective/kl", objective.kl),
        ("objective/entropy", objective.entropy),
        ("objective/non_score_reward", objective.non_score_reward),
        ("objective/rlhf_reward", objective.non_score_reward + objective.scores),
        ("objective/scores", objective.scores),
        ("objective/length", objective.length),
        ("policy/approxkl_avg", losses.approx_kl),
        ("policy/clipfrac_avg", losses.clip_fraction),
        ("loss/policy_avg", losses.policy),
        ("loss/value_avg", losses.value),
        ("val/clipfrac_avg", losses.value_clip_fraction),
        ("val/ratio", losses.ratio),
        ("val/ratio_var", losses.ratio_variance),
        ("val/num_eos_tokens", objective.finished as f64),
        ("val/first_ratio", losses.first_ratio),
        ("val/first_approxkl", losses.first_approx_kl),
        ("train/grad_norm", losses.policy_norm),
        ("train/value_grad_norm", losses.value_norm),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    if !without_pretraining {
        metrics.insert("loss/ptx_avg".into(), losses.ptx);
    }
    metrics
}
