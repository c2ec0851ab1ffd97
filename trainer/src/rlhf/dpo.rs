//! Direct preference optimisation: a policy from comparisons without a reward model.

use burn::tensor::{Tensor, activation::log_sigmoid};

/// The loss and the implicit rewards β·(log π − log π_ref) of both answers, `[pairs]` all; the rewards without gradient.
#[derive(Debug, Clone)]
pub struct DpoLoss {
    pub losses: Tensor<1>,
    pub chosen_rewards: Tensor<1>,
    pub rejected_rewards: Tensor<1>,
}

/// −log σ(β·[(log π_w − log π_l) − (log ref_w − log ref_l)]) of each pair (Rafailov et al. 2023, eq. 7).
///
/// `smoothing` ε: the label is taken to be wrong with that probability, −(1 − ε)·log σ(h) − ε·log σ(−h) (Mitchell 2023,
/// conservative DPO; TRL's `label_smoothing`). All `[pairs]`: log-probabilities of whole answers, summed over their tokens.
pub fn loss(
    chosen: Tensor<1>,
    rejected: Tensor<1>,
    reference_chosen: Tensor<1>,
    reference_rejected: Tensor<1>,
    beta: f64,
    smoothing: f64,
) -> DpoLoss {
    let chosen = (chosen - reference_chosen.detach()) * beta;
    let rejected = (rejected - reference_rejected.detach()) * beta;
    let margin = chosen.clone() - rejected.clone();
    let mut losses = -log_sigmoid(margin.clone());
    if smoothing > 0.0 {
        losses = losses * (1.0 - smoothing) - log_sigmoid(-margin) * smoothing;
    }
    DpoLoss { losses, chosen_rewards: chosen.detach(), rejected_rewards: rejected.detach() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlhf::testing::{assert_close, close, scalar, values, vector};

    #[test]
    fn a_policy_that_is_its_reference_costs_ln_2() {
        let [chosen, rejected] = [vector([-10.0, -3.0]), vector([-12.0, -2.0])];
        let found = loss(chosen.clone(), rejected.clone(), chosen, rejected, 0.1, 0.0);
        assert_close(&values(found.losses), &[2f64.ln(); 2]);
        assert_close(&values(found.chosen_rewards), &[0.0, 0.0]);
    }

    /// Reference values: TRL's formula, scripts/group_reference.py.
    #[test]
    fn values_and_gradients_are_those_of_the_formula() {
        let cases = [
            (0.0, 0.6903684482416703, [-0.053151554, -0.091595885]),
            (0.1, 0.6978684482416704, [-0.038151554, -0.076595885]),
        ];
        for (smoothing, expected, gradient) in cases {
            let [chosen, rejected] = [vector([-9.0, -7.5]).require_grad(), vector([-12.0, -4.0]).require_grad()];
            let (reference_chosen, reference_rejected) = (vector([-10.0, -7.0]), vector([-11.0, -5.0]));
            let found = loss(chosen.clone(), rejected.clone(), reference_chosen, reference_rejected, 0.3, smoothing);
            let mean = found.losses.mean();
            close(scalar(mean.clone()), expected);
            let gradients = mean.backward();
            assert_close(&values(chosen.grad(&gradients).unwrap()), &gradient);
            assert_close(&values(rejected.grad(&gradients).unwrap()), &gradient.map(|one| -one));
            assert_close(&values(found.chosen_rewards), &[0.3, -0.15]);
            assert_close(&values(found.rejected_rewards), &[-0.3, 0.3]);
        }
    }
}
