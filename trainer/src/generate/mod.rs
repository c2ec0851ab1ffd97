//! Answers from a language model: batched decoding over the KV cache.
//!
//! This room knows token ids only: no text, no files. What a row gets depends on its prompt and its seed, not on the
//! rows beside it.

mod decoding;
mod engine;
mod kept;
mod sampling;
#[cfg(test)]
mod tests;

use burn::tensor::Device;
use laurel_kernels::awake::keep_awake;

pub(crate) use decoding::ready_to_write;
pub use decoding::{Generated, generate, generate_in_batches, row_seed};
pub use engine::{
    End, Engine, EngineLimits, LogitChanges, Request, RequestId, Sampled, TokenLogprobs, Verdict, answer_all,
};
pub use kept::Kept;
pub use sampling::SamplingSettings;

/// What is said where a token's log-probability is NaN: the token means nothing.
pub(crate) const NO_LAW: &str = "the model's logits are no finite numbers, so its answers mean nothing: its weights \
     are damaged, or the number format (precision) has no room for what it computes";

/// Runs `work`, and keeps the workers awake where they are what computes: a step of decoding is many small pieces.
fn awake_on_the_cpu<T>(device: &Device, work: impl FnOnce() -> T) -> T {
    if *device == Device::flex() { keep_awake(work) } else { work() }
}
