//! The losses of the three stages, values and gradients.

use burn::tensor::{DType, Tensor};
use laurel_trainer::rlhf::{
    advantages::advantages,
    masked,
    ppo::{kl_penalised_rewards, policy_loss, value_loss},
    reward::{Pairs, kwise_loss, pair_accuracy},
    sft::completion_loss,
};
use serde::Deserialize;

use super::{PRECISIONS, assert_precise, flat, integers, tensor, values};
use crate::assert_close;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sft {
    /// `[batch, sequence, vocabulary]`
    shape: [usize; 3],
    #[serde(deserialize_with = "flat")]
    logits: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    input_ids: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    completion_mask: Vec<f64>,
    /// Not defined where no token is to be learnt.
    loss: Option<f64>,
}

pub fn sft(what: &str, case: Sft) {
    let [batch, sequence, _] = case.shape;
    // A first token has no logits before it.
    let is_learnt = |row: &[f64]| row.iter().skip(1).any(|mask| *mask != 0.0);
    let learns = case.completion_mask.chunks(sequence.max(1)).any(is_learnt);
    let expected = if learns { case.loss.expect("a loss") } else { 0.0 };
    for in_precision @ (precision, _) in PRECISIONS {
        let logits = tensor(&case.logits, case.shape, precision);
        let ids = integers(&case.input_ids, [batch, sequence]);
        let mask = tensor(&case.completion_mask, [batch, sequence], precision);
        let loss = values(completion_loss(logits, ids, mask), precision);
        assert_precise(&format!("{what} {precision:?}: loss"), &loss, &[expected], in_precision);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reward {
    ranks: Vec<u32>,
    #[serde(deserialize_with = "flat")]
    scores: Vec<f64>,
    /// (better, worse), by position.
    pairs: Vec<(usize, usize)>,
    /// Not defined where all are tied.
    loss: Option<f64>,
    accuracy: Option<f64>,
}

pub fn reward(what: &str, case: Reward) {
    let (right, count) = pair_accuracy(&case.scores, &case.ranks);
    let pairs = Pairs::of(std::slice::from_ref(&case.ranks));
    assert_eq!((count, pairs.len()), (case.pairs.len(), case.pairs.len()), "{what}: number of pairs");
    let said = |(better, worse): &(usize, usize)| case.ranks[*better] < case.ranks[*worse];
    assert!(case.pairs.iter().all(said), "{what}: pairs");
    // Nothing is said by ties alone: nothing is learnt from them, and there is nothing to be right about.
    let expected = if count == 0 { 0.0 } else { case.loss.expect("a loss") };
    if count > 0 {
        let accuracy = right as f64 / count as f64;
        assert_close(&format!("{what}: accuracy"), &[accuracy], &[case.accuracy.expect("an accuracy")], 1e-9);
    }
    for in_precision @ (precision, tolerance) in PRECISIONS {
        let scores = tensor(&case.scores, [case.scores.len()], precision).require_grad();
        let loss = kwise_loss(scores.clone(), &pairs);
        let gradient = values(scores.grad(&loss.backward()).expect("a gradient"), precision);
        assert_precise(&format!("{what} {precision:?}: loss"), &values(loss, precision), &[expected], in_precision);
        let sum = gradient.iter().sum();
        assert_close(&format!("{what} {precision:?}: sum of the gradient"), &[sum], &[0.0], tolerance);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ppo {
    /// `[batch, response]`
    shape: [usize; 2],
    #[serde(deserialize_with = "flat")]
    mask: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    logprobs_new: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    logprobs_old: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    logprobs_ref: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    score: Vec<f64>,
    kl_coef: f64,
    gamma: f64,
    lam: f64,
    cliprange: f64,
    cliprange_value: f64,
    vf_coef: f64,
    #[serde(deserialize_with = "flat")]
    values_old: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    values_new: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    kl_penalised_rewards: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    advantages: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    returns: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    whitened_advantages: Vec<f64>,
    policy_loss: Option<f64>,
    value_loss: Option<f64>,
    total_loss: Option<f64>,
    clipfrac: Option<f64>,
    approx_kl_k1: Option<f64>,
    approx_kl_k3: Option<f64>,
    #[serde(deserialize_with = "flat")]
    grad_logprobs: Vec<f64>,
    #[serde(deserialize_with = "flat")]
    grad_values: Vec<f64>,
}

pub fn ppo(what: &str, case: Ppo) {
    for in_precision in PRECISIONS {
        ppo_in(&format!("{what} {:?}", in_precision.0), &case, in_precision);
    }
}

/// From the scores to the gradients, each step on what the one before it gave.
fn ppo_in(what: &str, case: &Ppo, in_precision: (DType, f64)) {
    let precision = in_precision.0;
    let batch = |numbers: &[f64]| tensor(numbers, case.shape, precision);
    // One token has no unbiased variance to be whitened by, and none at all has no mean: where a file has null for that, any
    // number will do, as long as it is one.
    let has_variance = case.mask.iter().filter(|mask| **mask != 0.0).count() > 1;
    let agree = |name: &str, found: &[f64], expected: &[f64]| {
        let or_any = |(place, said): (usize, &f64)| match found.get(place) {
            Some(ours) if said.is_nan() && !has_variance && ours.is_finite() => *ours,
            _ => *said,
        };
        let expected: Vec<f64> = expected.iter().enumerate().map(or_any).collect();
        assert_precise(&format!("{what}: {name}"), found, &expected, in_precision);
    };
    let check = |name: &str, found: Tensor<2>, expected: &[f64]| agree(name, &values(found, precision), expected);
    let check_one = |name: &str, found: Tensor<1>, expected: Option<f64>| {
        agree(name, &values(found, precision), &[expected.unwrap_or(f64::NAN)]);
    };
    let (mask, old) = (batch(&case.mask), batch(&case.logprobs_old));
    let (new, new_values) = (batch(&case.logprobs_new).require_grad(), batch(&case.values_new).require_grad());
    let old_values = batch(&case.values_old);

    let score = tensor(&case.score, [case.shape[0]], precision);
    let reference = batch(&case.logprobs_ref);
    let rewards = kl_penalised_rewards(score, old.clone(), reference, mask.clone(), case.kl_coef);
    check("kl_penalised_rewards", rewards.clone(), &case.kl_penalised_rewards);
    let (advantages, returns) = advantages(rewards, old_values.clone(), mask.clone(), case.gamma, case.lam);
    check("advantages", advantages.clone(), &case.advantages);
    check("returns", returns.clone(), &case.returns);
    let whitened = masked::whiten(advantages, mask.clone(), true);
    check("whitened_advantages", whitened.clone(), &case.whitened_advantages);

    let policy = policy_loss(new.clone(), old, whitened, mask.clone(), case.cliprange);
    let value = value_loss(new_values.clone(), old_values, returns, mask, case.cliprange_value);
    let total = policy.loss.clone() + value.loss.clone() * case.vf_coef;
    check_one("policy_loss", policy.loss, case.policy_loss);
    check_one("value_loss", value.loss, case.value_loss);
    // The file counts ratios outside 1 ± clip, whatever the sign of the advantage.
    check_one("clipfrac", policy.outside_fraction, case.clipfrac);
    check_one("approx_kl_k1", policy.approx_kl, case.approx_kl_k1);
    check_one("approx_kl_k3", policy.approx_kl_k3, case.approx_kl_k3);
    let gradients = total.backward();
    check_one("total_loss", total, case.total_loss);
    check("grad_logprobs", new.grad(&gradients).expect("a gradient"), &case.grad_logprobs);
    check("grad_values", new_values.grad(&gradients).expect("a gradient"), &case.grad_values);
}
