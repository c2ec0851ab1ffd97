//! Matrix products, and products of a few rows with a large matrix at the speed of the memory.

use gemm::Parallelism;
use rayon::prelude::*;

use crate::{math::dot, share::Shared, wide};

/// Products below so many multiplications stay on one thread.
const WORTH_SHARING: usize = 1 << 21;

/// A matrix in someone's memory: where its first number lies, and how far it is to the next row and column.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> View<'a> {
    /// Row-major and dense: `[rows, columns]`.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::with_steps(values, [rows, columns], [columns, 1])
    }

    /// Any layout; the last element must lie inside `values`.
    pub fn with_steps(values: &'a [f32], [rows, columns]: [usize; 2], [row_step, column_step]: [usize; 2]) -> Self {
        if rows > 0 && columns > 0 {
            assert!((rows - 1) * row_step + (columns - 1) * column_step < values.len(), "a view beyond its memory");
        }
        Self { values, rows, columns, row_step, column_step }
    }

    /// Rows and columns exchanged; nothing is moved.
    pub fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row_step: self.column_step, column_step: self.row_step, ..self }
    }
}

/// Where a product is written.
#[derive(Debug)]
pub struct Target<'a> {
    values: &'a mut [f32],
    row_step: usize,
    /// Whether the product is added to what is there.
    add: bool,
}

impl<'a> Target<'a> {
    /// Overwrites `values`, whose rows lie `row_step` apart.
    pub fn write(values: &'a mut [f32], row_step: usize) -> Self {
        Self { values, row_step, add: false }
    }

    /// Adds to `values`, whose rows lie `row_step` apart.
    pub fn add(values: &'a mut [f32], row_step: usize) -> Self {
        Self { values, row_step, add: true }
    }
}

/// `a·b` into `target`, on all cores when it is large.
pub fn product(target: Target, a: View, b: View) {
    let work = a.rows * a.columns * b.columns;
    let parallelism = if work >= WORTH_SHARING { Parallelism::Rayon(0) } else { Parallelism::None };
    multiply(target, a, b, 1.0, parallelism);
}

/// `scale·a·b` into `target`, on this thread.
pub(crate) fn product_here(target: Target, a: View, b: View) {
    multiply(target, a, b, 1.0, Parallelism::None);
}

fn multiply(target: Target, a: View, b: View, scale: f32, parallelism: Parallelism) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert_eq!(k, b.rows, "inner dimensions of a product");
    if m == 0 || n == 0 {
        return;
    }
    assert!((m - 1) * target.row_step + n <= target.values.len(), "a product beyond its target");
    assert!(m == 1 || n <= target.row_step, "rows of a product's target overlap");
    // SAFETY: all three lie inside their slices (checked here and in `View`), and the target is borrowed alone.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            target.values.as_mut_ptr(),
            1,
            target.row_step as isize,
            target.add,
            a.values.as_ptr(),
            a.column_step as isize,
            a.row_step as isize,
            b.values.as_ptr(),
            b.column_step as isize,
            b.row_step as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// As [`product_here`], into the part of a shared slice that starts at `from`.
///
/// # Safety
/// No one else reads or writes the `a.rows` rows of `b.columns` numbers, `row_step` apart, meanwhile.
pub(crate) unsafe fn product_into(target: &Shared, from: usize, row_step: usize, add: bool, a: View, b: View) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert_eq!(k, b.rows, "inner dimensions of a product");
    if m == 0 || n == 0 {
        return;
    }
    let first = target.at(from);
    target.at(from + (m - 1) * row_step + n - 1);
    // SAFETY: as in `multiply`; that nobody else touches the target is the caller's promise.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            first,
            1,
            row_step as isize,
            add,
            a.values.as_ptr(),
            a.column_step as isize,
            a.row_step as isize,
            b.values.as_ptr(),
            b.column_step as isize,
            b.row_step as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Rows of the matrix that one task of [`matrix_times_row`] takes.
const ROWS_A_TASK: usize = 512;

/// `w·x` for `w` `[n, k]` row-major and one `x` `[k]`: the logits of one token over an embedding.
pub fn matrix_times_row(w: &[f32], x: &[f32], out: &mut [f32]) {
    let (k, n) = (x.len(), out.len());
    assert_eq!(w.len(), k * n);
    out.par_chunks_mut(ROWS_A_TASK).zip(w.par_chunks(ROWS_A_TASK * k)).for_each(|(out, w)| {
        wide(
            #[inline(always)]
            || {
                for (out, w) in out.iter_mut().zip(w.chunks_exact(k)) {
                    *out = dot(w, x);
                }
            },
        );
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37 + seed * 101) % 29) as f32 / 7.0 - 2.0).collect()
    }

    /// From the definition.
    fn slow(a: &[f32], b: &[f32], [m, k, n]: [usize; 3]) -> Vec<f32> {
        (0..m * n).map(|at| (0..k).map(|i| a[at / n * k + i] * b[i * n + at % n]).sum()).collect()
    }

    #[test]
    fn products_agree_with_the_definition() {
        for [m, k, n] in [[1, 1, 1], [3, 5, 7], [65, 130, 33], [256, 64, 512]] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let expected = slow(&a, &b, [m, k, n]);
            let mut found = vec![1.0; m * n];
            product(Target::add(&mut found, n), View::new(&a, m, k), View::new(&b, k, n));
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - 1.0 - expected).abs() < 1e-3, "{found} {expected}");
            }
        }
    }

    #[test]
    fn a_matrix_times_a_row_agrees_with_the_definition() {
        for [k, n] in [[1, 1], [9, 300], [64, 1031], [130, 513]] {
            let (x, w) = (numbers(n, 1), numbers(k * n, 2));
            let expected = slow(&w, &x, [k, n, 1]);
            let mut found = vec![f32::NAN; k];
            matrix_times_row(&w, &x, &mut found);
            for (found, expected) in found.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5 * expected.abs().max(100.0), "{found} {expected}");
            }
        }
    }
}
