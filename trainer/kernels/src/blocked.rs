//! Large products (Goto and van de Geijn 2008): both matrices are copied into the order in which the innermost part reads them,
//! cut so that a panel of one stays in the first cache and a block of the other in the second.

use std::cell::RefCell;

use rayon::prelude::*;

use crate::{
    copied::{Copied, Part},
    matrix::View,
    share::Shared,
    tile::{PANEL, ROWS, avx2::Tile, avx2_is_widest},
};

/// Products with fewer multiplications, or with a side shorter than [`LEAST`], gain nothing: copying is most of them.
const WORTH: usize = 1 << 21;
const LEAST: usize = 48;
/// Terms that are summed at a time: a panel of so many takes half of the first cache.
pub(crate) const DEPTH: usize = 256;
/// Rows of a block, at most: with as many terms it takes a good third of the second cache.
const BLOCK: usize = 192;
/// Panels that a task multiplies a block with, at most.
const PANELS_A_TASK: usize = 32;
/// Tasks that there are if there can be: a core that is held up leaves some of its own to the others.
const TASKS: usize = 8;
/// Terms, rows and columns that are copied before they are multiplied: a copy takes no more than 16 MiB.
const AT_ONCE: usize = 2048;

/// The copies of `a` and of `b`.
type Copies = (Copied<ROWS>, Copied<PANEL>);

thread_local! {
    /// Their memory, kept for the next product: asking for it and clearing it would cost as much as copying.
    static KEPT: RefCell<Copies> = RefCell::default();
}

/// `a·b` on all cores, written to `target`, whose rows lie `row_step` apart, or added to it. A number is the same whatever the
/// other rows and columns are. `false`, and nothing is done, where the general product is as fast, and with AVX-512, where the
/// two have not been compared.
pub(crate) fn product(target: &mut [f32], row_step: usize, add: bool, a: View, b: View) -> bool {
    let ([m, k], [_, n]) = (a.dims(), b.dims());
    if m.min(n).min(k) < LEAST || m * n * k < WORTH || !avx2_is_widest() {
        return false;
    }
    // Taken, not borrowed: a thread that waits for others may be given another product meanwhile.
    let (mut left, mut right) = KEPT.take();
    let target = Target { numbers: Shared::new(target), row_step };
    for terms in parts(k) {
        for rows in parts(m) {
            for columns in parts(n) {
                rayon::join(
                    // What is still there from the last time is not copied again.
                    || (columns.first == 0).then(|| left.take(a.transposed(), terms, rows)),
                    || (rows.first == 0 || n > AT_ONCE).then(|| right.take(b, terms, columns)),
                );
                multiply(&left, &right, &target, [rows, columns], add || terms.first > 0);
            }
        }
    }
    KEPT.set((left, right));
    true
}

fn parts(count: usize) -> impl Iterator<Item = Part> {
    (0..count).step_by(AT_ONCE).map(move |first| Part { first, count: AT_ONCE.min(count - first) })
}

/// Where a product is written.
struct Target<'a> {
    numbers: Shared<'a>,
    row_step: usize,
}

/// What a task multiplies: panels of rows by panels of columns.
struct Task {
    rows: Part,
    columns: Part,
}

/// The product of two copies, written to a part of the target or added to it.
fn multiply(left: &Copied<ROWS>, right: &Copied<PANEL>, target: &Target, [rows, columns]: [Part; 2], add: bool) {
    let of_rows = shares(rows.count.div_ceil(ROWS), rows.count.div_ceil(BLOCK));
    let panels = columns.count.div_ceil(PANEL);
    let of_columns = shares(panels, panels.div_ceil(PANELS_A_TASK).max(TASKS.div_ceil(of_rows.len())));
    let tasks: Vec<Task> =
        of_columns.iter().flat_map(|&columns| of_rows.iter().map(move |&rows| Task { rows, columns })).collect();
    tasks.into_par_iter().for_each(|task| {
        // SAFETY: the processor has these operations, as `product` asked; each task writes rows and columns of its own.
        unsafe { task.run(left, right, target, [rows, columns], add) };
    });
}

/// `count` things in `shares` nearly equal parts.
fn shares(count: usize, shares: usize) -> Vec<Part> {
    let each = count.div_ceil(shares.max(1)).max(1);
    (0..count).step_by(each).map(|first| Part { first, count: each.min(count - first) }).collect()
}

impl Task {
    /// # Safety
    /// Nobody else uses the task's rows and columns of the target.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn run(
        &self,
        left: &Copied<ROWS>,
        right: &Copied<PANEL>,
        target: &Target,
        [rows, columns]: [Part; 2],
        add: bool,
    ) {
        for from in (0..left.terms()).step_by(DEPTH) {
            for panel in self.columns.all() {
                let lines = right.panel(from, panel);
                let column = panel * PANEL;
                let width = PANEL.min(columns.count - column);
                for group in self.rows.all() {
                    let row = group * ROWS;
                    let place = (rows.first + row) * target.row_step + columns.first + column;
                    let places = (place..).step_by(target.row_step).take(ROWS.min(rows.count - row));
                    // Asked for now, to be there when the sums are: a tenth of the time otherwise goes into waiting for them.
                    places.clone().for_each(|place| target.numbers.prefetch(place, width));
                    let mut tile = Tile::<ROWS>::zero();
                    tile.add_products(left.panel(from, group), lines);
                    for (at, place) in places.enumerate() {
                        // SAFETY: the caller's promise.
                        tile.write_some(at, add || from > 0, unsafe { target.numbers.part(place, width) });
                    }
                }
            }
        }
    }
}
