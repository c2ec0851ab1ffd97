//! Advantages from several answers to one prompt, without a value model, and the losses that go with them.

use burn::tensor::Tensor;

use super::{
    kl,
    masked::{self, only_real},
};

/// r_i − the mean of the other answers' rewards: RLOO (Ahmadian et al. 2024, section 3.3).
///
/// `rewards`: `[prompts, answers]`, at least two answers, the price of divergence already taken off. Without gradient.
pub fn rloo_advantages(rewards: Tensor<2>) -> Tensor<2> {
    let answers = rewards.dims()[1] as f64;
    // r − (Σ − r)/(k − 1) = (r − mean)·k/(k − 1)
    centred(rewards.detach()) * (answers / (answers - 1.0).max(1.0))
}

/// (r_i − mean)/(deviation + 1e-4) within each prompt: GRPO (Shao et al. 2024, section 4.1.2), with the unbiased deviation
/// and the small number of TRL.
///
/// `rewards`: `[prompts, answers]`. Answers that are all equal get zero. Without gradient.
pub fn grpo_advantages(rewards: Tensor<2>) -> Tensor<2> {
    let answers = rewards.dims()[1] as f64;
    let centred = centred(rewards.detach());
    let variance = centred.clone().square().sum_dim(1) / (answers - 1.0).max(1.0);
    centred / (variance.sqrt() + 1e-4)
}

/// Each prompt's rewards less their mean, `[prompts, answers]` both. The mean is off by a rounding, which is all that equal
/// rewards are apart from it; GRPO divides it by next to nothing, and Adam steps by it as by any gradient. The mean of what is
/// left takes it off.
pub fn centred(rewards: Tensor<2>) -> Tensor<2> {
    let near = rewards.clone() - rewards.mean_dim(1);
    near.clone() - near.mean_dim(1)
}

/// A clipped surrogate summed over its units, tokens or whole answers, so that an accumulated batch can be divided by those
/// of all its parts; and what is watched beside it, without gradient. All `[1]`.
#[derive(Debug, Clone)]
pub struct Surrogate {
    pub loss: Tensor<1>,
    /// Σ over the units of π_new/π_old.
    pub ratio: Tensor<1>,
    /// How many units have a ratio beyond 1 ± clip on the side that their advantage pushes to, so that it is held there: what
    /// TRL calls `clip_ratio/region`.
    pub held: Tensor<1>,
    /// How many units have a ratio outside 1 ± clip, on either side.
    pub outside: Tensor<1>,
}

/// Σ over answers of max(−A·ρ, −A·clip(ρ, 1 ± clip)), ρ the ratio of the probabilities of the whole answer: RLOO, which
/// takes an answer for one action (Ahmadian et al. 2024, section 3.2), with the clipping of TRL's trainer.
///
/// `new`, `old`, `mask`: `[batch, response]`; `advantages`: `[batch]`. Gradients flow to `new` alone.
pub fn answer_surrogate(
    new: Tensor<2>,
    old: Tensor<2>,
    advantages: Tensor<1>,
    mask: Tensor<2>,
    clip: f64,
) -> Surrogate {
    let log_ratio = only_real(new - old.detach(), mask).sum_dim(1);
    let Clipped { loss, ratio, held } = clipped(log_ratio, advantages.detach().unsqueeze_dim(1), clip);
    let outside = outside(&ratio, clip);
    Surrogate { loss: loss.sum(), ratio: ratio.sum(), held: held.sum(), outside: outside.sum() }
}

/// Σ over tokens of w·max(−A·ρ, −A·clip(ρ, 1 ± clip)), ρ the ratio at each token, w and A those of its answer: GRPO (Shao et
/// al. 2024, eq. 3, without the divergence).
///
/// `new`, `old`, `mask`: `[batch, response]`; `advantages`, `weights`: `[batch]`. With w = 1/|answer| and division by the
/// answers it is the paper's mean of means; with w = 1 and division by all tokens DAPO's (Yu et al. 2025, eq. 8); with a
/// constant w Dr. GRPO's (Liu et al. 2025).
pub fn token_surrogate(
    new: Tensor<2>,
    old: Tensor<2>,
    advantages: Tensor<1>,
    weights: Tensor<1>,
    mask: Tensor<2>,
    clip: f64,
) -> Surrogate {
    let log_ratio = only_real(new - old.detach(), mask.clone());
    let Clipped { loss, ratio, held } = clipped(log_ratio, advantages.detach().unsqueeze_dim(1), clip);
    let held = only_real(held, mask.clone());
    let outside = only_real(outside(&ratio, clip), mask.clone());
    let loss = only_real(loss * weights.detach().unsqueeze_dim(1), mask.clone());
    Surrogate { loss: loss.sum(), ratio: only_real(ratio, mask).sum(), held: held.sum(), outside: outside.sum() }
}

/// Σ over tokens of w·k3(π, π_ref), GRPO's penalty in the loss (Shao et al. 2024, eq. 4), and Σ of k3 without weights and
/// gradient, both `[1]`.
///
/// `new`, `reference`, `mask`: `[batch, response]`; `weights`: `[batch]`. The gradient flows through k3 itself.
pub fn divergence(new: Tensor<2>, reference: Tensor<2>, weights: Tensor<1>, mask: Tensor<2>) -> (Tensor<1>, Tensor<1>) {
    // Padding is made equal first, so that what stands there cannot overflow into NaN gradients.
    let (new, reference) = (only_real(new, mask.clone()), only_real(reference.detach(), mask.clone()));
    let k3 = kl::k3(new, reference);
    let weighted = only_real(k3.clone() * weights.detach().unsqueeze_dim(1), mask.clone());
    (weighted.sum(), only_real(k3.detach(), mask).sum())
}

/// What [`clipped`] makes of each unit; `ratio` and `held` without gradient.
struct Clipped {
    loss: Tensor<2>,
    ratio: Tensor<2>,
    /// 1 where the clipped loss is the larger one, which is where (ρ < 1 − clip and A < 0) or (ρ > 1 + clip and A > 0).
    held: Tensor<2>,
}

/// The clipped loss of each unit.
fn clipped(log_ratio: Tensor<2>, advantages: Tensor<2>, clip: f64) -> Clipped {
    let ratio = log_ratio.exp();
    let plain = -advantages.clone() * ratio.clone();
    let near = -advantages * ratio.clone().clamp(1.0 - clip, 1.0 + clip);
    let larger = near.clone().detach().greater(plain.clone().detach());
    let ratio = ratio.detach();
    Clipped { loss: plain.max_pair(near), held: ratio.zeros_like().mask_fill(larger, 1), ratio }
}

/// 1 where a ratio lies outside 1 ± clip.
fn outside(ratio: &Tensor<2>, clip: f64) -> Tensor<2> {
    let far = (ratio.clone() - 1).abs().greater_elem(clip);
    ratio.zeros_like().mask_fill(far, 1)
}

/// Advantages with mean 0 and deviation 1 over the whole batch, `[prompts, answers]` both.
pub fn normalised(advantages: Tensor<2>) -> Tensor<2> {
    let all = advantages.ones_like();
    masked::whiten(advantages, all, true)
}

#[cfg(test)]
mod tests {
    use burn::tensor::FloatDType;

    use super::*;
    use crate::rlhf::testing::{assert_close, close, matrix, scalar, values, vector};

    #[test]
    fn rloo_compares_each_with_the_others() {
        let found = values(rloo_advantages(matrix([[1.0, 2.0, 6.0], [4.0, 4.0, 4.0]])));
        assert_close(&found, &[1.0 - 4.0, 2.0 - 3.5, 6.0 - 1.5, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn grpo_whitens_within_a_prompt() {
        let found = values(grpo_advantages(matrix([[1.0, 2.0, 3.0], [4.0, 4.0, 4.0]])));
        let one = 1.0 / 1.0001;
        assert_close(&found, &[-one, 0.0, one, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn equal_rewards_give_no_advantage_in_single_precision_either() {
        // Seven of each have a mean that is not quite they.
        let rewards = matrix([[17.3; 7], [22.24; 7], [29.99; 7]]).cast(FloatDType::F32);
        assert_close(&values(grpo_advantages(rewards.clone())), &[0.0; 21]);
        assert_close(&values(normalised(rloo_advantages(rewards))), &[0.0; 21]);
    }

    // Reference values: the lines of TRL's trainers in PyTorch, float64 (scripts/group_reference.py).

    const NEW: [[f64; 3]; 2] = [[-1.0, -0.5, -2.0], [-0.7, -1.2, 9.0]];
    const OLD: [[f64; 3]; 2] = [[-1.1, -0.9, -1.9], [-0.6, -1.6, f64::NAN]];
    const REFERENCE: [[f64; 3]; 2] = [[-1.3, -0.6, -1.5], [-0.9, -1.0, f64::INFINITY]];
    const MASK: [[f64; 3]; 2] = [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]];
    const ADVANTAGES: [f64; 2] = [0.8, -1.5];

    #[test]
    fn rloo_takes_an_answer_for_one_action() {
        let new = matrix(NEW).require_grad();
        let found = answer_surrogate(new.clone(), matrix(OLD), vector(ADVANTAGES), matrix(MASK), 0.2);
        let loss = found.loss / 2;
        close(scalar(loss.clone()), 0.5323941056820025);
        let gradient = values(new.grad(&loss.backward()).unwrap());
        assert_close(&gradient, &[0.0, 0.0, 0.0, 1.012394106, 1.012394106, 0.0]);
        close(scalar(found.ratio), 0.4f64.exp() + 0.3f64.exp());
        close(scalar(found.outside), 2.0);
        // e^0.4 with an advantage above 0 is held; e^0.3 with one below 0 is not.
        close(scalar(found.held), 1.0);
    }

    #[test]
    fn only_what_would_go_further_is_held() {
        // Ratios 1.5, 1.5, 0.5, 0.5, 1.1; TRL: (ρ < 0.8 and A < 0) or (ρ > 1.2 and A > 0), so the first and the fourth.
        let (up, down, near) = (1.5f64.ln(), 0.5f64.ln(), 1.1f64.ln());
        let rows = [[up], [up], [down], [down], [near]];
        let advantages = vector([1.0, -1.0, 1.0, -1.0, 1.0]);
        let (old, mask) = (matrix([[0.0]; 5]), matrix([[1.0]; 5]));
        let of_answers = answer_surrogate(matrix(rows), old.clone(), advantages.clone(), mask.clone(), 0.2);
        let of_tokens = token_surrogate(matrix(rows), old, advantages, vector([1.0; 5]), mask, 0.2);
        for found in [of_answers, of_tokens] {
            close(scalar(found.held), 2.0);
            close(scalar(found.outside), 4.0);
        }
    }

    #[test]
    fn grpo_weighs_tokens_as_its_kind_says() {
        let per_answer = [1.0 / 3.0, 0.5];
        let kinds = [
            (per_answer, 2.0, 0.4724443630725807, [-0.145628244, 0.000634417, -0.124969798, 0.341126724, 0.557220234]),
            ([1.0; 2], 5.0, 0.20727338429055964, [-0.174753893, 0.000761301, -0.149963757, 0.272901379, 0.445776187]),
            (
                [1.0 / 3.0; 2],
                2.0,
                0.17272782024213304,
                [-0.145628244, 0.000634417, -0.124969798, 0.227417816, 0.371480156],
            ),
        ];
        for (weights, divisor, expected, gradient) in kinds {
            let new = matrix(NEW).require_grad();
            let (weights, mask) = (vector(weights), matrix(MASK));
            let found =
                token_surrogate(new.clone(), matrix(OLD), vector(ADVANTAGES), weights.clone(), mask.clone(), 0.2);
            let (penalty, _) = divergence(new.clone(), matrix(REFERENCE), weights, mask);
            let loss = (found.loss + penalty * 0.04) / divisor;
            close(scalar(loss.clone()), expected);
            let of_new = values(new.grad(&loss.backward()).unwrap());
            assert_close(&of_new, &[&gradient[..], &[0.0]].concat());
            // Ratios outside: e^0.4 and e^0.4, the second with an advantage below 0.
            close(scalar(found.outside), 2.0);
            close(scalar(found.held), 1.0);
        }
    }

    #[test]
    fn the_divergence_that_is_watched_counts_every_token_the_same() {
        let (_, watched) = divergence(matrix(NEW), matrix(REFERENCE), vector([9.0, 9.0]), matrix(MASK));
        let k3 = |d: f64| (-d).exp() - 1.0 + d;
        close(scalar(watched), k3(0.3) + k3(0.1) + k3(-0.5) + k3(0.2) + k3(-0.2));
    }
}
