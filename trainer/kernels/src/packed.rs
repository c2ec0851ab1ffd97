//! Products of some rows with matrices that are used again and again, as decoding uses a model's: their numbers are put in the
//! order in which the product reads them, once. Then each is one stream from memory, and nothing is copied on the way.

use std::sync::Arc;

use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use crate::tile;
use crate::{few_rows::prefetch, math::LANES, wide};

/// Up to so many rows these products are the faster ones.
pub const MOST: usize = 512;
/// Rows of `x` that go through a matrix at a time: with more, their numbers no longer stay in the cache beside a panel.
const AT_ONCE: usize = 128;
/// Rows of `x` that are multiplied at a time: with one line of the matrix they fill the registers of AVX2.
const ROWS: usize = 6;
/// Columns that are multiplied at a time: two vectors of AVX2, one of AVX-512.
const PANEL: usize = LANES;
/// Lines of a panel that are multiplied by all rows of `x` before the next: they stay in the first cache meanwhile.
const DEPTH: usize = 128;
/// Panels that a task takes, where there are few and where there are many.
const PANELS_A_TASK: [usize; 2] = [4, 8];
/// Panels of a matrix that are so many as to be put in order by one task.
const PANELS_AT_ONCE: usize = 8;

/// One row of a panel: a line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line([f32; PANEL]);

/// A matrix `[k, n]` in panels of 16 columns, each with its rows one after the other; the last is filled up with zeros. A clone
/// is the same memory.
#[derive(Debug, Clone)]
pub struct Packed {
    lines: Arc<Vec<Line>>,
    k: usize,
    n: usize,
}

impl Packed {
    /// Of a row-major matrix `[k, n]`.
    pub fn new(w: &[f32], [k, n]: [usize; 2]) -> Self {
        Self::filled(w, [k, n], |first, panels| {
            for (row, w) in w.chunks_exact(n).enumerate() {
                for (panel, w) in panels.chunks_exact_mut(k).zip(w[first..].chunks(PANEL)) {
                    panel[row].0[..w.len()].copy_from_slice(w);
                }
            }
        })
    }

    /// Of the row-major matrix `[n, k]` whose transpose is meant: an embedding as the output of its model.
    pub fn transposed(w: &[f32], [n, k]: [usize; 2]) -> Self {
        Self::filled(w, [k, n], |first, panels| {
            for (panel, w) in panels.chunks_exact_mut(k).zip(w[first * k..].chunks(PANEL * k)) {
                for (column, w) in w.chunks_exact(k).enumerate() {
                    panel.iter_mut().zip(w).for_each(|(line, &number)| line.0[column] = number);
                }
            }
        })
    }

    /// `fill` is given the first column of some panels, and these.
    fn filled(w: &[f32], [k, n]: [usize; 2], fill: impl Fn(usize, &mut [Line]) + Sync) -> Self {
        assert_eq!(w.len(), k * n, "numbers of a matrix");
        let count = n.div_ceil(PANEL) * k;
        let mut lines = Vec::with_capacity(count);
        if k > 0 {
            let tasks = lines.spare_capacity_mut()[..count].par_chunks_mut(PANELS_AT_ONCE * k).enumerate();
            tasks.for_each(|(task, panels)| {
                // Cleared by whoever fills it, while it is in their cache: clearing all of it first takes a third of the time.
                panels.iter_mut().for_each(|line| _ = line.write(Line([0.0; PANEL])));
                // SAFETY: every one of them has just been written.
                fill(task * PANELS_AT_ONCE * PANEL, unsafe { panels.assume_init_mut() });
            });
        }
        // SAFETY: the tasks have written all of them.
        unsafe { lines.set_len(count) };
        Self { lines: Arc::new(lines), k, n }
    }

    /// Rows and columns.
    pub fn dims(&self) -> [usize; 2] {
        [self.k, self.n]
    }
}

/// `x·w`: `x` `[rows, k]` row-major, `w` `[k, n]`; written to `out` `[rows, n]`.
pub fn rows_times_packed(x: &[f32], w: &Packed, out: &mut [f32], rows: usize) {
    rows_times_all_packed(x, [w], [out], rows);
}

/// As [`rows_times_packed`] for several matrices at once: threads are brought together once instead of for each. A row of the
/// result is the same whatever the others are.
pub fn rows_times_all_packed<const N: usize>(x: &[f32], w: [&Packed; N], mut out: [&mut [f32]; N], rows: usize) {
    if rows == 0 {
        return;
    }
    let k = x.len() / rows;
    for (w, out) in w.iter().zip(&out) {
        assert_eq!((x.len(), w.k, out.len()), (rows * k, k, rows * w.n), "sizes of a product");
    }
    for first in (0..rows).step_by(AT_ONCE) {
        let rows = AT_ONCE.min(rows - first);
        let mut at = 0;
        let out = out.each_mut().map(|out| {
            let n = w[at].n;
            at += 1;
            &mut out[first * n..][..rows * n]
        });
        some_rows(&x[first * k..][..rows * k], w, out, rows);
    }
}

/// As [`rows_times_all_packed`] for no more rows than go through a matrix at a time.
fn some_rows<const N: usize>(x: &[f32], w: [&Packed; N], out: [&mut [f32]; N], rows: usize) {
    let k = x.len() / rows;
    let grouped = &in_groups(x, k, rows);
    let mut tasks = vec![];
    for (w, out) in w.iter().zip(out) {
        if k == 0 {
            out.fill(0.0);
        } else if w.n > 0 {
            tasks.extend(tasks_of(w, out));
        }
    }
    tasks.par_iter_mut().for_each(|(lines, out)| {
        Block { x: grouped, k, lines, rows }.multiply(out);
    });
}

/// Some panels of a matrix, and their columns of every row of the output.
type Task<'a> = (&'a [Line], Vec<&'a mut [f32]>);

fn tasks_of<'a>(w: &'a Packed, out: &'a mut [f32]) -> Vec<Task<'a>> {
    let panels = w.n.div_ceil(PANEL);
    let [least, most] = PANELS_A_TASK;
    let of_a_task = (panels / 8).clamp(least, most);
    let mut tasks: Vec<Task> = w.lines.chunks(of_a_task * w.k).map(|lines| (lines, vec![])).collect();
    for row in out.chunks_exact_mut(w.n) {
        for (task, columns) in tasks.iter_mut().zip(row.chunks_mut(of_a_task * PANEL)) {
            task.1.push(columns);
        }
    }
    tasks
}

/// Rows that are multiplied together, of as many as are left. Four and four are faster than six and two: a few sums alone wait
/// for each other.
#[inline(always)]
fn together(left: usize) -> usize {
    match left {
        1 => 1,
        2 | 3 => 2,
        4 | 5 | 7 | 8 => 4,
        _ => ROWS,
    }
}

/// The rows of `x` that are multiplied together, their numbers side by side: rows themselves lie a power of two apart as often as
/// not, and fall on one place of the cache.
fn in_groups(x: &[f32], k: usize, rows: usize) -> Vec<f32> {
    let mut grouped = vec![0.0; x.len()];
    let mut row = 0;
    while row < rows {
        let group = together(rows - row);
        let part = row * k..(row + group) * k;
        let (x, grouped) = (&x[part.clone()], &mut grouped[part]);
        match group {
            1 => grouped.copy_from_slice(x),
            2 => interleave::<2>(x, k, grouped),
            4 => interleave::<4>(x, k, grouped),
            _ => interleave::<ROWS>(x, k, grouped),
        }
        row += group;
    }
    grouped
}

/// `[R, k]` → `[k, R]`
fn interleave<const R: usize>(x: &[f32], k: usize, out: &mut [f32]) {
    let rows: [&[f32]; R] = std::array::from_fn(|r| &x[r * k..][..k]);
    for (i, out) in out.as_chunks_mut::<R>().0.iter_mut().enumerate() {
        *out = rows.map(|row| row[i]);
    }
}

/// What a task multiplies: all rows of `x`, in their groups, with some panels.
#[derive(Clone, Copy)]
struct Block<'a> {
    x: &'a [f32],
    k: usize,
    lines: &'a [Line],
    rows: usize,
}

/// A part of a task: the panel, the first of its lines and how many, the first row of `x`.
#[derive(Clone, Copy)]
struct Place {
    panel: usize,
    from: usize,
    depth: usize,
    row: usize,
}

impl Block<'_> {
    fn multiply(self, out: &mut [&mut [f32]]) {
        #[cfg(target_arch = "x86_64")]
        if tile::has_avx2() {
            // SAFETY: the processor has these operations, as just asked.
            return unsafe { self.multiply_avx2(out) };
        }
        self.multiply_plainly(out);
    }

    fn multiply_plainly(self, out: &mut [&mut [f32]]) {
        wide(
            #[inline(always)]
            || {
                self.each_part(
                    #[inline(always)]
                    |at, group| match group {
                        1 => self.part::<1>(at, out),
                        2 => self.part::<2>(at, out),
                        4 => self.part::<4>(at, out),
                        _ => self.part::<ROWS>(at, out),
                    },
                );
            },
        );
    }

    /// Calls `part` for every part of the task, with how many rows it has.
    #[inline(always)]
    fn each_part(self, mut part: impl FnMut(Place, usize)) {
        for panel in 0..self.lines.len() / self.k {
            for from in (0..self.k).step_by(DEPTH) {
                let depth = DEPTH.min(self.k - from);
                let mut row = 0;
                while row < self.rows {
                    let group = together(self.rows - row);
                    part(Place { panel, from, depth, row }, group);
                    row += group;
                }
            }
        }
    }

    /// `R` rows of `x` by some lines of a panel, added to what is there unless the lines are the first.
    #[inline(always)]
    fn part<const R: usize>(self, at: Place, out: &mut [&mut [f32]]) {
        let (lines, x) = self.factors::<R>(at);
        let mut sums = [[0.0f32; PANEL]; R];
        let mut ahead = self.ahead::<R>(at);
        for (line, x) in lines.iter().zip(x) {
            ahead.ask(self.lines);
            let line = line.0;
            for (sums, &factor) in sums.iter_mut().zip(x) {
                for (sum, w) in sums.iter_mut().zip(&line) {
                    *sum = factor.mul_add(*w, *sum);
                }
            }
        }
        for (sums, out) in sums.iter().zip(&mut out[at.row..]) {
            add(sums, at.from == 0, &mut out[at.panel * PANEL..]);
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn multiply_avx2(self, out: &mut [&mut [f32]]) {
        self.each_part(|at, group| match group {
            1 => self.part_avx2::<1>(at, out),
            2 => self.part_avx2::<2>(at, out),
            4 => self.part_avx2::<4>(at, out),
            _ => self.part_avx2::<ROWS>(at, out),
        });
    }

    /// As [`Self::part`], by the processor's own operations.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn part_avx2<const R: usize>(self, at: Place, out: &mut [&mut [f32]]) {
        let (lines, x) = self.factors::<R>(at);
        let mut tile = tile::avx2::Tile::<R>::zero();
        let mut ahead = self.ahead::<R>(at);
        for (line, x) in lines.iter().zip(x) {
            ahead.ask(self.lines);
            tile.add_product(x, &line.0);
        }
        let width = PANEL.min(out[at.row].len() - at.panel * PANEL);
        for (row, out) in out[at.row..].iter_mut().take(R).enumerate() {
            tile.write_some(row, at.from > 0, &mut out[at.panel * PANEL..][..width]);
        }
    }

    /// The lines of a part and the numbers of `x` that multiply them.
    #[inline(always)]
    fn factors<const R: usize>(&self, at: Place) -> (&[Line], &[[f32; R]]) {
        let lines = &self.lines[at.panel * self.k + at.from..][..at.depth];
        (lines, self.x[at.row * self.k + at.from * R..][..at.depth * R].as_chunks().0)
    }

    #[inline(always)]
    fn ahead<const R: usize>(&self, at: Place) -> Ahead {
        let before = at.row * at.depth;
        let line = at.panel * self.k + at.from + at.depth + before / self.rows;
        Ahead { line, due: before % self.rows, step: R, rows: self.rows }
    }
}

/// The lines that come next are asked for one after the other, over the time that all rows take: more at once would wait for
/// each other, and the memory have nothing to do afterwards.
struct Ahead {
    line: usize,
    due: usize,
    step: usize,
    rows: usize,
}

impl Ahead {
    #[inline(always)]
    fn ask(&mut self, lines: &[Line]) {
        self.due += self.step;
        if self.due >= self.rows {
            self.due -= self.rows;
            if let Some(line) = lines.get(self.line) {
                prefetch(&line.0, 0);
            }
            self.line += 1;
        }
    }
}

/// Adds the sums of a panel to its columns of a row, or begins them. The common case has a fixed number of them: then the sums
/// stay in registers.
#[inline(always)]
fn add(sums: &[f32; PANEL], begins: bool, out: &mut [f32]) {
    if let Some(out) = out.first_chunk_mut::<PANEL>() {
        if begins {
            *out = *sums;
        } else {
            out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
        }
        return;
    }
    let sums = *sums;
    for (out, sum) in out.iter_mut().zip(&sums) {
        *out = if begins { *sum } else { *out + sum };
    }
}

#[cfg(test)]
mod tests;
