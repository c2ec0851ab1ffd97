//! Direct preference optimisation: a policy from comparisons without a reward model.

use burn::tensor::{Tensor, activation::log_sigmoid};

/// The loss, `[1]`, and the implicit rewards β·(log π − log π_ref) of both answers, `[pairs]`, without gradient.
#[derive(Debug, Clone)]
pub struct DpoLoss {
    pub loss: Tensor<1>,
    pub chosen_rewards: Tensor<1>,
    pub rejected_rewards: Tensor<1>,
}

/// −log σ(β·[(log π_w − log π_l) − (log ref_w − log ref_l)]), mean over pairs (Rafailov et al. 2023, eq. 7).
///
/// All `[pairs]`: log-probabilities of whole answers, summed over their tokens.
pub fn loss(
    chosen: Tensor<1>,
    rejected: Tensor<1>,
    reference_chosen: Tensor<1>,
    reference_rejected: Tensor<1>,
    beta: f64,
) -> DpoLoss {
    let chosen = (chosen - reference_chosen.detach()) * beta;
    let rejected = (rejected - reference_rejected.detach()) * beta;
    DpoLoss {
        loss: -log_sigmoid(chosen.clone() - rejected.clone()).mean(),
        chosen_rewards: chosen.detach(),
        rejected_rewards: rejected.detach(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlhf::testing::{assert_close, close, scalar, values, vector};

    #[test]
    fn a_policy_that_is_its_reference_costs_ln_2() {
        let [chosen, rejected] = [vector([-10.0, -3.0]), vector([-12.0, -2.0])];
        let found = loss(chosen.clone(), rejected.clone(), chosen, rejected, 0.1);
        close(scalar(found.loss), 2f64.ln());
        assert_close(&values(found.chosen_rewards), &[0.0, 0.0]);
    }

    #[test]
    fn the_gradient_pulls_the_two_apart() {
        let [chosen, rejected] = [vector([-9.0]).require_grad(), vector([-12.0]).require_grad()];
        let found = loss(chosen.clone(), rejected.clone(), vector([-10.0]), vector([-12.0]), 0.1);
        let expected = -0.1 * (1.0 - 1.0 / (1.0 + (-0.1f64).exp()));
        let gradients = found.loss.backward();
        assert_close(&values(chosen.grad(&gradients).unwrap()), &[expected]);
        assert_close(&values(rejected.grad(&gradients).unwrap()), &[-expected]);
        assert_close(&values(found.chosen_rewards), &[0.1]);
    }
}
