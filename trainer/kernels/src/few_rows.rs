//! Products of a few rows with a large matrix, as a step of decoding makes them: the matrix is read from memory once,
//! nearly in its order, and never copied. A general product packs it first, which costs more than the product where the
//! rows are few.

use rayon::prelude::*;

use crate::{
    math::{LANES, total},
    panels, wide,
};

/// Up to so many rows these products are the faster ones.
pub const MOST: usize = 32;
/// Up to so many rows the sums are held in the cache and the matrix streams by; more make that the slower way.
const STREAMED: usize = 8;
/// Rows of the matrix that are multiplied at a time: with one more vector they fill the registers of AVX2.
const DEPTH: usize = 4;
/// Numbers of the matrix that one task reads, about.
const NUMBERS_A_TASK: usize = 1 << 17;
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
    if rows > STREAMED {
        return w.iter().zip(out).for_each(|(w, out)| panels::rows_times_matrix(x, w, out, rows));
    }
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
        let depth = depth(n);
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

/// Rows of a matrix with `n` columns that one task takes.
fn depth(n: usize) -> usize {
    NUMBERS_A_TASK.div_ceil(n.max(1)).next_multiple_of(DEPTH)
}

/// Tasks of a product with a matrix `[k, n]`, at least one.
fn tasks(k: usize, n: usize) -> usize {
    k.div_ceil(depth(n)).max(1)
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
        let tiles = (rows * self.n).div_ceil(TILE);
        let width = self.n.div_ceil(tiles).next_multiple_of(LANES);
        for first in (0..self.n).step_by(width) {
            let columns = first..self.n.min(first + width);
            for from in (self.from..self.to).step_by(DEPTH) {
                let place = Place { from, first: columns.start, last: columns.end };
                match rows {
                    1 => self.part::<1>(place, out),
                    2 => self.part::<2>(place, out),
                    3 => self.part::<3>(place, out),
                    4 => self.part::<4>(place, out),
                    5 => self.part::<5>(place, out),
                    6 => self.part::<6>(place, out),
                    7 => self.part::<7>(place, out),
                    _ => self.part::<STREAMED>(place, out),
                }
            }
        }
    }

    /// The `R` rows of `x` times [`DEPTH`] rows of the matrix, or what is left of them, over some columns.
    #[inline(always)]
    fn part<const R: usize>(self, place: Place, out: &mut [f32]) {
        let deep = DEPTH.min(self.to - place.from);
        let factors: [[f32; DEPTH]; R] = std::array::from_fn(|r| {
            std::array::from_fn(|i| if i < deep { self.x[r * self.k + place.from + i] } else { 0.0 })
        });
        // What is not there is multiplied by nothing.
        let w: [&[f32]; DEPTH] = std::array::from_fn(|i| {
            let from = (place.from + i.min(deep - 1)) * self.n;
            &self.w[from + place.first..from + place.last]
        });
        let mut out = out.chunks_mut(self.n);
        let mut out: [&mut [f32]; R] =
            std::array::from_fn(|_| out.next().map_or(&mut [][..], |row| &mut row[place.first..place.last]));
        let whole = (place.last - place.first) / LANES;
        for column in 0..whole {
            for i in 0..DEPTH {
                prefetch(self.w, (place.from + DEPTH + i) * self.n + place.first + column * LANES);
            }
            let w: [[f32; LANES]; DEPTH] =
                [vector(w[0], column), vector(w[1], column), vector(w[2], column), vector(w[3], column)];
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

/// Rows of the matrix that one task of [`rows_times_transposed`] takes.
const ROWS_A_TASK: usize = 256;
/// Numbers that are multiplied at a time there: a register of AVX2.
const STEP: usize = 8;

/// `x·wᵀ`: `x` `[rows, k]`, `w` `[n, k]`, both row-major, the logits of a few tokens over an embedding; written to
/// `out` `[rows, n]`.
pub fn rows_times_transposed(x: &[f32], w: &[f32], out: &mut [f32], rows: usize) {
    if rows == 0 || out.is_empty() {
        return;
    }
    let (k, n) = (x.len() / rows, out.len() / rows);
    assert_eq!((x.len(), w.len(), out.len()), (rows * k, k * n, rows * n));
    if k == 0 {
        return out.fill(0.0);
    }
    // Each task writes its columns of every row.
    let mut tasks: Vec<Vec<&mut [f32]>> = (0..n).step_by(ROWS_A_TASK).map(|_| Vec::with_capacity(rows)).collect();
    for row in out.chunks_exact_mut(n) {
        for (task, columns) in tasks.iter_mut().zip(row.chunks_mut(ROWS_A_TASK)) {
            task.push(columns);
        }
    }
    tasks.par_iter_mut().zip(w.par_chunks(ROWS_A_TASK * k)).for_each(|(out, w)| {
        wide(
            #[inline(always)]
            || dots(x, w, k, out),
        );
    });
}

#[inline(always)]
fn dots(x: &[f32], w: &[f32], k: usize, out: &mut [&mut [f32]]) {
    let rows = out.len();
    let count = w.len() / k;
    for column in (0..count).step_by(2) {
        // The last one twice where there is no other.
        let pair = [column, (column + 1).min(count - 1)];
        let w = pair.map(|column| &w[column * k..(column + 1) * k]);
        for row in (0..rows).step_by(4) {
            match rows - row {
                1 => dots_of::<1>(x, w, pair, row, out),
                2 => dots_of::<2>(x, w, pair, row, out),
                3 => dots_of::<3>(x, w, pair, row, out),
                _ => dots_of::<4>(x, w, pair, row, out),
            }
        }
    }
}

/// The products of `R` rows of `x` with two rows of the matrix.
#[inline(always)]
fn dots_of<const R: usize>(x: &[f32], w: [&[f32]; 2], pair: [usize; 2], row: usize, out: &mut [&mut [f32]]) {
    let k = w[0].len();
    let x: [&[f32]; R] = std::array::from_fn(|r| &x[(row + r) * k..(row + r + 1) * k]);
    let mut sums = [[[0.0f32; STEP]; 2]; R];
    let whole = k / STEP;
    for at in 0..whole {
        let w: [[f32; STEP]; 2] = [vector(w[0], at), vector(w[1], at)];
        for (sums, x) in sums.iter_mut().zip(&x) {
            let x: [f32; STEP] = vector(x, at);
            for (sums, w) in sums.iter_mut().zip(&w) {
                for lane in 0..STEP {
                    sums[lane] = x[lane].mul_add(w[lane], sums[lane]);
                }
            }
        }
    }
    for (r, (sums, x)) in sums.iter().zip(&x).enumerate() {
        for ((sums, w), &column) in sums.iter().zip(&w).zip(&pair) {
            let mut lanes = [0.0; LANES];
            lanes[..STEP].copy_from_slice(sums);
            let rest: f32 = (whole * STEP..k).map(|at| x[at] * w[at]).sum();
            out[row + r][column] = total(lanes) + rest;
        }
    }
}

/// Asks for the line of the number at `at`, if there is one.
#[inline(always)]
pub(crate) fn prefetch(values: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(value) = values.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint for an address inside the slice.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Target, View, product};

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37 + seed * 101) % 29) as f32 / 7.0 - 2.0).collect()
    }

    #[test]
    fn few_rows_agree_with_the_definition() {
        for [m, k, n] in [
            [1, 1, 1],
            [2, 9, 300],
            [5, 64, 1031],
            [7, 130, 513],
            [32, 96, 48],
            [13, 65, 16],
            [3, 700, 700],
            [20, 3, 5],
        ] {
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
            let agrees = |out: &[f32]| {
                for (at, &found) in out.iter().enumerate() {
                    let expected = expected(at / n, at % n);
                    assert!(
                        (f64::from(found) - expected).abs() < 1e-5 * expected.abs().max(100.0),
                        "{found} {expected}"
                    );
                }
            };
            agrees(&out);
            let transposed: Vec<f32> = (0..n * k).map(|at| w[at % k * n + at / k]).collect();
            out.fill(f32::NAN);
            rows_times_transposed(&x, &transposed, &mut out, m);
            agrees(&out);
        }
    }

    /// `cargo test --release -p laurel-kernels -- --ignored --nocapture few_rows_beside`
    #[test]
    #[ignore = "a measurement, for an optimised build on a quiet machine"]
    fn few_rows_beside_the_general_product() {
        // As many matrices as do not fit the caches.
        for [k, n] in [[576, 1536], [1536, 576], [576, 576], [512, 1408]] {
            let count = (256 << 20) / (4 * k * n);
            let all: Vec<Vec<f32>> = (0..count).map(|seed| numbers(k * n, seed)).collect();
            for m in [1, 2, 4, 8, 16, 32] {
                let (x, mut out) = (numbers(m * k, 1), vec![0.0; m * n]);
                let mut time = |name: &str, work: &mut dyn FnMut(&[f32], &mut [f32])| {
                    let mut best = f64::MAX;
                    for _ in 0..5 {
                        let begun = std::time::Instant::now();
                        all.iter().for_each(|w| work(w, &mut out));
                        best = best.min(begun.elapsed().as_secs_f64() / count as f64);
                    }
                    let (bytes, flops) = (4.0 * (k * n) as f64, 2.0 * (m * k * n) as f64);
                    println!(
                        "{k} × {n}, {m:>2} rows, {name:<10} {:>7.1} µs {:>5.1} GB/s {:>6.1} GFLOP/s",
                        best * 1e6,
                        bytes / best / 1e9,
                        flops / best / 1e9
                    );
                };
                time("general", &mut |w, out| product(Target::write(out, n), View::new(&x, m, k), View::new(w, k, n)));
                time("few", &mut |w, out| rows_times_matrix(&x, w, out, m));
                time("few, as logits", &mut |w, out| rows_times_transposed(&x, w, out, m));
            }
        }
    }
}
