//! Rotary position embedding (Su et al. 2021) over `[tokens, heads, size]`.

use rayon::prelude::*;

use crate::wide;

/// Tokens of one task.
const TOKENS: usize = 32;

/// Cosines and sines of the angles, `[tokens or fewer, size / 2]` each; a table of fewer rows repeats.
#[derive(Debug, Clone, Copy)]
pub struct Angles<'a> {
    pub cos: &'a [f32],
    pub sin: &'a [f32],
}

/// Turns each pair (i, i + size/2) of every head of `x` by its angle and multiplies by `scale`, in place. `back` turns the
/// other way, which is the gradient.
pub fn rotate(x: &mut [f32], angles: Angles, heads: usize, size: usize, scale: f32, back: bool) {
    let (half, row) = (size / 2, heads * size);
    assert_eq!(angles.cos.len(), angles.sin.len());
    assert!(x.len().is_multiple_of(row) && !angles.cos.is_empty() && angles.cos.len().is_multiple_of(half));
    let rows = angles.cos.len() / half;
    x.par_chunks_mut(TOKENS * row).enumerate().for_each(|(task, x)| {
        wide(
            #[inline(always)]
            || {
                for (token, x) in x.chunks_exact_mut(row).enumerate() {
                    let at = (task * TOKENS + token) % rows * half;
                    let (cos, sin) = (&angles.cos[at..at + half], &angles.sin[at..at + half]);
                    for head in x.chunks_exact_mut(size) {
                        let (first, second) = head.split_at_mut(half);
                        turn(first, second, cos, sin, scale, back);
                    }
                }
            },
        );
    });
}

#[inline(always)]
fn turn(first: &mut [f32], second: &mut [f32], cos: &[f32], sin: &[f32], scale: f32, back: bool) {
    let sign = if back { -scale } else { scale };
    for (((first, second), &cos), &sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
        let (a, b, cos, sin) = (*first, *second, cos * scale, sin * sign);
        *first = a * cos - b * sin;
        *second = b * cos + a * sin;
    }
}

/// Multiplies by `scale`, in place: [`rotate`] without angles.
pub fn scale(x: &mut [f32], scale: f32) {
    x.par_chunks_mut(1 << 14).for_each(|x| x.iter_mut().for_each(|x| *x *= scale));
}
