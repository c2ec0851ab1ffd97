//! What labels say of the people who gave them and of the models that they judge: one measure a file.

pub mod agreement;
pub mod bootstrap;
pub mod chi_square;
pub mod davidson;
pub mod dawid_skene;
pub mod kendall;
pub mod median;
pub mod position_bias;
pub mod proportion;
pub mod transitivity;
