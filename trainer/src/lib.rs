//! Laurel's trainer: turns what people wrote and ranked into a better model.
//!
//! Arrow: [`cli`] → [`night`], [`serve`] → [`train`], [`evaluate`] → [`rlhf`], [`data`], [`generate`] → [`model`] → `fused`.

pub mod cli;
pub mod compress;
pub mod cost;
pub mod data;
pub mod evaluate;
mod fused;
pub mod generate;
pub mod model;
pub mod night;
pub mod profile;
pub mod rlhf;
pub mod serve;
mod terminal;
pub mod train;
mod transfer;
