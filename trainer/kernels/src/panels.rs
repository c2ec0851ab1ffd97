//! Products of some tens of rows with a large matrix: a part of the matrix is put in order and multiplied while the next is on
//! its way from memory. A general product puts all of it in order first.

use rayon::prelude::*;

use crate::{few_rows::prefetch, math::LANES, wide};

/// Rows of `x` that are multiplied at a time: with one vector of the matrix they fill the registers.
const ROWS: usize = 6;
/// Columns that are multiplied at a time: two vectors of AVX2, one of AVX-512.
const PANEL: usize = LANES;
/// Rows of the matrix that a task takes at a time: as many of a panel stay in the first cache.
const DEPTH: usize = 64;
/// Numbers from one panel of what was taken to the next: not a power of two, which would fall on one place of the cache.
const PANEL_STEP: usize = DEPTH * PANEL + LANES;
/// Columns that a task takes, about: those of [`DEPTH`] rows stay in the second cache.
const COLUMNS_A_TASK: usize = 256;

/// `x·w`: `x` `[rows, k]`, `w` `[k, n]`, both row-major; written to `out` `[rows, n]`.
pub(crate) fn rows_times_matrix(x: &[f32], w: &[f32], out: &mut [f32], rows: usize) {
    if rows == 0 || out.is_empty() {
        return;
    }
    let (k, n) = (x.len() / rows, out.len() / rows);
    assert_eq!((x.len(), w.len(), out.len()), (rows * k, k * n, rows * n));
    if k == 0 {
        return out.fill(0.0);
    }
    // An even number of tasks of one size.
    let width = n.div_ceil(2 * n.div_ceil(2 * COLUMNS_A_TASK)).next_multiple_of(PANEL);
    // Each task writes its columns of every row.
    let mut tasks: Vec<(usize, Vec<&mut [f32]>)> =
        (0..n).step_by(width).map(|first| (first, Vec::with_capacity(rows))).collect();
    for row in out.chunks_exact_mut(n) {
        for (task, columns) in tasks.iter_mut().zip(row.chunks_mut(width)) {
            task.1.push(columns);
        }
    }
    let x = &in_groups(x, k, rows);
    tasks.par_iter_mut().for_each(|(first, out)| {
        let block = Block { x, k, w: &w[*first..], n, width: out[0].len() };
        let mut taken = vec![0.0; block.panels() * PANEL_STEP];
        wide(
            #[inline(always)]
            || block.multiply(&mut taken, out),
        );
    });
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
        for (r, x) in x[part.clone()].chunks_exact(k).enumerate() {
            for (out, &x) in grouped[part.clone()][r..].iter_mut().step_by(group).zip(x) {
                *out = x;
            }
        }
        row += group;
    }
    grouped
}

/// What a task multiplies: all rows of `x`, in their groups, with some columns of the matrix, whose rows lie `n` apart.
#[derive(Clone, Copy)]
struct Block<'a> {
    x: &'a [f32],
    k: usize,
    w: &'a [f32],
    n: usize,
    width: usize,
}

/// A part of a task: the first of its rows of the matrix and how many, the first of its columns, of its rows of `x`.
#[derive(Clone, Copy)]
struct Place {
    from: usize,
    depth: usize,
    panel: usize,
    row: usize,
}

impl Block<'_> {
    fn panels(&self) -> usize {
        self.width.div_ceil(PANEL)
    }

    #[inline(always)]
    fn multiply(self, taken: &mut [f32], out: &mut [&mut [f32]]) {
        for from in (0..self.k).step_by(DEPTH) {
            let depth = DEPTH.min(self.k - from);
            self.take(from, depth, taken);
            for panel in 0..self.panels() {
                let mut row = 0;
                while row < out.len() {
                    let at = Place { from, depth, panel, row };
                    let group = together(out.len() - row);
                    match group {
                        1 => self.panel::<1>(at, taken, out),
                        2 => self.panel::<2>(at, taken, out),
                        4 => self.panel::<4>(at, taken, out),
                        _ => self.panel::<ROWS>(at, taken, out),
                    }
                    row += group;
                }
            }
        }
    }

    /// Reads `depth` rows of the matrix in the order of memory and puts each panel's numbers side by side.
    #[inline(always)]
    fn take(self, from: usize, depth: usize, taken: &mut [f32]) {
        for i in 0..depth {
            let row = &self.w[(from + i) * self.n..][..self.width];
            let (whole, rest) = row.as_chunks::<PANEL>();
            for (panel, numbers) in whole.iter().enumerate() {
                taken[panel * PANEL_STEP + i * PANEL..][..PANEL].copy_from_slice(numbers);
            }
            if !rest.is_empty() {
                taken[whole.len() * PANEL_STEP + i * PANEL..][..rest.len()].copy_from_slice(rest);
            }
        }
    }

    /// `R` rows of `x` by one panel over some depth, added to what is there unless the depth begins.
    #[inline(always)]
    fn panel<const R: usize>(self, at: Place, taken: &[f32], out: &mut [&mut [f32]]) {
        let rows = out.len();
        let mut sums = [[0.0f32; PANEL]; R];
        let x = self.x[at.row * self.k + at.from * R..][..at.depth * R].as_chunks::<R>().0;
        let w = taken[at.panel * PANEL_STEP..][..at.depth * PANEL].as_chunks::<PANEL>().0;
        // A panel's lines are asked for one after the other, over the time that all of its rows take: more at once would wait for
        // each other, and the memory have nothing to do afterwards.
        let (mut line, mut due) = (at.row * DEPTH / rows, at.row * DEPTH % rows);
        for (w, x) in w.iter().zip(x) {
            due += R;
            if due >= rows {
                due -= rows;
                self.ask_for(at, line);
                line += 1;
            }
            let w = *w;
            for (sums, &factor) in sums.iter_mut().zip(x) {
                let mut next = *sums;
                for (sum, w) in next.iter_mut().zip(&w) {
                    *sum = factor.mul_add(*w, *sum);
                }
                *sums = next;
            }
        }
        for (sums, out) in sums.iter().zip(&mut out[at.row..]) {
            self.add(sums, at, out);
        }
    }

    /// Adds the sums of a panel to its columns of a row, or begins them. The common case has a fixed number of them: then the
    /// sums stay in registers.
    #[inline(always)]
    fn add(self, sums: &[f32; PANEL], at: Place, out: &mut [f32]) {
        let out = &mut out[at.panel * PANEL..];
        if let Some(out) = out.first_chunk_mut::<PANEL>() {
            if at.from == 0 {
                *out = *sums;
            } else {
                out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
            }
            return;
        }
        let sums = *sums;
        for (out, sum) in out.iter_mut().zip(&sums) {
            *out = if at.from == 0 { *sum } else { *out + sum };
        }
    }

    /// Asks the memory for a line of the rows that are taken next, line by line in its order.
    #[inline(always)]
    fn ask_for(self, at: Place, i: usize) {
        // Of less than a line, one and the same is asked for again and again.
        let lines = (self.width / LANES).max(1);
        let line = at.panel * DEPTH + i;
        prefetch(self.w, (at.from + DEPTH + line / lines) * self.n + line % lines * LANES);
    }
}
