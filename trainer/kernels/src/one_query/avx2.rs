//! Scores and mixtures by the processor's own operations: of plain loops the compiler makes vectors of two numbers here, because
//! of what adds the lanes up afterwards, and asks at every line again whether it is there. A step over 32 answers with 128 tokens
//! before them takes 5.0 to 5.4 ms so, 5.7 to 6.1 otherwise.

use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps};

use super::{BLOCK, Rows};
use crate::{math::LANES, number::Number, tile::avx2::Products};

/// Keys whose products are added up side by side.
const KEYS: usize = 4;

/// As [`super::scores`].
#[target_feature(enable = "avx2,fma")]
pub(super) fn scores<N: Number>(q: &[f32], keys: Rows<N>, scores: &mut [f32]) {
    let count = scores.len();
    let key = |at: usize| &keys.values[at * keys.step..][..q.len()];
    let (wide, rest) = scores.as_chunks_mut::<KEYS>();
    let begun = wide.len() * KEYS;
    for (group, scores) in wide.iter_mut().enumerate() {
        let at = group * KEYS;
        (at..at + KEYS).for_each(|at| keys.ask(at, count, q.len()));
        *scores = several(q, [key(at), key(at + 1), key(at + 2), key(at + 3)]);
    }
    for (at, score) in rest.iter_mut().enumerate() {
        keys.ask(begun + at, count, q.len());
        let key = key(begun + at);
        [*score, ..] = several(q, [key; KEYS]);
    }
}

/// The products of `q` with some keys of its length.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn several<N: Number>(q: &[f32], keys: [&[N]; KEYS]) -> [f32; KEYS] {
    let (q, q_rest) = q.as_chunks::<LANES>();
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = keys.map(|key| key.as_chunks::<LANES>());
    let mut sums = [Products::zero(); KEYS];
    for ((q, (a, b)), (c, d)) in q.iter().zip(a.iter().zip(b)).zip(c.iter().zip(d)) {
        sums[0].add(q, &float32(a));
        sums[1].add(q, &float32(b));
        sums[2].add(q, &float32(c));
        sums[3].add(q, &float32(d));
    }
    let mut totals = Products::totals(sums);
    if !q_rest.is_empty() {
        for (total, key) in totals.iter_mut().zip([a_rest, b_rest, c_rest, d_rest]) {
            *total = q_rest.iter().zip(key).fold(*total, |sum, (q, key)| q.mul_add(key.float32(), sum));
        }
    }
    totals
}

/// As [`super::mixture`].
#[target_feature(enable = "avx2,fma")]
pub(super) fn mixture<N: Number>(p: &[f32], values: Rows<N>, add: bool, out: &mut [f32]) {
    let size = out.len();
    let mut first = 0;
    let (blocks, rest) = out.as_chunks_mut::<BLOCK>();
    for out in blocks {
        columns::<_, BLOCK, { BLOCK / 8 }>(p, values, add, first, size, out);
        first += BLOCK;
    }
    let (lines, rest) = rest.as_chunks_mut::<LANES>();
    for out in lines {
        columns::<_, LANES, { LANES / 8 }>(p, values, add, first, size, out);
        first += LANES;
    }
    if !add {
        rest.fill(0.0);
    }
    for (at, &p) in p.iter().enumerate() {
        let value = &values.values[at * values.step + first..][..rest.len()];
        rest.iter_mut().zip(value).for_each(|(out, &value)| *out = p.mul_add(value.float32(), *out));
    }
}

/// A line of numbers as float32: the compiler makes vectors of it, or nothing where that is what they are.
#[inline(always)]
fn float32<N: Number, const COUNT: usize>(numbers: &[N; COUNT]) -> [f32; COUNT] {
    numbers.map(N::float32)
}

/// `COUNT` columns of a mixture, from `first` on, in `V` registers. The first columns ask for the whole rows of `size` numbers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn columns<N: Number, const COUNT: usize, const V: usize>(
    p: &[f32],
    values: Rows<N>,
    add: bool,
    first: usize,
    size: usize,
    out: &mut [f32; COUNT],
) {
    let asked = if first == 0 { size } else { 0 };
    let mut sums = [_mm256_setzero_ps(); V];
    if add {
        for (sum, out) in sums.iter_mut().zip(out.as_chunks::<8>().0) {
            // SAFETY: eight numbers.
            *sum = unsafe { _mm256_loadu_ps(out.as_ptr()) };
        }
    }
    for (at, &weight) in p.iter().enumerate() {
        values.ask(at, p.len(), asked);
        let value: &[N; COUNT] = values.values[at * values.step + first..].first_chunk().expect("the columns of a row");
        let value = float32(value);
        let weight = _mm256_set1_ps(weight);
        for (sum, value) in sums.iter_mut().zip(value.as_chunks::<8>().0) {
            // SAFETY: eight numbers.
            *sum = _mm256_fmadd_ps(weight, unsafe { _mm256_loadu_ps(value.as_ptr()) }, *sum);
        }
    }
    for (sum, out) in sums.iter().zip(out.as_chunks_mut::<8>().0) {
        // SAFETY: eight numbers.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), *sum) };
    }
}
