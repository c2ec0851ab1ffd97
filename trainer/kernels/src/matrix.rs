//! Matrix products, and products of a few rows with a large matrix at the speed of the memory.

use gemm::Parallelism;
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use crate::blocked;
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
            let last = |count: usize, step: usize| (count - 1).checked_mul(step);
            let last = last(rows, row_step).zip(last(columns, column_step));
            let last = last.and_then(|(row, column)| row.checked_add(column));
            assert!(last.is_some_and(|last| last < values.len()), "a view beyond its memory");
        }
        Self { values, rows, columns, row_step, column_step }
    }

    /// Rows and columns exchanged; nothing is moved.
    pub fn transposed(self) -> Self {
        Self { rows: self.columns, columns: self.rows, row_step: self.column_step, column_step: self.row_step, ..self }
    }
}

/// What products of our own read.
impl<'a> View<'a> {
    /// Rows and columns.
    pub(crate) fn dims(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// How far it is to the next row and to the next column.
    pub(crate) fn steps(&self) -> [usize; 2] {
        [self.row_step, self.column_step]
    }

    /// The number at a place, and all behind it.
    #[inline(always)]
    pub(crate) fn from(&self, row: usize, column: usize) -> &'a [f32] {
        &self.values[row * self.row_step + column * self.column_step..]
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

    /// The numbers, how far apart their rows lie, and whether the product is added to them.
    pub(crate) fn into_parts(self) -> (&'a mut [f32], usize, bool) {
        (self.values, self.row_step, self.add)
    }

    /// Stops where the sizes of a product don't fit each other, before anything is written.
    pub(crate) fn check(&self, a: View, [terms, n]: [usize; 2]) {
        let m = a.rows;
        assert_eq!(a.columns, terms, "inner dimensions of a product");
        if m > 0 && n > 0 {
            let end = (m - 1).checked_mul(self.row_step).and_then(|last| last.checked_add(n));
            assert!(end.is_some_and(|end| end <= self.values.len()), "a product beyond its target");
            assert!(m == 1 || n <= self.row_step, "rows of a product's target overlap");
        }
    }
}

/// `a·b` into `target`, on all cores when it is large.
pub fn product(target: Target, a: View, b: View) {
    target.check(a, b.dims());
    #[cfg(target_arch = "x86_64")]
    if blocked::product(target.values, target.row_step, target.add, a, b) {
        return;
    }
    let work = a.rows * a.columns * b.columns;
    let parallelism = if work >= WORTH_SHARING { Parallelism::Rayon(0) } else { Parallelism::None };
    multiply(target, a, b, parallelism);
}

/// As [`product`], on this thread.
pub(crate) fn product_here(target: Target, a: View, b: View) {
    multiply(target, a, b, Parallelism::None);
}

fn multiply(target: Target, a: View, b: View, parallelism: Parallelism) {
    let (m, n, k) = (a.rows, b.columns, a.columns);
    target.check(a, b.dims());
    if m == 0 || n == 0 {
        return;
    }
    // SAFETY: all three lie inside their slices (just checked, and in `View`), and the target is borrowed alone.
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
            1.0,
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
    if k == 0 {
        return out.fill(0.0);
    }
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

    /// Whole numbers, whose products and sums are exact.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 37 + seed * 101) % 29) as f32 - 14.0).collect()
    }

    /// From the definition.
    fn slow(a: &[f32], b: &[f32], [m, k, n]: [usize; 3]) -> Vec<f32> {
        (0..m * n).map(|at| (0..k).map(|i| a[at / n * k + i] * b[i * n + at % n]).sum()).collect()
    }

    /// One matrix as it is, from its transpose, and from where something else lies between its numbers.
    fn views<'a>([values, turned, spread]: [&'a [f32]; 3], [rows, columns]: [usize; 2]) -> [View<'a>; 3] {
        [
            View::new(values, rows, columns),
            View::new(turned, columns, rows).transposed(),
            View::with_steps(spread, [rows, columns], [2 * columns, 2]),
        ]
    }

    type Way = fn(Target, View, View);

    /// The product as callers have it, and a large one by our own blocks too where the processor can, used for it or not.
    fn ways(large: bool) -> Vec<Way> {
        #[cfg(target_arch = "x86_64")]
        if large && crate::tile::has_avx2() {
            return vec![product, by_blocks];
        }
        let _ = large;
        vec![product]
    }

    #[cfg(target_arch = "x86_64")]
    fn by_blocks(target: Target, a: View, b: View) {
        blocked::multiply_all(target.values, target.row_step, target.add, a, b);
    }

    #[test]
    fn products_agree_with_the_definition() {
        let small = [[1, 1, 1], [3, 5, 7], [0, 5, 7], [5, 0, 7], [5, 7, 0], [65, 130, 33], [256, 64, 512]];
        // Of every remainder; some are cut along one side, one along two.
        let large =
            [[200, 600, 130], [151, 263, 149], [2100, 48, 50], [50, 2100, 48], [48, 50, 2100], [2100, 48, 2100]];
        for [m, k, n] in small.into_iter().chain(large) {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let expected = slow(&a, &b, [m, k, n]);
            let turned = |values: &[f32], rows: usize, columns: usize| -> Vec<f32> {
                (0..rows * columns).map(|at| values[at % rows * columns + at / rows]).collect()
            };
            let spread =
                |values: &[f32]| -> Vec<f32> { values.iter().flat_map(|&number| [number, f32::NAN]).collect() };
            let (a_turned, b_turned, a_spread, b_spread) = (turned(&a, m, k), turned(&b, k, n), spread(&a), spread(&b));
            let of_a = views([&a, &a_turned, &a_spread], [m, k]);
            let of_b = views([&b, &b_turned, &b_spread], [k, n]);
            let step = n + 3;
            for (a, b) in of_a.into_iter().flat_map(|a| of_b.map(|b| (a, b))) {
                for product in ways(m.min(n).min(k) >= 48) {
                    let mut found = vec![1.0; m * step];
                    product(Target::add(&mut found, step), a, b);
                    product(Target::write(&mut found, step), a, b);
                    product(Target::add(&mut found, step), a, b);
                    for (row, found) in found.chunks(step).enumerate() {
                        let expected = expected[row * n..][..n].iter().map(|expected| 2.0 * expected);
                        assert!(found[..n].iter().copied().eq(expected), "row {row} of {m} × {k} × {n}");
                        assert_eq!(found[n..], [1.0; 3], "beside the target nothing is written");
                    }
                }
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn numbers_of_a_product_do_not_feel_other_rows_and_columns() {
        if !crate::tile::has_avx2() {
            return;
        }
        let [m, k, n] = [300, 520, 150];
        // No whole numbers: that sums are made in another order would show.
        let halves = |count, seed| -> Vec<f32> { numbers(count, seed).iter().map(|number| number / 7.0).collect() };
        let (a, b) = (halves(m * k, 1), halves(k * n, 2));
        let of = |row: usize, column: usize| {
            let (rows, columns) = (m - row, n - column);
            let mut found = vec![0.0; rows * columns];
            let b = View::with_steps(&b[column..], [k, columns], [n, 1]);
            by_blocks(Target::write(&mut found, columns), View::new(&a[row * k..], rows, k), b);
            found
        };
        let (all, some) = (of(0, 0), of(97, 53));
        assert!(all[97 * n..].chunks(n).zip(some.chunks(n - 53)).all(|(all, some)| all[53..] == *some));
    }

    #[test]
    fn products_are_the_same_on_any_threads_and_inside_the_tasks_of_others() {
        for product in ways(true) {
            let of = |at: usize| {
                let [m, k, n] = [150 + at % 3, 300, 140 + at % 5];
                let (a, b) = (numbers(m * k, at), numbers(k * n, at + 1));
                let mut found = vec![f32::NAN; m * n];
                product(Target::write(&mut found, n), View::new(&a, m, k), View::new(&b, k, n));
                found
            };
            let expected: Vec<Vec<f32>> = (0..40).map(of).collect();
            for threads in [1, 2, 5] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let found: Vec<Vec<f32>> = pool.install(|| (0..40).into_par_iter().map(of).collect());
                assert!(found == expected, "{threads} threads");
            }
        }
    }

    /// `cargo test --release -p laurel-kernels -- --ignored --nocapture products_beside`
    #[test]
    #[ignore = "a measurement, for an optimised build on a quiet machine"]
    fn products_beside_those_of_the_library() {
        const ROUNDS: usize = 21;
        for [m, k, n] in [
            [1024, 512, 1408],
            [1024, 1408, 512],
            [1024, 512, 512],
            [512, 1024, 1408],
            [1024, 512, 8192],
            [512, 1024, 8192],
            [1024, 576, 1536],
            [1024, 49152, 576],
            [2048, 2048, 2048],
            [256, 512, 1408],
            [64, 512, 1408],
            [1024, 512, 64],
            [128, 128, 128],
        ] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            let turned = |rows, columns, seed| View::new(seed, columns, rows).transposed();
            for (name, a, b) in [
                ("a·b", View::new(&a, m, k), View::new(&b, k, n)),
                ("a·bᵀ", View::new(&a, m, k), turned(k, n, &b)),
                ("aᵀ·b", turned(m, k, &a), View::new(&b, k, n)),
            ] {
                let mut out = vec![0.0; m * n];
                let mut times = [vec![], vec![]];
                for _ in 0..ROUNDS {
                    for (at, times) in times.iter_mut().enumerate() {
                        let begun = std::time::Instant::now();
                        let target = Target::write(&mut out, n);
                        if at == 0 {
                            ways(true).pop().expect("a way")(target, a, b);
                        } else {
                            multiply(target, a, b, Parallelism::Rayon(0));
                        }
                        times.push(begun.elapsed().as_secs_f64());
                    }
                }
                let [ours, theirs] = times.map(|mut times| {
                    times.sort_by(f64::total_cmp);
                    2e-9 * (m * k * n) as f64 / times[ROUNDS / 2]
                });
                println!("{m} × {k} × {n}, {name:<4} {ours:>6.1} GFLOP/s, the library {theirs:>6.1}");
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
