//! Operations of PPO, as InstructGPT did it: what an episode takes, with the pretraining data that is mixed in.

use super::training::{inference_flops, training_flops};

/// Sizes and lengths of PPO's episodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Episodes {
    pub policy: f64,
    /// Parameters of the reward model and of the value model, each.
    pub reward: f64,
    pub episodes: f64,
    /// Tokens of prompt and answer.
    pub tokens: f64,
    /// Times that each episode is learned from.
    pub epochs: f64,
}

/// Operations of all episodes: the policy writes, reference, reward and value model read, policy and value model learn. With
/// four models of one size that is NT(8 + 12E).
pub fn episode_flops(of: Episodes) -> f64 {
    let tokens = of.episodes * of.tokens;
    let asked = inference_flops(2.0 * of.policy + 2.0 * of.reward, tokens);
    asked + training_flops(of.policy + of.reward, tokens * of.epochs)
}

/// Operations of the pretraining examples that are mixed in (PPO-ptx, Ouyang et al. 2022, section 3.5): `examples` an episode.
pub fn pretraining_mix_flops(of: Episodes, examples: f64) -> f64 {
    training_flops(of.policy, of.episodes * examples * of.tokens)
}
