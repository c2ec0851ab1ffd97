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

pub(crate) use decoding::ready_to_write;
pub use decoding::{Generated, generate, generate_in_batches, row_seed};
pub use engine::{
    End, Engine, EngineLimits, LogitChanges, Request, RequestId, Sampled, TokenLogprobs, Verdict, answer_all,
};
pub use kept::Kept;
pub use sampling::SamplingSettings;
