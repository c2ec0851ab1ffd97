//! Divergence from the reference: its estimators, and the control of its price.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// log π − log π_ref of tokens drawn from π: unbiased, and negative at times (Schulman, "Approximating KL divergence", k1).
pub fn k1(logprobs: Tensor<2>, reference_logprobs: Tensor<2>) -> Tensor<2> {
    logprobs - reference_logprobs
}

/// ½(log π − log π_ref)²: biased, never negative (k2).
pub fn k2(logprobs: Tensor<2>, reference_logprobs: Tensor<2>) -> Tensor<2> {
    k1(logprobs, reference_logprobs).square() * 0.5
}

/// e^(−d) − 1 + d with d = log π − log π_ref: unbiased and never negative (k3).
pub fn k3(logprobs: Tensor<2>, reference_logprobs: Tensor<2>) -> Tensor<2> {
    let difference = k1(logprobs, reference_logprobs);
    (-difference.clone()).exp() - 1 + difference
}

/// The price β of one nat of divergence, as it stands now. Kept in checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KlController {
    Fixed {
        coefficient: f64,
    },
    /// Moves β so that the divergence of an answer comes to `target` (Ziegler et al. 2019, section 2.2).
    Adaptive {
        coefficient: f64,
        /// Nats an answer.
        target: f64,
        /// Episodes in which β can at most move by a fifth of itself. OpenAI's 10,000 is meant for a million episodes: at
        /// 64 episodes a step β then moves by no more than 0.128 %.
        horizon: f64,
    },
}

impl KlController {
    /// β of now.
    pub fn coefficient(&self) -> f64 {
        match self {
            Self::Fixed { coefficient } | Self::Adaptive { coefficient, .. } => *coefficient,
        }
    }

    /// The same control of a price that stands at `now`.
    pub fn at(self, now: f64) -> Self {
        match self {
            Self::Fixed { .. } => Self::Fixed { coefficient: now },
            Self::Adaptive { target, horizon, .. } => Self::Adaptive { coefficient: now, target, horizon },
        }
    }

    /// Tells the controller the mean divergence `kl` (nats an answer, summed over its tokens) of `episodes` answers:
    /// β ← β·(1 + clip(kl/target − 1, ±0.2)·episodes/horizon). What is not a number is not heeded.
    pub fn observe(&mut self, kl: f64, episodes: usize) {
        if let Self::Adaptive { coefficient, target, horizon } = self {
            let error = (kl / *target - 1.0).clamp(-0.2, 0.2);
            let factor = 1.0 + error * episodes as f64 / *horizon;
            if factor.is_finite() {
                // More episodes than five horizons in one step would otherwise turn the price into a reward.
                *coefficient *= factor.max(0.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlhf::testing::{assert_close, close, matrix, values};

    #[test]
    fn nothing_diverges_from_itself() {
        let logprobs = matrix([[-1.0, -2.0]]);
        for estimator in [k1, k2, k3] {
            assert_close(&values(estimator(logprobs.clone(), logprobs.clone())), &[0.0, 0.0]);
        }
    }

    #[test]
    fn estimators_agree_on_a_known_divergence() {
        // π = (½, ½), π_ref = (¼, ¾): the expectation under π is ½·ln(½/¼) + ½·ln(½/¾).
        let (policy, reference) = ([0.5f64.ln(), 0.5f64.ln()], [0.25f64.ln(), 0.75f64.ln()]);
        let expected = 0.5 * (2f64).ln() + 0.5 * (2.0 / 3.0f64).ln();
        for estimator in [k1, k3] {
            let found = values(estimator(matrix([policy]), matrix([reference])));
            close((found[0] + found[1]) / 2.0, expected);
        }
    }

    #[test]
    fn a_fixed_price_stays() {
        let mut kl = KlController::Fixed { coefficient: 0.05 };
        kl.observe(100.0, 512);
        close(kl.coefficient(), 0.05);
    }

    #[test]
    fn an_adaptive_price_rises_above_the_target_and_falls_below_it() {
        let start = KlController::Adaptive { coefficient: 0.2, target: 6.0, horizon: 1000.0 };
        let after = |kl: f64| {
            let mut controller = start;
            controller.observe(kl, 100);
            controller.coefficient()
        };
        close(after(6.0), 0.2);
        close(after(6.6), 0.2 * 1.01);
        close(after(600.0), 0.2 * 1.02);
        close(after(-3.0), 0.2 * 0.98);
        close(after(f64::NAN), 0.2);
    }
}
