//! The trainer's inner loops over plain slices of `f32`: what a training step and a token of an answer spend their time in.
//!
//! This room knows numbers only: no tensor library, no model, no file. Every function is safe, checks its lengths, uses
//! the widest vectors that the processor has (AVX-512, AVX2, NEON), and both cores where the work is worth it. Work is
//! cut by the size of the data, never by the number of threads, and partial sums are added in a fixed order: the same
//! numbers give the same bits whatever the threads do.

pub mod activation;
pub mod adam;
pub mod attention;
pub mod likelihood;
pub mod math;
pub mod matrix;
pub mod norm;
pub mod rotary;
mod share;

/// Runs `work` compiled for the widest vectors of this processor. Everything that `work` calls must be `inline(always)`.
#[inline(always)]
pub(crate) fn wide<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
