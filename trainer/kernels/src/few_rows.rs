//! Products of a few rows with a large matrix, as a step of decoding makes them: the matrix is read from memory once and
//! never copied. A general product packs it first, which costs more than the product where the rows are few.

use rayon::prelude::*;

use crate::{math::LANES, wide};

/// Up to so many rows these products are the faster ones.
pub const MOST: usize = 32;
/// Rows of `x` that are multiplied at a time: with one vector of the matrix they fill the registers.
const ROWS: usize = 6;
/// Columns that are multiplied at a time: two vectors of AVX2, one of AVX-512.
const PANEL: usize = LANES;
/// Rows of the matrix whose panel stays in the first cache.
const DEPTH: usize = 64;
/// Columns that one task takes, at least.
const COLUMNS_A_TASK: usize = 256;

/// `x·w`: `x` `[rows, k]`, `w` `[k, n]`, both row-major; written to `out` `[rows, n]`.
pub fn rows_times_matrix(x: &[f32], w: &[f32], out: &mut [f32], rows: usize) {
    if rows == 0 || out.is_empty() {
        return;
    }
    let (k, n) = (x.len() / rows, out.len() / rows);
    assert_eq!((x.len(), w.len(), out.len()), (rows * k, k * n, rows * n));
    if k == 0 {
        return out.fill(0.0);
    }
    let width = n.div_ceil(2).next_multiple_of(PANEL).max(COLUMNS_A_TASK);
    // Each task writes its columns of every row.
    let mut parts: Vec<(usize, Vec<&mut [f32]>)> =
        (0..n).step_by(width).map(|first| (first, Vec::with_capacity(rows))).collect();
    for row in out.chunks_exact_mut(n) {
        for (part, columns) in parts.iter_mut().zip(row.chunks_mut(width)) {
            part.1.push(columns);
        }
    }
    parts.par_iter_mut().for_each(|(first, out)| {
        wide(
            #[inline(always)]
            || columns(Block { x, k, w: &w[*first..], n }, out),
        );
    });
}

/// What a task multiplies: all rows of `x` with some columns of the matrix, whose rows lie `n` apart.
#[derive(Clone, Copy)]
struct Block<'a> {
    x: &'a [f32],
    k: usize,
    w: &'a [f32],
    n: usize,
}

#[inline(always)]
fn columns(block: Block, out: &mut [&mut [f32]]) {
    let width = out[0].len();
    let whole = width - width % PANEL;
    for from in (0..block.k).step_by(DEPTH) {
        let depth = DEPTH.min(block.k - from);
        for column in (0..whole).step_by(PANEL) {
            let mut row = 0;
            while row < out.len() {
                let at = Place { from, depth, column, row };
                // Four and four are faster than six and two: a few sums alone wait for each other.
                let taken = match out.len() - row {
                    1 => 1,
                    2 | 3 => 2,
                    4 | 5 | 7 | 8 => 4,
                    _ => ROWS,
                };
                match taken {
                    1 => panel::<1>(block, at, out),
                    2 => panel::<2>(block, at, out),
                    4 => panel::<4>(block, at, out),
                    _ => panel::<ROWS>(block, at, out),
                }
                row += taken;
            }
        }
        for column in whole..width {
            for (row, out) in out.iter_mut().enumerate() {
                let mut sum = if from == 0 { 0.0 } else { out[column] };
                for at in from..from + depth {
                    sum = block.x[row * block.k + at].mul_add(block.w[at * block.n + column], sum);
                }
                out[column] = sum;
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Place {
    /// The first row of the matrix, and how many.
    from: usize,
    depth: usize,
    column: usize,
    /// The first row of `x`.
    row: usize,
}

/// `R` rows by one panel over some depth, added to what is there unless the depth begins.
#[inline(always)]
fn panel<const R: usize>(block: Block, at: Place, out: &mut [&mut [f32]]) {
    let mut sums = [[0.0f32; PANEL]; R];
    if at.from > 0 {
        for (sums, out) in sums.iter_mut().zip(&out[at.row..]) {
            sums.copy_from_slice(&out[at.column..at.column + PANEL]);
        }
    }
    let x: [&[f32]; R] = std::array::from_fn(|r| &block.x[(at.row + r) * block.k + at.from..][..at.depth]);
    let w = &block.w[at.from * block.n + at.column..];
    for i in 0..at.depth {
        let Some(w_row) = w[i * block.n..].first_chunk::<PANEL>() else { break };
        if at.row == 0 {
            prefetch(w, (i + DEPTH) * block.n);
        }
        for (sums, x) in sums.iter_mut().zip(&x) {
            let factor = x[i];
            for (sum, w) in sums.iter_mut().zip(w_row) {
                *sum = factor.mul_add(*w, *sum);
            }
        }
    }
    for (sums, out) in sums.iter().zip(&mut out[at.row..]) {
        out[at.column..at.column + PANEL].copy_from_slice(sums);
    }
}

/// Asks for the line of the number at `at`, if there is one.
#[inline(always)]
fn prefetch(values: &[f32], at: usize) {
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
    use crate::matrix::{Target, View, product, row_times_matrix};

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37 + seed * 101) % 29) as f32 / 7.0 - 2.0).collect()
    }

    #[test]
    fn few_rows_agree_with_the_definition() {
        for [m, k, n] in [[1, 1, 1], [2, 9, 300], [5, 64, 1031], [7, 130, 513], [32, 96, 48], [13, 65, 16]] {
            let (x, w) = (numbers(m * k, 1), numbers(k * n, 2));
            let expected = |row: usize, column: usize| -> f64 {
                (0..k).map(|i| f64::from(x[row * k + i]) * f64::from(w[i * n + column])).sum()
            };
            let mut out = vec![f32::NAN; m * n];
            rows_times_matrix(&x, &w, &mut out, m);
            for (at, &found) in out.iter().enumerate() {
                let expected = expected(at / n, at % n);
                assert!((f64::from(found) - expected).abs() < 1e-5 * expected.abs().max(100.0), "{found} {expected}");
            }
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
            for m in [1, 2, 4, 8, 12, 16, 32, 64] {
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
                if m == 1 {
                    time("row", &mut |w, out| row_times_matrix(&x, w, out));
                }
            }
        }
    }
}
