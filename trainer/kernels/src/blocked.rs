//! Large products (Goto and van de Geijn 2008): both matrices are copied into the order in which the innermost part reads them,
//! cut so that a panel of one stays in the first cache and a block of the other in the second.

use std::{
    cell::RefCell,
    sync::{Mutex, PoisonError},
};

use rayon::prelude::*;

use crate::{
    copied::Copied,
    copy::{Part, copy, parts, shares},
    matrix::View,
    share::Shared,
    tile::{PANEL, ROWS, Terms, avx2::Tile, has_avx2},
};

/// Products with fewer multiplications, or with a side shorter than [`LEAST`], gain nothing: copying is most of them.
const WORTH: usize = 1 << 21;
const LEAST: usize = 48;
/// Terms that are summed at a time: a panel of so many takes half of the first cache.
pub(crate) const DEPTH: usize = 256;
/// Rows of a block, at most: with as many terms it takes a good quarter of a second cache of 512 KiB.
const BLOCK: usize = 144;
/// Tasks that there are for each thread, if there can be: a core that is held up leaves some of its own to the others.
const TASKS_A_THREAD: usize = 3;
/// Terms and columns of the right matrix that are copied before they are multiplied: a copy takes no more than 16 MiB.
const AT_ONCE: usize = 2048;

/// Memory of the copies of right matrices, kept for the next product: asking for it and clearing it would cost as much as copying.
static KEPT: Mutex<Option<Copied>> = Mutex::new(None);

thread_local! {
    /// The copy of a block of the left matrix: made by who multiplies it, so that it is in the cache.
    static BLOCK_COPY: RefCell<Vec<[f32; ROWS]>> = const { RefCell::new(vec![]) };
}

/// `a·b` on all cores, written to `target`, whose rows lie `row_step` apart, or added to it. A number that is made here is the
/// same whatever the other rows and columns are. `false`, and nothing is done, where the general product is as fast, as it
/// is with AVX-512 (on Zen 4, with vectors of either width here: 0.9 to 1.05 times as fast where no matrix is turned).
pub(crate) fn product(target: &mut [f32], row_step: usize, add: bool, a: View, b: View) -> bool {
    let ([m, k], n) = (a.dims(), b.dims()[1]);
    if m.min(n).min(k) < LEAST || m * n * k < WORTH || !has_avx2() || is_x86_feature_detected!("avx512f") {
        return false;
    }
    multiply_all(target, row_step, add, a, b);
    true
}

/// As [`product`] whatever the sizes are, on a processor that has AVX2.
pub(crate) fn multiply_all(target: &mut [f32], row_step: usize, add: bool, a: View, b: View) {
    let (k, [_, n]) = (a.dims()[1], b.dims());
    assert!(has_avx2(), "a product by the operations of AVX2");
    // Taken, not held: a product that comes meanwhile has memory of its own.
    let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut right = kept().take().unwrap_or_default();
    let target = Target { numbers: Shared::new(target), row_step };
    for terms in parts(k, AT_ONCE) {
        for columns in parts(n, AT_ONCE) {
            right.take(b, terms, columns);
            multiply(&Factors { a, right: &right, terms, columns }, &target, add || terms.first > 0);
        }
    }
    *kept() = Some(right);
}

/// The left matrix and the copy of a part of the right one.
struct Factors<'a> {
    a: View<'a>,
    right: &'a Copied,
    terms: Part,
    columns: Part,
}

/// Where a product is written.
struct Target<'a> {
    numbers: Shared<'a>,
    row_step: usize,
}

/// What a task multiplies: groups of [`ROWS`] rows by panels of columns.
struct Task {
    groups: Part,
    panels: Part,
}

/// A part of the product, written to the target or added to it.
fn multiply(factors: &Factors, target: &Target, add: bool) {
    let m = factors.a.dims()[0];
    let blocks = shares(m.div_ceil(ROWS), m.div_ceil(BLOCK));
    let wanted = TASKS_A_THREAD * rayon::current_num_threads();
    let panels = shares(factors.columns.count.div_ceil(PANEL), wanted.div_ceil(blocks.len()));
    let tasks = panels.iter().flat_map(|&panels| blocks.iter().map(move |&groups| Task { groups, panels }));
    tasks.collect::<Vec<Task>>().into_par_iter().for_each(|task| {
        // SAFETY: the processor has these operations, as `multiply_all` asked; each task writes rows and columns of its own.
        unsafe { task.run(factors, target, add) };
    });
}

impl Task {
    /// # Safety
    /// Nobody else uses the task's rows and columns of the target.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn run(&self, factors: &Factors, target: &Target, add: bool) {
        let Factors { a, right, terms, columns } = *factors;
        let first = self.groups.first * ROWS;
        let rows = Part { first, count: (self.groups.count * ROWS).min(a.dims()[0] - first) };
        let mut copied = BLOCK_COPY.take();
        for from in (0..terms.count).step_by(DEPTH) {
            let depth = DEPTH.min(terms.count - from);
            copied.resize(copied.len().max(self.groups.count * depth), [0.0; ROWS]);
            let left = &mut copied[..self.groups.count * depth];
            copy(a.transposed(), Part { first: terms.first + from, count: depth }, rows, left);
            for panel in self.panels.all() {
                let lines = right.panel(from, panel);
                let column = panel * PANEL;
                let width = PANEL.min(columns.count - column);
                for (group, left) in left.chunks_exact(depth).enumerate() {
                    let row = rows.first + group * ROWS;
                    let place = row * target.row_step + columns.first + column;
                    let places = (place..).step_by(target.row_step).take(ROWS.min(rows.count - group * ROWS));
                    // Asked for now, to be there when the sums are: a tenth of the time otherwise goes into waiting for them.
                    places.clone().for_each(|place| target.numbers.prefetch(place, width));
                    let mut tile = Tile::<ROWS>::zero();
                    tile.add_products(Terms { numbers: left.as_flattened(), row: 1, term: ROWS, count: depth }, lines);
                    for (at, place) in places.enumerate() {
                        // SAFETY: the caller's promise.
                        tile.write_some(at, add || from > 0, unsafe { target.numbers.part(place, width) });
                    }
                }
            }
        }
        BLOCK_COPY.set(copied);
    }
}
