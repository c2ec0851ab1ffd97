//! Products of a few rows with a large matrix, as a step of decoding makes them: the matrix is read from memory once,
//! nearly in its order, and never copied. A general product packs it first, which costs more than the product where the
//! rows are few.

use rayon::prelude::*;

use crate::{math::LANES, wide};

/// Up to so many rows these products are the faster ones: the sums are held in the cache and the matrix streams by.
pub const MOST: usize = 8;
/// Rows of the matrix that are multiplied at a time: with one more vector they fill the registers of AVX2. One row of `x` whose
/// sums stay in the cache takes them one by one, since a single stream from memory is the fastest (512 columns: 43 µs, 57 by four).
const DEPTH: usize = 4;
/// Numbers of the matrix that one task reads, about.
const NUMBERS_A_TASK: usize = 1 << 17;
/// Rows that it takes at least: the sums of a task are written and read once more than they have to be, which must be little
/// beside reading the matrix.
const LEAST_DEPTH: usize = 64;
/// How many numbers of the matrix are asked for before one row of `x` needs them; of several, it is the next rows of the matrix.
const AHEAD: usize = 4096;
/// Numbers of the output that stay in the first cache while a task reads its rows.
const TILE: usize = 4096;

/// `x·w`: `x` `[rows, k]`, `w` `[k, n]`, both row-major; written to `out` `[rows, n]`.
pub fn rows_times_matrix(x: &[f32], w: &[f32], out: &mut [f32], rows: usize) {
    rows_times_matrices(x, [w], [out], rows);
}

/// As [`rows_times_matrix`] for several matrices at once: threads are brought together once instead of for each.
pub fn rows_times_matrices<const N: usize>(x: &[f32], w: [&[f32]; N], mut out: [&mut [f32]; N], rows: usize) {
    if rows == 0 {
        return;
    }
    assert!(rows <= MOST, "more than a few rows");
    let k = x.len() / rows;
    // Each task takes some rows of a matrix and has sums of its own; the first ones have their place in the output.
    let mut sums: [Vec<f32>; N] = std::array::from_fn(|at| {
        assert_eq!((x.len(), w[at].len() * rows), (rows * k, out[at].len() * k));
        vec![0.0; (tasks(k, out[at].len() / rows) - 1) * out[at].len()]
    });
    let mut shares: Vec<(Block, &mut [f32])> = vec![];
    for ((w, out), sums) in w.iter().zip(&mut out).zip(&mut sums) {
        out.fill(0.0);
        let (n, size) = (out.len() / rows, out.len().max(1));
        let depth = depth(k, n);
        let outputs = std::iter::once(&mut **out).chain(sums.chunks_exact_mut(size));
        shares.extend(outputs.enumerate().map(|(task, out)| {
            let from = task * depth;
            (Block { x, k, w, n, from, to: k.min(from + depth) }, out)
        }));
    }
    shares.par_iter_mut().for_each(|(block, out)| {
        wide(
            #[inline(always)]
            || block.add_to(out, rows),
        );
    });
    for (out, sums) in out.iter_mut().zip(&sums) {
        for sums in sums.chunks_exact(out.len().max(1)) {
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
        }
    }
}

/// Rows of a matrix `[k, n]` that one task takes, however many rows `x` has: a row's result must not feel the others. There are as
/// many tasks as a power of two, so that two threads and four have the same to do.
fn depth(k: usize, n: usize) -> usize {
    let tasks = (k * n).div_ceil(NUMBERS_A_TASK).next_power_of_two();
    k.div_ceil(tasks).max(LEAST_DEPTH).next_multiple_of(DEPTH)
}

/// Tasks of a product with a matrix `[k, n]`, at least one.
fn tasks(k: usize, n: usize) -> usize {
    k.div_ceil(depth(k, n)).max(1)
}

/// What a task multiplies: some rows of the matrix, `n` apart, with as many columns of `x`.
#[derive(Clone, Copy)]
struct Block<'a> {
    x: &'a [f32],
    k: usize,
    w: &'a [f32],
    n: usize,
    from: usize,
    to: usize,
}

impl Block<'_> {
    #[inline(always)]
    fn add_to(self, out: &mut [f32], rows: usize) {
        if self.n == 0 {
            return;
        }
        let tiles = (rows * self.n).div_ceil(TILE);
        let width = self.n.div_ceil(tiles).next_multiple_of(LANES);
        for first in (0..self.n).step_by(width) {
            let columns = first..self.n.min(first + width);
            let deep = if rows == 1 && tiles == 1 { 1 } else { DEPTH };
            for from in (self.from..self.to).step_by(deep) {
                let place = Place { from, first: columns.start, last: columns.end };
                match rows {
                    1 if deep == 1 => self.part::<1, 1>(place, out),
                    1 => self.part::<1, DEPTH>(place, out),
                    2 => self.part::<2, DEPTH>(place, out),
                    3 => self.part::<3, DEPTH>(place, out),
                    4 => self.part::<4, DEPTH>(place, out),
                    5 => self.part::<5, DEPTH>(place, out),
                    6 => self.part::<6, DEPTH>(place, out),
                    7 => self.part::<7, DEPTH>(place, out),
                    _ => self.part::<MOST, DEPTH>(place, out),
                }
            }
        }
    }

    /// The `R` rows of `x` times `D` rows of the matrix, or what is left of them, over some columns.
    #[inline(always)]
    fn part<const R: usize, const D: usize>(self, place: Place, out: &mut [f32]) {
        let deep = D.min(self.to - place.from);
        let factors: [[f32; D]; R] = std::array::from_fn(|r| {
            std::array::from_fn(|i| if i < deep { self.x[r * self.k + place.from + i] } else { 0.0 })
        });
        // What is not there is multiplied by nothing.
        let w: [&[f32]; D] = std::array::from_fn(|i| {
            let from = (place.from + i.min(deep - 1)) * self.n;
            &self.w[from + place.first..from + place.last]
        });
        let mut out = out.chunks_mut(self.n);
        let mut out: [&mut [f32]; R] =
            std::array::from_fn(|_| out.next().map_or(&mut [][..], |row| &mut row[place.first..place.last]));
        let whole = (place.last - place.first) / LANES;
        let ahead = place.from * self.n + place.first + if D == 1 { AHEAD } else { D * self.n };
        for column in 0..whole {
            for i in 0..D {
                prefetch(self.w, ahead + i * self.n + column * LANES);
            }
            let w: [[f32; LANES]; D] = std::array::from_fn(|i| vector(w[i], column));
            for (factors, out) in factors.iter().zip(&mut out) {
                let out = &mut out.as_chunks_mut::<LANES>().0[column];
                let mut sums = *out;
                for (&factor, w) in factors.iter().zip(&w) {
                    for (sum, &w) in sums.iter_mut().zip(w) {
                        *sum = factor.mul_add(w, *sum);
                    }
                }
                *out = sums;
            }
        }
        for (factors, out) in factors.iter().zip(&mut out) {
            for (column, out) in out.iter_mut().enumerate().skip(whole * LANES) {
                for (&factor, w) in factors.iter().zip(&w) {
                    *out = factor.mul_add(w[column], *out);
                }
            }
        }
    }
}

/// Numbers `at · N` and the following.
#[inline(always)]
pub(crate) fn vector<const N: usize>(values: &[f32], at: usize) -> [f32; N] {
    values.as_chunks().0[at]
}

/// A part of a task: the first of its rows of the matrix, its columns.
#[derive(Clone, Copy)]
struct Place {
    from: usize,
    first: usize,
    last: usize,
}

/// Asks for the line of the number at `at`, if there is one.
#[inline(always)]
pub(crate) fn prefetch<N>(values: &[N], at: usize) {
    #[cfg(target_arch = "x86_64")]
    ask::<N, { std::arch::x86_64::_MM_HINT_T0 }>(values, at);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at);
}

/// As [`prefetch`], into the second cache: more lines can be on their way to that one, and wait there.
#[inline(always)]
pub(crate) fn prefetch_early<N>(values: &[N], at: usize) {
    #[cfg(target_arch = "x86_64")]
    ask::<N, { std::arch::x86_64::_MM_HINT_T1 }>(values, at);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at);
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn ask<N, const CACHE: i32>(values: &[N], at: usize) {
    if let Some(value) = values.get(at) {
        // SAFETY: a hint for an address inside the slice.
        unsafe { std::arch::x86_64::_mm_prefetch::<CACHE>(std::ptr::from_ref(value).cast()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37 + seed * 101) % 29) as f32 / 7.0 - 2.0).collect()
    }

    #[test]
    fn few_rows_agree_with_the_definition() {
        for [m, k, n] in
            [[1, 1, 1], [2, 9, 300], [5, 64, 1031], [7, 130, 513], [8, 96, 48], [8, 65, 16], [3, 700, 700], [6, 3, 5]]
        {
            let (x, w) = (numbers(m * k, 1), numbers(k * n, 2));
            let expected = |row: usize, column: usize| -> f64 {
                (0..k).map(|i| f64::from(x[row * k + i]) * f64::from(w[i * n + column])).sum()
            };
            let mut out = vec![f32::NAN; m * n];
            rows_times_matrix(&x, &w, &mut out, m);
            let mut beside = [vec![f32::NAN; m * n], vec![f32::NAN; m * n]];
            let [first, second] = &mut beside;
            rows_times_matrices(&x, [&w, &w], [first, second], m);
            assert!(beside.iter().all(|beside| *beside == out), "several at once give what each gives alone");
            for (at, &found) in out.iter().enumerate() {
                let expected = expected(at / n, at % n);
                assert!((f64::from(found) - expected).abs() < 1e-5 * expected.abs().max(100.0), "{found} {expected}");
            }
        }
    }
}
