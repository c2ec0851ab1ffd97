//! Proximal policy optimisation: the reward of each token and the clipped losses.

use burn::tensor::Tensor;

use super::{
    kl,
    masked::{self, only_real},
};

/// r_t = −β·(log π − log π_ref), and the score of the whole answer on its last real token (Ziegler et al. 2019, eq. 2,
/// spread over the tokens).
///
/// `scores`: `[batch]`; the others `[batch, response]`. Zero where the mask is; an answer without a real token gets nothing.
/// (TRL and DeepSpeed-Chat put the score one place after the last token where there is one.) No gradient flows through.
pub fn kl_penalised_rewards(
    scores: Tensor<1>,
    logprobs: Tensor<2>,
    reference_logprobs: Tensor<2>,
    mask: Tensor<2>,
    coefficient: f64,
) -> Tensor<2> {
    let penalty = kl::k1(logprobs, reference_logprobs).detach() * -coefficient;
    let at_end = last_real(mask.clone()) * scores.detach().unsqueeze_dim(1);
    only_real(penalty, mask) + at_end
}

/// 1 on the last real token of each row, 0 elsewhere: `[batch, response]`.
fn last_real(mask: Tensor<2>) -> Tensor<2> {
    // Real tokens from here on, this one included.
    let to_come = mask.clone().sum_dim(1) - mask.clone().cumsum(1) + mask.clone();
    mask.mask_fill(to_come.not_equal_elem(1), 0)
}

/// The policy's loss and what is watched beside it: all `[1]`, all but `loss` without gradient.
#[derive(Debug, Clone)]
pub struct PolicyLoss {
    pub loss: Tensor<1>,
    /// The part of the real tokens where the clipped loss is the larger one, and so the one that counts: what TRL calls
    /// `clipfrac`.
    pub clip_fraction: Tensor<1>,
    /// The part of the real tokens whose ratio lies outside 1 ± clip, whether or not that changes their loss.
    pub outside_fraction: Tensor<1>,
    /// Mean over real tokens of π_new/π_old.
    pub ratio_mean: Tensor<1>,
    /// Mean over real tokens of (π_new/π_old − 1)²: parts of a batch give its variance by their sums of this and of the ratio,
    /// and near 1 without rounding it away.
    pub ratio_square: Tensor<1>,
    /// Divergence of the new policy from the one that sampled, by k1.
    pub approx_kl: Tensor<1>,
    /// The same by k2: what TRL calls `approxkl`.
    pub approx_kl_k2: Tensor<1>,
    /// The same by k3, never negative.
    pub approx_kl_k3: Tensor<1>,
}

/// The mean over real tokens of max(−A·ρ, −A·clip(ρ, 1 ± clip)) with ρ = π_new/π_old (Schulman et al. 2017, eq. 7).
///
/// All `[batch, response]`; `advantages` already whitened, if they are to be. Where `new` equals `old`, ρ is 1 and both
/// divergences are 0: anything else on the first minibatch means dropout, a temperature or a padding that differs.
pub fn policy_loss(new: Tensor<2>, old: Tensor<2>, advantages: Tensor<2>, mask: Tensor<2>, clip: f64) -> PolicyLoss {
    // Padding gets ratio 1 here, so that what stands there cannot overflow into NaN gradients.
    let log_ratio = only_real(new - old.detach(), mask.clone());
    let ratio = log_ratio.clone().exp();
    let advantages = only_real(advantages.detach(), mask.clone());
    let plain = -advantages.clone() * ratio.clone();
    let clipped = -advantages * ratio.clone().clamp(1.0 - clip, 1.0 + clip);
    let larger = clipped.clone().detach().greater(plain.clone().detach());
    let (log_ratio, ratio) = (log_ratio.detach(), ratio.detach());
    let outside = (ratio.clone() - 1).abs().greater_elem(clip);
    let nothing = log_ratio.zeros_like();
    PolicyLoss {
        loss: masked::mean(plain.max_pair(clipped), mask.clone()),
        clip_fraction: masked::mean(nothing.clone().mask_fill(larger, 1), mask.clone()),
        outside_fraction: masked::mean(nothing.clone().mask_fill(outside, 1), mask.clone()),
        ratio_mean: masked::mean(ratio.clone(), mask.clone()),
        ratio_square: masked::mean((ratio - 1).square(), mask.clone()),
        approx_kl: masked::mean(kl::k1(nothing.clone(), log_ratio.clone()), mask.clone()),
        approx_kl_k2: masked::mean(kl::k2(nothing.clone(), log_ratio.clone()), mask.clone()),
        approx_kl_k3: masked::mean(kl::k3(nothing, log_ratio), mask),
    }
}

/// The value model's loss, `[1]`, and the part of the real tokens where the clipped error was the larger one.
#[derive(Debug, Clone)]
pub struct ValueLoss {
    pub loss: Tensor<1>,
    pub clip_fraction: Tensor<1>,
}

/// ½ · mean over real tokens of max((V − R)², (V_old + clip(V − V_old, ±clip) − R)²), as in OpenAI's baselines.
///
/// All `[batch, response]`; gradients flow to `new` alone.
pub fn value_loss(new: Tensor<2>, old: Tensor<2>, returns: Tensor<2>, mask: Tensor<2>, clip: f64) -> ValueLoss {
    let new = only_real(new, mask.clone());
    let old = only_real(old.detach(), mask.clone());
    let returns = only_real(returns.detach(), mask.clone());
    let near = old.clone() + (new.clone() - old).clamp(-clip, clip);
    let plain = (new - returns.clone()).square();
    let clipped = (near - returns).square();
    let larger = clipped.clone().detach().greater(plain.clone().detach());
    ValueLoss {
        clip_fraction: masked::mean(mask.clone().zeros_like().mask_fill(larger, 1), mask.clone()),
        loss: masked::mean(plain.max_pair(clipped), mask) * 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlhf::testing::{assert_close, close, matrix, scalar, values, vector};

    #[test]
    fn the_score_goes_on_the_last_real_token() {
        let rewards = kl_penalised_rewards(
            vector([2.0, 3.0, 5.0]),
            matrix([[-1.0, -1.0, -1.0], [-1.0, f64::NAN, 0.0], [0.0, 0.0, 0.0]]),
            matrix([[-2.0, -1.0, -0.5], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
            matrix([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
            0.1,
        );
        assert_close(&values(rewards), &[-0.1, 0.0, 2.05, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn the_same_policy_has_ratio_1_and_no_divergence() {
        let logprobs = matrix([[-1.0, -0.3, -7.0]]);
        let mask = matrix([[1.0, 1.0, 0.0]]);
        let found = policy_loss(logprobs.clone(), logprobs, matrix([[1.0, -3.0, 9.0]]), mask, 0.2);
        close(scalar(found.loss), 1.0);
        close(scalar(found.ratio_mean), 1.0);
        close(scalar(found.ratio_square), 0.0);
        close(scalar(found.clip_fraction), 0.0);
        close(scalar(found.outside_fraction), 0.0);
        close(scalar(found.approx_kl), 0.0);
        close(scalar(found.approx_kl_k2), 0.0);
        close(scalar(found.approx_kl_k3), 0.0);
    }

    #[test]
    fn the_first_gradient_is_that_of_the_policy_gradient() {
        let new = matrix([[-1.0, -0.3, -7.0]]).require_grad();
        let old = matrix([[-1.0, -0.3, -9.0]]);
        let found = policy_loss(new.clone(), old, matrix([[1.0, -3.0, 9.0]]), matrix([[1.0, 1.0, 0.0]]), 0.2);
        let gradient = values(new.grad(&found.loss.backward()).unwrap());
        assert_close(&gradient, &[-0.5, 1.5, 0.0]);
    }

    #[test]
    fn what_has_gone_far_enough_is_not_pushed_on_but_pulled_back() {
        // Ratios 1.5 and 0.5, each with either sign of advantage.
        let (up, down) = (1.5f64.ln(), 0.5f64.ln());
        let new = matrix([[up, up, down, down]]).require_grad();
        let old = matrix([[0.0; 4]]);
        let found = policy_loss(new.clone(), old, matrix([[1.0, -1.0, 1.0, -1.0]]), matrix([[1.0; 4]]), 0.2);
        close(scalar(found.loss.clone()), (-1.2 + 1.5 - 0.5 + 0.8) / 4.0);
        // TRL: −A·clip(ρ) is −1.2, 1.2, −0.8, 0.8 and −A·ρ is −1.5, 1.5, −0.5, 0.5: larger at the first and the last.
        close(scalar(found.clip_fraction), 0.5);
        close(scalar(found.outside_fraction), 1.0);
        let gradient = values(new.grad(&found.loss.backward()).unwrap());
        assert_close(&gradient, &[0.0, 0.375, -0.125, 0.0]);
    }

    #[test]
    fn infinity_under_the_mask_reaches_neither_loss_nor_gradient() {
        let new = matrix([[-1.0, f64::NEG_INFINITY]]).require_grad();
        let mask = matrix([[1.0, 0.0]]);
        let found = policy_loss(new.clone(), matrix([[-1.1, -2e9]]), matrix([[1.0, f64::NAN]]), mask.clone(), 0.2);
        close(scalar(found.loss.clone()), -(0.1f64.exp()));
        assert_close(&values(new.grad(&found.loss.backward()).unwrap()), &[-(0.1f64.exp()), 0.0]);
        let new = matrix([[1.0, f64::INFINITY]]).require_grad();
        let found = value_loss(new.clone(), matrix([[1.0, 0.0]]), matrix([[0.0, f64::NAN]]), mask, 0.2);
        close(scalar(found.loss.clone()), 0.5);
        assert_close(&values(new.grad(&found.loss.backward()).unwrap()), &[1.0, 0.0]);
    }

    #[test]
    fn a_value_that_has_moved_too_far_stops() {
        let new = matrix([[1.0, 0.1]]).require_grad();
        let found = value_loss(new.clone(), matrix([[0.0, 0.0]]), matrix([[2.0, 2.0]]), matrix([[1.0, 1.0]]), 0.2);
        close(scalar(found.loss.clone()), 0.5 * (1.8f64.powi(2) + 1.9f64.powi(2)) / 2.0);
        close(scalar(found.clip_fraction), 0.5);
        assert_close(&values(new.grad(&found.loss.backward()).unwrap()), &[0.0, -0.95]);
    }
}
