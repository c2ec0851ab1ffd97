//! AdamW (Loshchilov and Hutter 2019) in one pass over the memory, and the norm of a gradient.

use rayon::prelude::*;

use crate::{math::LANES, wide};

/// Numbers of one task.
const CHUNK: usize = 1 << 16;

/// One step's constants.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub rate: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
    pub weight_decay: f32,
    /// What the gradient is multiplied by first: the mean over the batch and clipping.
    pub scale: f32,
    /// Steps so far, this one included.
    pub time: i32,
}

/// Changes weights and both moments in place:
/// m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², w ← w(1 − ηλ) − η·m̂ / (√v̂ + ε).
pub fn step(settings: &Step, weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
    let count = weights.len();
    assert_eq!((gradient.len(), first.len(), second.len()), (count, count, count));
    let Step { rate, beta1, beta2, epsilon, weight_decay, scale, time } = *settings;
    let correction1 = 1.0 / (1.0 - f64::from(beta1).powi(time));
    let correction2 = 1.0 / (1.0 - f64::from(beta2).powi(time));
    let (size, root) = ((f64::from(rate) * correction1) as f32, (correction2.sqrt()) as f32);
    let (keep, rest1, rest2) = (1.0 - rate * weight_decay, 1.0 - beta1, 1.0 - beta2);
    let tasks = weights.par_chunks_mut(CHUNK).zip(gradient.par_chunks(CHUNK));
    tasks.zip(first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK))).for_each(
        |((weights, gradient), (first, second))| {
            wide(
                #[inline(always)]
                || {
                    let moments = first.iter_mut().zip(second);
                    for ((weight, &gradient), (first, second)) in weights.iter_mut().zip(gradient).zip(moments) {
                        let gradient = gradient * scale;
                        *first = beta1 * *first + rest1 * gradient;
                        *second = beta2 * *second + rest2 * gradient * gradient;
                        *weight = *weight * keep - size * *first / (second.sqrt() * root + epsilon);
                    }
                },
            );
        },
    );
}

/// Σ x²
pub fn sum_of_squares(x: &[f32]) -> f64 {
    let parts: Vec<f64> = x
        .par_chunks(CHUNK)
        .map(|x| {
            wide(
                #[inline(always)]
                || {
                    let mut sum = 0.0f64;
                    for block in x.chunks(64 * LANES) {
                        sum += f64::from(crate::math::dot(block, block));
                    }
                    sum
                },
            )
        })
        .collect();
    parts.iter().sum()
}
