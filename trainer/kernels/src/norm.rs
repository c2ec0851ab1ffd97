//! RMS norm (Zhang and Sennrich 2019), forwards and backwards.

use rayon::prelude::*;

use crate::{
    math::{dot, sum2},
    wide,
};

/// Rows of one task.
const ROWS: usize = 32;

/// `y = x / rms(x) · weight` for every row of `x` `[rows, size]`, rms(x) = √(mean(x²) + ε). Writes y, and 1 / rms(x) of
/// each row into `inverse` `[rows]`.
pub fn rms(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32], inverse: &mut [f32]) {
    let size = weight.len();
    assert_eq!((x.len(), y.len()), (inverse.len() * size, x.len()));
    let tasks = y.par_chunks_mut(ROWS * size).zip(x.par_chunks(ROWS * size)).zip(inverse.par_chunks_mut(ROWS));
    tasks.for_each(|((y, x), inverse)| {
        wide(
            #[inline(always)]
            || {
                for ((y, x), inverse) in y.chunks_exact_mut(size).zip(x.chunks_exact(size)).zip(inverse) {
                    *inverse = 1.0 / (dot(x, x) / size as f32 + epsilon).sqrt();
                    for ((y, &x), &weight) in y.iter_mut().zip(x).zip(weight) {
                        *y = x * *inverse * weight;
                    }
                }
            },
        );
    });
}

/// The gradients of [`rms`]: for `x`, written over `gradient` `[rows, size]`, which is that of y; and for the weight,
/// `[size]`.
///
/// With g = dy · weight and r = 1 / rms: dx = r·g − x·r³·mean(g·x); dweight = Σ dy·x·r over the rows.
pub fn rms_backward(x: &[f32], weight: &[f32], inverse: &[f32], gradient: &mut [f32]) -> Vec<f32> {
    let size = weight.len();
    assert_eq!((x.len(), gradient.len()), (inverse.len() * size, x.len()));
    let tasks = gradient.par_chunks_mut(ROWS * size).zip(x.par_chunks(ROWS * size)).zip(inverse.par_chunks(ROWS));
    let parts: Vec<Vec<f32>> = tasks
        .map(|((gradient, x), inverse)| {
            let mut of_weight = vec![0.0f32; size];
            wide(
                #[inline(always)]
                || {
                    let rows = gradient.chunks_exact_mut(size).zip(x.chunks_exact(size)).zip(inverse);
                    for ((gradient, x), &inverse) in rows {
                        row_backward(gradient, x, weight, inverse, &mut of_weight);
                    }
                },
            );
            of_weight
        })
        .collect();
    add_up(parts, size)
}

#[inline(always)]
fn row_backward(gradient: &mut [f32], x: &[f32], weight: &[f32], inverse: f32, of_weight: &mut [f32]) {
    let size = weight.len();
    let (gradient, x, of_weight) = (&mut gradient[..size], &x[..size], &mut of_weight[..size]);
    for column in 0..size {
        of_weight[column] = (gradient[column] * inverse).mul_add(x[column], of_weight[column]);
        gradient[column] *= weight[column];
    }
    let along = sum2(gradient, x, |g, x| g * x) / size as f32 * inverse * inverse * inverse;
    for column in 0..size {
        gradient[column] = gradient[column] * inverse - x[column] * along;
    }
}

/// Sums of the tasks, in their order.
fn add_up(parts: Vec<Vec<f32>>, size: usize) -> Vec<f32> {
    let mut sum = vec![0.0f32; size];
    for part in parts {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    sum
}

/// Σ over the rows of `x` `[rows, size]`: the gradient of a bias.
pub fn column_sums(x: &[f32], size: usize) -> Vec<f32> {
    let parts = x.par_chunks(ROWS * 4 * size).map(|x| {
        let mut sums = vec![0.0f32; size];
        wide(
            #[inline(always)]
            || {
                for row in x.chunks_exact(size) {
                    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                }
            },
        );
        sums
    });
    add_up(parts.collect(), size)
}
