//! Models: one set of blocks for GPT-2, Llama and Qwen2, their heads and adapters, and their files.
//!
//! This room knows tensors and, in [`hf`] and [`gguf`], files. It knows no text, no loss and no optimiser.

mod attention;
mod blocks;
mod cache;
mod config;
mod decoder;
mod ensemble;
mod error;
pub mod gguf;
mod heads;
pub mod hf;
mod layout;
mod linear;
pub mod lora;
mod precision;
mod presets;
pub mod recompute;
mod rope;
#[cfg(test)]
mod tests;
mod weights;

pub use attention::Attention;
pub use blocks::{Block, FeedForward, InputObserver, LinearInput, Norm};
pub use cache::KvCache;
pub use config::{Activation, Architecture, DecoderConfig};
pub use decoder::Decoder;
pub use ensemble::{Members, RewardEnsemble};
pub use error::ModelError;
pub use heads::{RewardModel, ScalarHead};
pub use hf::ModelDirectory;
pub use layout::{Branches, Layout};
pub use linear::Linear;
pub use precision::{Precision, UnsupportedPrecision};
pub use presets::PRESETS;
pub use rope::{Rope, RopeScaling};
pub use weights::NamedTensor;
