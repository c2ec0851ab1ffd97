//! Log-probabilities of tokens over a vocabulary, and the likeliest token.

use rayon::prelude::*;

use crate::{
    math::{LANES, exp, largest, sum2, total},
    nucleus, wide,
};

/// Rows of one task.
const ROWS: usize = 8;

/// log p(target) of every row of `logits` `[rows, vocabulary]`. Writes also log Σ exp of each row into `normaliser`.
pub fn log_probs(logits: &[f32], targets: &[u32], out: &mut [f32], normaliser: &mut [f32]) {
    let rows = targets.len();
    assert_eq!((out.len(), normaliser.len()), (rows, rows));
    if rows == 0 {
        return;
    }
    let vocabulary = logits.len() / rows;
    let tasks = logits.par_chunks(ROWS * vocabulary).zip(targets.par_chunks(ROWS));
    tasks.zip(out.par_chunks_mut(ROWS).zip(normaliser.par_chunks_mut(ROWS))).for_each(
        |((logits, targets), (out, normaliser))| {
            for (row, logits) in logits.chunks_exact(vocabulary).enumerate() {
                normaliser[row] = log_sum_exp(logits);
                out[row] = logits[targets[row] as usize] - normaliser[row];
            }
        },
    );
}

/// log Σ exp, with the largest taken out so that nothing overflows.
pub fn log_sum_exp(logits: &[f32]) -> f32 {
    wide(
        #[inline(always)]
        || {
            let highest = largest(logits);
            // A row of −∞, or with NaN, has no finite largest: what comes out is NaN, as from the definition.
            sum_exp(logits, highest).ln() + highest
        },
    )
}

#[inline(always)]
fn sum_exp(logits: &[f32], highest: f32) -> f32 {
    let (chunks, rest) = logits.as_chunks::<LANES>();
    // Partial sums of 64 chunks each keep a vocabulary of 100,000 as exact as one of 1,000.
    let mut sum = 0.0f64;
    for block in chunks.chunks(64) {
        let mut lanes = [0.0f32; LANES];
        for chunk in block {
            for lane in 0..LANES {
                lanes[lane] += exp(chunk[lane] - highest);
            }
        }
        sum += f64::from(total(lanes));
    }
    let rest: f32 = rest.iter().map(|&logit| exp(logit - highest)).sum();
    (sum + f64::from(rest)) as f32
}

/// −Σ p·log p of every row of `logits` `[rows, vocabulary]`, in nats. A token that cannot be drawn (logit −∞) adds nothing.
pub fn entropies(logits: &[f32], out: &mut [f32]) {
    if out.is_empty() {
        return;
    }
    let vocabulary = logits.len() / out.len();
    logits.par_chunks(ROWS * vocabulary).zip(out.par_chunks_mut(ROWS)).for_each(|(logits, out)| {
        for (out, logits) in out.iter_mut().zip(logits.chunks_exact(vocabulary)) {
            let normaliser = log_sum_exp(logits);
            // Below −100 the probability is 0 and the logarithm must only be finite.
            let log_prob = |logit: f32| if logit - normaliser < -100.0 { -100.0 } else { logit - normaliser };
            *out = -wide(
                #[inline(always)]
                || sum2(logits, logits, |logit, _| exp(log_prob(logit)) * log_prob(logit)),
            );
        }
    });
}

/// The gradient of [`log_probs`] for the logits, written over them: gradient · (1 at the target − p).
pub fn log_probs_backward(logits: &mut [f32], targets: &[u32], normaliser: &[f32], gradient: &[f32]) {
    let rows = targets.len();
    assert_eq!((gradient.len(), normaliser.len()), (rows, rows));
    if rows == 0 {
        return;
    }
    let vocabulary = logits.len() / rows;
    logits.par_chunks_mut(ROWS * vocabulary).enumerate().for_each(|(task, logits)| {
        for (row, logits) in logits.chunks_exact_mut(vocabulary).enumerate() {
            let row = task * ROWS + row;
            let (gradient, normaliser) = (gradient[row], normaliser[row]);
            if gradient == 0.0 {
                logits.fill(0.0);
                continue;
            }
            wide(
                #[inline(always)]
                || logits.iter_mut().for_each(|logit| *logit = -gradient * exp(*logit - normaliser)),
            );
            logits[targets[row] as usize] += gradient;
        }
    });
}

/// The first of the largest.
pub fn likeliest(logits: &[f32]) -> usize {
    let highest = wide(
        #[inline(always)]
        || largest(logits),
    );
    logits.iter().position(|&logit| logit == highest).unwrap_or(0)
}

/// Writes e^((logit − the largest) · scale) of every logit, and returns the sum.
pub fn exponentials(logits: &[f32], scale: f32, out: &mut [f32]) -> f64 {
    assert_eq!(logits.len(), out.len());
    wide(
        #[inline(always)]
        || {
            let highest = largest(logits);
            out.iter_mut().zip(logits).for_each(|(out, &logit)| *out = exp((logit - highest) * scale));
        },
    );
    nucleus::sum(out)
}
