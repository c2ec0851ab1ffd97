//! Scores of one query to probabilities, and the way back: over the keys that it sees, a range of what its row shares and one of
//! its own.

use std::ops::Range;

use crate::{
    math::{LANES, dot, exp, largest, total},
    wide,
};

/// The gaps that `seen` leaves in `values` become zero.
fn clear_unseen(values: &mut [f32], [shared, own]: &[Range<usize>; 2]) {
    values[shared.end..own.start].fill(0.0);
    values[own.end..].fill(0.0);
}

/// Scores to probabilities in place, zero outside `seen`; returns log Σ exp (0 where nothing is seen).
pub(crate) fn softmax(scores: &mut [f32], seen: &[Range<usize>; 2]) -> f32 {
    clear_unseen(scores, seen);
    if seen.iter().all(Range::is_empty) {
        return 0.0;
    }
    wide(
        #[inline(always)]
        || {
            // Loops, no iterator's closures: those would not have the wide vectors.
            let mut highest = f32::NEG_INFINITY;
            for seen in seen {
                let largest = largest(&scores[seen.clone()]);
                highest = if largest > highest { largest } else { highest };
            }
            let mut sum = 0.0;
            for seen in seen {
                sum += exponentials(&mut scores[seen.clone()], highest);
            }
            let inverse = 1.0 / sum;
            for seen in seen {
                for score in &mut scores[seen.clone()] {
                    *score *= inverse;
                }
            }
            sum.ln() + highest
        },
    )
}

/// Each score s becomes exp(s − highest); returns their sum.
#[inline(always)]
fn exponentials(scores: &mut [f32], highest: f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (chunks, rest) = scores.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            chunk[lane] = exp(chunk[lane] - highest);
            lanes[lane] += chunk[lane];
        }
    }
    let mut sum = total(lanes);
    for score in rest {
        *score = exp(*score - highest);
        sum += *score;
    }
    sum
}

/// Scores of one query become its probabilities P, and dP (in `ds`) becomes dS = P · (dP − Σ dO·O); both zero outside
/// `seen`.
pub(crate) fn probabilities_backward(
    p: &mut [f32],
    ds: &mut [f32],
    seen: &[Range<usize>; 2],
    normaliser: f32,
    out: &[f32],
    gradient: &[f32],
) {
    clear_unseen(p, seen);
    clear_unseen(ds, seen);
    wide(
        #[inline(always)]
        || {
            let along = dot(out, gradient);
            for seen in seen {
                for (p, ds) in p[seen.clone()].iter_mut().zip(&mut ds[seen.clone()]) {
                    *p = exp(*p - normaliser);
                    *ds = *p * (*ds - along);
                }
            }
        },
    );
}

/// As [`probabilities_backward`] by the same sum over keys, Σ P·dP: where products are of rounded numbers, Σ dO·O would not be that
/// sum, and what is left of two numbers that are nearly the same would be the rounding.
#[cfg(target_arch = "x86_64")]
pub(crate) fn probabilities_backward_by_keys(p: &mut [f32], ds: &mut [f32], seen: &[Range<usize>; 2], normaliser: f32) {
    clear_unseen(p, seen);
    clear_unseen(ds, seen);
    wide(
        #[inline(always)]
        || {
            let mut along = 0.0;
            for seen in seen {
                let (p, ds) = (&mut p[seen.clone()], &ds[seen.clone()]);
                for p in &mut *p {
                    *p = exp(*p - normaliser);
                }
                along += dot(p, ds);
            }
            for seen in seen {
                for (p, ds) in p[seen.clone()].iter().zip(&mut ds[seen.clone()]) {
                    *ds = *p * (*ds - along);
                }
            }
        },
    );
}
