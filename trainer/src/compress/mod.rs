//! Compression: single linear layers as plain matrices in double precision, and whole models block after block.
//!
//! A weight is `[out, in]`, inputs are `[samples, in]`, both row by row. This room knows no file and no text.

mod channels;
mod cholesky;
mod error;
mod int8;
mod matrix;
mod model;
mod prune;
mod sparsegpt;
mod statistics;

pub use channels::{refit, strongest_inputs};
pub use error::CompressError;
pub use int8::Int8;
pub use matrix::Matrix;
pub use model::{LayerReport, Method, compress_decoder, mean_nll};
pub use prune::{magnitude, wanda};
pub use sparsegpt::{SparseGptSettings, sparsegpt};
pub use statistics::InputStatistics;
