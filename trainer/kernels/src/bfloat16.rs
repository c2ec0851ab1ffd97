//! Products of numbers rounded to bfloat16, added up in float32: what processors with AVX512-BF16 (Zen 4, Sapphire Rapids) do at
//! twice the rate of float32, and what decoding reads from memory in half the time.
//!
//! Both matrices are put in the order in which the innermost part reads them (Goto and van de Geijn 2008), and rounded on the
//! way, to nearest, ties to even. Two terms that follow each other share a word, as the processor's operation takes them. Each
//! number of a product is made in one order, whatever the other rows and columns are, and however many threads there are.

use std::{
    cell::RefCell,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use rayon::prelude::*;

use crate::{
    copy::{Part, parts, shares},
    matrix::{Target, View},
    share::Shared,
};

#[cfg(target_arch = "x86_64")]
mod native;
mod order;
mod tile;

#[cfg(target_arch = "x86_64")]
pub(crate) use native::transposed;
use order::{Line, Side, put_left_in_order, put_right_in_order};
use tile::{LeftWords, Way};

/// Columns that are multiplied at a time: two vectors of AVX-512.
const PANEL: usize = 32;
/// Terms that are summed at a time: a panel of so many takes half of the first cache.
const DEPTH: usize = 256;
/// As many pairs of terms.
const PAIRS: usize = DEPTH / 2;
/// Rows of a block, at most: over as many terms as are multiplied at once it takes 768 KiB of the second cache. Half as many are a
/// tenth slower.
const BLOCK: usize = 192;
/// Rows that blocks are multiples of: then no rows are left over but at the end.
const TOGETHER: usize = 12;
/// Tasks that there are for each thread, if there can be: a core that is held up leaves some of its own to the others.
const TASKS_A_THREAD: usize = 3;
/// Terms, and columns of the right matrix, that are put in order before they are multiplied.
const AT_ONCE: usize = 2048;
/// Panels that one task puts in order.
const PANELS_A_TASK: usize = 8;

/// Memory of right matrices in order, kept for the next product: asking for it and clearing it would cost as much as filling it.
static KEPT: Mutex<Vec<Line>> = Mutex::new(vec![]);

thread_local! {
    /// A block of the left matrix: put in order by who multiplies it, so that it is in the cache.
    static LEFT: RefCell<Vec<u32>> = const { RefCell::new(vec![]) };
}

/// Whether the processor multiplies bfloat16 itself; elsewhere the numbers are rounded all the same, and multiplied as float32.
pub fn is_native() -> bool {
    Way::of_processor() == Way::Native
}

/// A matrix `[k, n]` rounded to bfloat16 in the order in which products read it: for what is multiplied again and again, as
/// decoding does with a model's matrices. A clone is the same memory.
#[derive(Debug, Clone)]
pub struct Rounded {
    lines: Arc<Vec<Line>>,
    k: usize,
    n: usize,
}

impl Rounded {
    /// Rounds a matrix.
    pub fn new(from: View) -> Self {
        let [k, n] = from.dims();
        let mut lines = vec![];
        let [terms, columns] = [k, n].map(|count| Part { first: 0, count });
        order_right(from, terms, columns, &mut lines);
        Self { lines: Arc::new(lines), k, n }
    }

    /// Rows and columns.
    pub fn dims(&self) -> [usize; 2] {
        [self.k, self.n]
    }

    /// A part of it, which begins with one of [`AT_ONCE`] terms.
    fn part(&self, terms: Part) -> Right<'_> {
        Right { lines: &self.lines, pairs: self.k.div_ceil(2), first: terms.first / 2, columns: self.n }
    }
}

/// `a·b` of the numbers rounded to bfloat16, into `target`, on all cores.
pub fn product(target: Target, a: View, b: View) {
    let (k, [_, n]) = (a.dims()[1], b.dims());
    let target = Output::of(target, a, b.dims());
    // Taken, not held: a product that comes meanwhile has memory of its own.
    let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut lines = std::mem::take(&mut *kept());
    for terms in parts(k, AT_ONCE) {
        for columns in parts(n, AT_ONCE) {
            order_right(b, terms, columns, &mut lines);
            let right = Right { lines: &lines, pairs: terms.count.div_ceil(2), first: 0, columns: columns.count };
            multiply(&Left { a, terms }, &[(right, target.columns_from(columns.first))], terms.first > 0);
        }
    }
    *kept() = lines;
}

/// As [`product`] with some matrices that are in order: each `a·b`, dense, to its place. Threads are brought together once for
/// all of them.
pub fn products_with<const N: usize>(a: View, b: [&Rounded; N], out: [&mut [f32]; N]) {
    let k = a.dims()[1];
    let outputs: Vec<Output> =
        b.iter().zip(out).map(|(b, out)| Output::of(Target::write(out, b.n), a, b.dims())).collect();
    for terms in parts(k, AT_ONCE) {
        let products = b.iter().zip(&outputs).map(|(b, output)| (b.part(terms), output.columns_from(0)));
        multiply(&Left { a, terms }, &products.collect::<Vec<_>>(), terms.first > 0);
    }
}

/// Panels of some columns over some terms, one after the other, into the first lines.
fn order_right(from: View, terms: Part, columns: Part, lines: &mut Vec<Line>) {
    let pairs = terms.count.div_ceil(2);
    let count = columns.count.div_ceil(PANEL) * pairs;
    if lines.len() < count {
        lines.clear();
        lines.resize(count, Line::ZERO);
    }
    if pairs > 0 {
        let tasks = lines[..count].par_chunks_mut(PANELS_A_TASK * pairs).enumerate();
        tasks.for_each(|(task, panels)| {
            let before = task * PANELS_A_TASK * PANEL;
            let columns = Part { first: columns.first + before, count: columns.count - before };
            put_right_in_order(Way::of_processor(), from, terms, columns, panels);
        });
    }
}

/// The left matrix, over some terms.
#[derive(Clone, Copy)]
struct Left<'a> {
    a: View<'a>,
    terms: Part,
}

/// The right matrix in order: panels of so many pairs of terms, of which those from `first` on are multiplied.
#[derive(Clone, Copy)]
struct Right<'a> {
    lines: &'a [Line],
    pairs: usize,
    first: usize,
    columns: usize,
}

impl Right<'_> {
    fn panel(&self, panel: usize, pairs: Range<usize>) -> &[Line] {
        &self.lines[panel * self.pairs + self.first + pairs.start..][..pairs.len()]
    }
}

/// Where a product is written.
struct Output<'a> {
    numbers: Shared<'a>,
    row_step: usize,
    add: bool,
}

/// The same from a column on.
struct Columns<'o, 'a> {
    output: &'o Output<'a>,
    first: usize,
}

impl<'a> Output<'a> {
    /// Stops where the sizes don't fit each other; without any term a product is zero.
    fn of(target: Target<'a>, a: View, [k, n]: [usize; 2]) -> Self {
        let [m, _] = a.dims();
        target.check(a, [k, n]);
        let (values, row_step, add) = target.into_parts();
        if k == 0 && !add && m * n > 0 {
            values.chunks_mut(row_step).take(m).for_each(|row| row[..n].fill(0.0));
        }
        Self { numbers: Shared::new(values), row_step, add }
    }

    fn columns_from(&self, first: usize) -> Columns<'_, 'a> {
        Columns { output: self, first }
    }
}

/// What a task multiplies: some rows by some panels.
struct Task {
    rows: Part,
    panels: Part,
}

/// A part of some products, written or added to what the parts before have made.
fn multiply(left: &Left, products: &[(Right, Columns)], later: bool) {
    let m = left.a.dims()[0];
    if m == 0 || left.terms.count == 0 {
        return;
    }
    let way = Way::of_processor();
    let blocks = shares(m.div_ceil(TOGETHER), m.div_ceil(BLOCK));
    let rows = |groups: Part| {
        let first = groups.first * TOGETHER;
        Part { first, count: (groups.count * TOGETHER).min(m - first) }
    };
    let wanted = (TASKS_A_THREAD * rayon::current_num_threads()).div_ceil(blocks.len());
    let mut tasks = vec![];
    for (right, target) in products.iter().filter(|(right, _)| right.columns > 0) {
        for panels in shares(right.columns.div_ceil(PANEL), wanted) {
            tasks.extend(blocks.iter().map(|&groups| (right, target, Task { rows: rows(groups), panels })));
        }
    }
    tasks.into_par_iter().for_each(|(right, target, task)| {
        task.run(way, left, *right, target, target.output.add || later);
    });
}

impl Task {
    fn run(&self, way: Way, left: &Left, right: Right, target: &Columns, add: bool) {
        let groups = way.groups(self.rows.count);
        let pairs = left.terms.count.div_ceil(2);
        let size = way.words_a_row(pairs);
        let apart = Side::of(left.a.transposed()) == Some(Side::Terms);
        let mut words = LEFT.take();
        words.resize(words.len().max(self.rows.count * size), 0);
        put_left_in_order(way, left.a, left.terms, [self.rows.first, size], &groups, &mut words);
        for panel in self.panels.all() {
            let column = panel * PANEL;
            let width = PANEL.min(right.columns - column);
            for from in (0..pairs).step_by(PAIRS) {
                let depth = from..pairs.min(from + PAIRS);
                let lines = right.panel(panel, depth.clone());
                for group in &groups {
                    let place = (self.rows.first + group.first) * target.output.row_step + target.first + column;
                    let rows = tile::Rows {
                        numbers: &target.output.numbers,
                        place,
                        step: target.output.row_step,
                        width,
                        add: add || from > 0,
                    };
                    let first = group.first * size + group.count * way.words_a_row(depth.start);
                    let words = &words[first..][..group.count * way.words_a_row(depth.len())];
                    let left = LeftWords { words, apart, ahead: group.first == 0 };
                    // SAFETY: each task writes rows and columns of its own.
                    unsafe { way.multiply(group.count, left, lines, &rows) };
                }
            }
        }
        LEFT.set(words);
    }
}

#[cfg(test)]
mod tests;
