//! What training and serving a model costs, before one does either: arithmetic, without files or models.
//!
//! Operations are counted as in Kaplan et al. 2020 (C ≈ 6ND for training, 2N a token for inference): the products with the
//! weights, not attention over the context. Times come from them through utilisation, the share of a device's peak that a
//! program reaches. A device's figures are assumptions until one has measured one's own.

mod hardware;
mod memory;
mod pipeline;
mod serving;
#[cfg(test)]
mod tests;
mod training;

pub use hardware::{CUSTOM, Figure, Hardware};
pub use memory::{Precision, Use, bytes_per_parameter};
pub use pipeline::{Episodes, episode_flops, pretraining_mix_flops};
pub use serving::{Decoding, Demand, Fleet, Shape};
pub use training::{device_hours, inference_flops, petaflop_days, training_flops};
