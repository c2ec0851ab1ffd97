//! The mathematics of learning from preferences: plain tensors in, plain tensors out.
//!
//! This room knows no model, no file, no text and no optimiser. Every function works in single and in double precision, on
//! tensors with and without gradients, and keeps the type of what it is given. Masks are floats, 1 on real tokens and 0
//! elsewhere; whatever stands under a 0 (even infinity) has no part in a result or a gradient.

pub mod advantages;
pub mod best_of_n;
pub mod dpo;
pub mod group;
pub mod kl;
pub mod logprobs;
pub mod masked;
pub mod ppo;
pub mod ratings;
pub mod reward;
pub mod sft;
#[cfg(test)]
mod testing;
