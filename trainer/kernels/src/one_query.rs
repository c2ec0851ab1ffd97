//! Attention of one query over the keys and values before it, as a step of decoding has it for every row and head: a general
//! product costs more in setting up than such a small one takes.

#[cfg(target_arch = "x86_64")]
mod avx2;

#[cfg(target_arch = "x86_64")]
use crate::tile;
use crate::{
    few_rows::prefetch_early,
    math::{LANES, total},
    number::Number,
    wide,
};

/// Numbers of a value that are summed in registers.
const BLOCK: usize = 4 * LANES;

/// How many bytes of keys and values are asked for before they are needed: the processor itself looks ahead within a page only,
/// which is no more than 16 keys of 64 numbers of float32, and waits at the beginning of each. A step over 32 answers with 128 tokens
/// before them takes 11 ms without asking, 5 to 6 with 4 KiB into the first cache, 4 to 4.8 so.
const AHEAD: usize = 16384;
/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Keys or values of one head: a row every `step` numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rows<'a, N> {
    pub values: &'a [N],
    pub step: usize,
    /// What is read after them, in the same steps: the values after the keys, and the next head's keys after the values. A cache has
    /// room for more tokens than there are, which nobody reads.
    pub then: &'a [N],
}

impl<N: Number> Rows<'_, N> {
    /// Asks for the row of `size` numbers that is read some rows after that at `at`, of `count`.
    #[inline(always)]
    fn ask(&self, at: usize, count: usize, size: usize) {
        // No farther than what is read next: it is asked for as far as these rows reach.
        let row = at + (AHEAD / size_of::<N>()).div_ceil(self.step.max(1)).min(count);
        let (values, row) = if row < count { (self.values, row) } else { (self.then, row - count) };
        let from = row * self.step;
        for line in values.get(from..from + size).unwrap_or_default().chunks(LINE / size_of::<N>()) {
            prefetch_early(line, 0);
        }
    }
}

/// The products of `q` with as many keys as `scores` has places.
pub(crate) fn scores<N: Number>(q: &[f32], keys: Rows<N>, scores: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if tile::has_avx2() {
        // SAFETY: the processor has these operations, as just asked.
        return unsafe { avx2::scores(q, keys, scores) };
    }
    scores_plainly(q, keys, scores);
}

fn scores_plainly<N: Number>(q: &[f32], keys: Rows<N>, scores: &mut [f32]) {
    wide(
        #[inline(always)]
        || {
            let count = scores.len();
            for (at, score) in scores.iter_mut().enumerate() {
                keys.ask(at, count, q.len());
                *score = product(q, &keys.values[at * keys.step..][..q.len()]);
            }
        },
    );
}

/// Σ aᵢ·bᵢ; one chain of sums is enough where many products are on their way at once.
#[inline(always)]
fn product<N: Number>(a: &[f32], b: &[N]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let ((a_wide, a_rest), (b_wide, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a_wide.iter().zip(b_wide) {
        for lane in 0..LANES {
            lanes[lane] = a[lane].mul_add(b[lane].float32(), lanes[lane]);
        }
    }
    let mut sum = total(lanes);
    for (a, b) in a_rest.iter().zip(b_rest) {
        sum = a.mul_add(b.float32(), sum);
    }
    sum
}

/// Σ pᵢ·vᵢ over as many values as there are `p`, into `out` or added to it.
pub(crate) fn mixture<N: Number>(p: &[f32], values: Rows<N>, add: bool, out: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    if tile::has_avx2() {
        // SAFETY: the processor has these operations, as just asked.
        return unsafe { avx2::mixture(p, values, add, out) };
    }
    mixture_plainly(p, values, add, out);
}

fn mixture_plainly<N: Number>(p: &[f32], values: Rows<N>, add: bool, out: &mut [f32]) {
    wide(
        #[inline(always)]
        || {
            let (size, count) = (out.len(), p.len());
            let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
            let begun = blocks.len() * BLOCK;
            for (block, out) in blocks.iter_mut().enumerate() {
                let mut sums = if add { *out } else { [0.0; BLOCK] };
                for (at, &p) in p.iter().enumerate() {
                    values.ask(at, count, if block == 0 { values.step.min(size) } else { 0 });
                    let value = &values.values[at * values.step + block * BLOCK..].as_chunks::<BLOCK>().0[0];
                    for column in 0..BLOCK {
                        sums[column] = p.mul_add(value[column].float32(), sums[column]);
                    }
                }
                *out = sums;
            }
            if !add {
                rest.fill(0.0);
            }
            for (at, &p) in p.iter().enumerate() {
                let value = &values.values[at * values.step + begun..][..rest.len()];
                for (out, &value) in rest.iter_mut().zip(value) {
                    *out = p.mul_add(value.float32(), *out);
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;

    #[test]
    fn scores_and_mixtures_are_those_of_the_definition() {
        for (size, step, count) in [(64, 64, 9), (80, 96, 5), (7, 20, 3), (200, 200, 4), (64, 64, 0)] {
            let all = numbers(count * step + size, 2);
            compare([size, step, count], &all);
            compare([size, step, count], &all.iter().map(|&number| bf16::from_f32(number)).collect::<Vec<_>>());
        }
    }

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 37 + seed * 11) % 23) as f32 / 7.0 - 1.5).collect()
    }

    fn compare<N: Number>([size, step, count]: [usize; 3], all: &[N]) {
        let exact = |at: usize| f64::from(all[at].float32());
        let q = numbers(size, 1);
        let rows = Rows { values: all, step, then: all };
        let mut found = vec![f32::NAN; count];
        scores(&q, rows, &mut found);
        let mut plainly = vec![f32::NAN; count];
        scores_plainly(&q, rows, &mut plainly);
        assert_eq!(found, plainly, "the same bits with the processor's own operations");
        for (at, found) in found.iter().enumerate() {
            let expected: f64 = (0..size).map(|i| f64::from(q[i]) * exact(at * step + i)).sum();
            assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
        }
        let p = numbers(count, 3);
        let before = numbers(size, 4);
        for add in [false, true] {
            let [mut out, mut plainly] = [before.clone(), before.clone()];
            mixture(&p, rows, add, &mut out);
            mixture_plainly(&p, rows, add, &mut plainly);
            assert_eq!(out, plainly, "the same bits with the processor's own operations");
            for (i, found) in out.iter().enumerate() {
                let sum: f64 = (0..count).map(|at| f64::from(p[at]) * exact(at * step + i)).sum();
                let expected = sum + if add { f64::from(before[i]) } else { 0.0 };
                assert!((f64::from(*found) - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }
}
