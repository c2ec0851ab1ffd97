//! Advantages from several answers to one prompt, without a value model.

use burn::tensor::Tensor;

/// r_i − the mean of the other answers' rewards: RLOO (Ahmadian et al. 2024, section 3.3).
///
/// `rewards`: `[prompts, answers]`, at least two answers, the price of divergence already taken off. Without gradient.
pub fn rloo_advantages(rewards: Tensor<2>) -> Tensor<2> {
    let answers = rewards.dims()[1] as f64;
    let rewards = rewards.detach();
    // r − (Σ − r)/(k − 1) = (r − mean)·k/(k − 1)
    (rewards.clone() - rewards.mean_dim(1)) * (answers / (answers - 1.0).max(1.0))
}

/// (r_i − mean)/(deviation + 1e-4) within each prompt: GRPO (Shao et al. 2024, section 4.1.2), with the unbiased deviation
/// and the small number of TRL.
///
/// `rewards`: `[prompts, answers]`. Answers that are all equal get zero. Without gradient.
pub fn grpo_advantages(rewards: Tensor<2>) -> Tensor<2> {
    let answers = rewards.dims()[1] as f64;
    let rewards = rewards.detach();
    let centred = rewards.clone() - rewards.mean_dim(1);
    let variance = centred.clone().square().sum_dim(1) / (answers - 1.0).max(1.0);
    centred / (variance.sqrt() + 1e-4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rlhf::testing::{assert_close, matrix, values};

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
}
