//! The trainer's inner loops over plain slices of `f32`: what a training step and a token of an answer spend their time in.
//!
//! This room knows numbers only: no tensor library, no model, no file. Every function is safe, checks its lengths, uses
//! the widest vectors that the processor has (AVX-512, AVX2, NEON; our own products of float32 stay at AVX2, which Zen 4 runs as fast), and all
//! cores where the work is worth it. How work is cut never changes the order in which numbers are added: the same numbers give the same bits whatever the threads do.

pub mod activation;
pub mod adam;
pub mod attention;
pub mod awake;
pub mod bfloat16;
#[cfg(target_arch = "x86_64")]
mod blocked;
#[cfg(target_arch = "x86_64")]
mod copied;
mod copy;
pub mod few_rows;
pub mod likelihood;
#[cfg(target_arch = "x86_64")]
mod many_queries;
pub mod math;
pub mod matrix;
pub mod norm;
pub mod nucleus;
pub mod number;
mod one_query;
pub mod packed;
mod query_tile;
pub mod rotary;
mod share;
mod softmax;
#[cfg(target_arch = "x86_64")]
mod tile;

/// Runs `work` compiled for the widest vectors of this processor. Everything that `work` calls must be `inline(always)` or
/// small enough to be inlined: only what is compiled into it has those vectors.
#[inline(always)]
pub(crate) fn wide<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;

        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn avx512<R>(work: impl FnOnce() -> R) -> R {
            work()
        }

        #[target_feature(enable = "avx2,fma")]
        fn avx2<R>(work: impl FnOnce() -> R) -> R {
            work()
        }

        if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") && has!("fma") {
            // SAFETY: the processor has these instructions, as just asked.
            return unsafe { avx512(work) };
        }
        if has!("avx2") && has!("fma") {
            // SAFETY: as above.
            return unsafe { avx2(work) };
        }
    }
    work()
}
