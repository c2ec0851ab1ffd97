//! The gate of a feed-forward block: silu(gate) · up (Shazeer 2020), forwards and backwards.

use rayon::prelude::*;

use crate::{math::sigmoid, wide};

/// Numbers of one task.
const CHUNK: usize = 1 << 14;

/// `silu(gate) · up`, element by element.
pub fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    assert_eq!((gate.len(), up.len()), (out.len(), out.len()));
    let tasks = out.par_chunks_mut(CHUNK).zip(gate.par_chunks(CHUNK)).zip(up.par_chunks(CHUNK));
    tasks.for_each(|((out, gate), up)| {
        wide(
            #[inline(always)]
            || {
                for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
                    *out = gate * sigmoid(gate) * up;
                }
            },
        );
    });
}

/// The gradients of [`swiglu`]: that for `gate` is written over `gate`, that for `up` over `gradient`, which comes as that
/// of the result.
pub fn swiglu_backward(gate: &mut [f32], up: &[f32], gradient: &mut [f32]) {
    assert_eq!((gate.len(), up.len()), (gradient.len(), gradient.len()));
    let tasks = gradient.par_chunks_mut(CHUNK).zip(gate.par_chunks_mut(CHUNK)).zip(up.par_chunks(CHUNK));
    tasks.for_each(|((gradient, gate), up)| {
        wide(
            #[inline(always)]
            || {
                for ((gradient, gate), &up) in gradient.iter_mut().zip(gate).zip(up) {
                    let (x, s) = (*gate, sigmoid(*gate));
                    *gate = *gradient * up * s * (1.0 + x * (1.0 - s));
                    *gradient *= x * s;
                }
            },
        );
    });
}

/// `a += b`, element by element.
pub fn add(a: &mut [f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    a.par_chunks_mut(CHUNK).zip(b.par_chunks(CHUNK)).for_each(|(a, b)| {
        wide(
            #[inline(always)]
            || a.iter_mut().zip(b).for_each(|(a, b)| *a += b),
        );
    });
}
