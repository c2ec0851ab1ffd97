//! Measuring: how likely people's answers are, how well a reward model agrees with people, which policy it prefers, how far
//! a policy has moved. On records that nothing was trained on, where they are called held-out.
//!
//! This room knows models, tokens and records. It knows no file and no server.

mod answers;
mod calibration;
mod divergence;
mod likelihood;
mod positions;
mod report;
mod rewards;
mod statistics;
#[cfg(test)]
mod tests;
mod uncertainty;
mod win_rate;

pub use answers::{Answer, Answering, Answers, sample_answers};
pub use calibration::{Bin, Calibration, Confidence};
pub use divergence::{Divergence, divergences, mean_kl};
pub use likelihood::{Nll, nll};
pub use report::{LengthBias, OfAnnotator, People, RewardReport, Share, margin_of};
pub use rewards::{
    Agreement, Judged, Verdict, examples, found_of, reward_accuracy, rewards, rewards_of_answers, rewards_of_tokens,
    verdicts, verdicts_of,
};
pub use statistics::Mean;
pub use uncertainty::{entropy_of_preferences, uncertainty_of_order};
pub use win_rate::WinRate;

use burn::tensor::Tensor;

/// The values of a tensor in double precision.
fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data_as::<f64>().try_to_vec().expect("the data was just converted to f64")
}
