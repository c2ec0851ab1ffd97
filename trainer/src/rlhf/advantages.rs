//! Generalised advantage estimation.

use burn::tensor::Tensor;

use super::masked::{mean, only_real, variance};

/// Generalised advantage estimation (Schulman et al. 2016, eq. 16), right to left over each response:
/// δ_t = r_t + γ·V_{t+1} − V_t,  A_t = δ_t + γλ·A_{t+1}, with V and A zero after the last real token.
///
/// `rewards`, `values`, `mask`: `[batch, response]`; the mask is 1 on sampled tokens up to and with the end of text, and a
/// 0 between two ones is stepped over (as in verl). Returns `(advantages, returns)`, both zero where the mask is;
/// `returns = advantages + values`, before whitening. No gradient flows through either.
pub fn advantages(
    rewards: Tensor<2>,
    values: Tensor<2>,
    mask: Tensor<2>,
    gamma: f64,
    lambda: f64,
) -> (Tensor<2>, Tensor<2>) {
    let rewards = only_real(rewards.detach(), mask.clone());
    let values = only_real(values.detach(), mask.clone());
    let length = rewards.dims()[1];
    let column = |tensor: &Tensor<2>, t: usize| tensor.clone().narrow(1, t, 1);
    let mut next_value = column(&values, 0).zeros_like();
    let mut next_advantage = next_value.clone();
    let mut columns = Vec::with_capacity(length);
    for t in (0..length).rev() {
        let (value, padding) = (column(&values, t), column(&mask, t).equal_elem(0));
        let delta = column(&rewards, t) + next_value.clone() * gamma - value.clone();
        let advantage = delta + next_advantage.clone() * (gamma * lambda);
        columns.push(advantage.clone());
        next_value = value.mask_where(padding.clone(), next_value);
        next_advantage = advantage.mask_where(padding, next_advantage);
    }
    columns.reverse();
    let advantages = only_real(Tensor::cat(columns, 1), mask);
    (advantages.clone(), advantages + values)
}

/// 1 − Var(R − V)/Var(R) over the real tokens, `[1]`: 1 where the values foresee every return, 0 where a constant would do as
/// well, below 0 where it would do better. 0 where all returns are equal, which leaves nothing to explain: so nearly that what
/// sets them apart may be rounding alone.
///
/// `values`, `returns`, `mask`: `[batch, response]`.
pub fn explained_variance(values: Tensor<2>, returns: Tensor<2>, mask: Tensor<2>) -> Tensor<1> {
    let all = variance(returns.clone(), mask.clone());
    let rounding = mean(returns.clone().square(), mask.clone()) * 1e-12;
    let nothing = all.clone().lower_equal(rounding);
    let left = variance(returns - values, mask);
    ((all.clone() - left) / all).mask_fill(nothing, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlhf::testing::{assert_close, matrix, values as numbers};

    const REWARDS: [[f64; 4]; 2] = [[0.1, -0.2, 0.3, 1.0], [0.5, 2.0, 7.0, 7.0]];
    const VALUES: [[f64; 4]; 2] = [[0.4, 0.3, -0.1, 0.2], [1.0, -1.0, 7.0, 7.0]];
    const MASK: [[f64; 4]; 2] = [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]];

    fn run(gamma: f64, lambda: f64) -> (Vec<f64>, Vec<f64>) {
        let (advantages, returns) = advantages(matrix(REWARDS), matrix(VALUES), matrix(MASK), gamma, lambda);
        (numbers(advantages), numbers(returns))
    }

    #[test]
    fn with_lambda_1_returns_are_the_discounted_rewards_to_come() {
        let gamma = 0.9;
        let (advantages, returns) = run(gamma, 1.0);
        let mut expected = vec![0.0; 8];
        for (row, length) in [(0, 4), (1, 2)] {
            for t in 0..length {
                expected[row * 4 + t] = (t..length).map(|k| gamma.powi((k - t) as i32) * REWARDS[row][k]).sum();
            }
        }
        assert_close(&returns, &expected);
        let of_values = VALUES.concat();
        let masked: Vec<f64> = (0..8).map(|i| (expected[i] - of_values[i]) * MASK.concat()[i]).collect();
        assert_close(&advantages, &masked);
    }

    #[test]
    fn with_lambda_0_advantages_are_one_step_errors() {
        let (advantages, _) = run(1.0, 0.0);
        assert_close(&advantages, &[0.0, -0.6, 0.6, 0.8, -1.5, 3.0, 0.0, 0.0]);
    }

    #[test]
    fn the_loop_is_the_sum_over_discounted_errors() {
        let (gamma, lambda) = (0.99, 0.95);
        let errors = run(gamma, 0.0).0;
        let expected: Vec<f64> = (0..8)
            .map(|i| (i..(i / 4 + 1) * 4).map(|k| (gamma * lambda).powi((k - i) as i32) * errors[k]).sum())
            .collect();
        let masked: Vec<f64> = expected.iter().zip(MASK.concat()).map(|(x, mask)| x * mask).collect();
        assert_close(&run(gamma, lambda).0, &masked);
    }

    #[test]
    fn a_hole_in_the_mask_is_stepped_over() {
        let with_hole =
            advantages(matrix([[0.1, 9.0, 0.3]]), matrix([[0.4, f64::NAN, 0.2]]), matrix([[1.0, 0.0, 1.0]]), 0.9, 0.8);
        let without = advantages(matrix([[0.1, 0.3]]), matrix([[0.4, 0.2]]), matrix([[1.0, 1.0]]), 0.9, 0.8);
        let without = numbers(without.0);
        assert_close(&numbers(with_hole.0), &[without[0], 0.0, without[1]]);
    }

    #[test]
    fn values_explain_as_much_of_the_returns_as_they_foresee() {
        let (returns, mask) = (matrix([[1.0, 3.0, 9.0]]), matrix([[1.0, 1.0, 0.0]]));
        let of = |values| numbers(explained_variance(matrix(values), returns.clone(), mask.clone()));
        assert_close(&of([[1.0, 3.0, f64::NAN]]), &[1.0]);
        assert_close(&of([[7.0, 7.0, 0.0]]), &[0.0]);
        // Errors −1 and 1 about returns 1 and 3: their variance is that of the returns.
        assert_close(&of([[2.0, 2.0, 0.0]]), &[0.0]);
        assert_close(&of([[3.0, 1.0, 0.0]]), &[-3.0]);
        let equal = explained_variance(matrix([[1.0, 2.0]]), matrix([[4.0, 4.0]]), matrix([[1.0, 1.0]]));
        assert_close(&numbers(equal), &[0.0]);
        // Three times 0.1 has the mean 0.10000000000000002, and a variance by that.
        let equal = explained_variance(matrix([[1.0, 2.0, 3.0]]), matrix([[0.1; 3]]), matrix([[1.0; 3]]));
        assert_close(&numbers(equal), &[0.0]);
    }
}
