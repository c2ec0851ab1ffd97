//! Attention of many queries of a row, on AVX2: its keys and values are put in the order of the product once for all queries
//! and heads that read them, and what no query sees is not multiplied.

use std::{cell::RefCell, thread::LocalKey};

use rayon::prelude::*;

pub(crate) mod rounded;

use crate::{
    attention::{Asked, Gradients, Passed, Sizes, Strided},
    copied::Lines,
    copy::{Part, copy},
    few_rows::prefetch,
    matrix::View,
    number::Number,
    query_tile::Tile,
    share::Shared,
    softmax::{probabilities_backward, softmax},
    tile::{PANEL, Panel, ROWS, Terms, avx2::Tile as Sums, has_avx2},
    wide,
};

/// Queries of one tile: with the scores of some hundred keys they stay in the second cache beside the keys and values of a head.
const TILE: usize = 8 * ROWS;
/// Queries of a row that are worth putting its keys in order.
const LEAST: usize = 2 * ROWS;
/// Tasks that there are for each thread, if there can be.
const TASKS_A_THREAD: usize = 3;
/// Rows that are asked for before they are copied.
const AHEAD: usize = 8;

/// By products of float32.
#[derive(Default)]
pub(crate) struct Exact {
    /// Of keys and of values: for every [`PANEL`] tokens the numbers of a head, one line each.
    across: [Lines; 2],
    /// Of keys and of values: for every token the numbers of a head, [`PANEL`] a line.
    along: [Lines; 2],
    /// The queries of a tile and the gradients for what they gave: as `along`.
    rows: [Lines; 2],
    /// Scores and their gradients: a line for every [`PANEL`] keys of a query, and one more.
    scores: [Lines; 2],
}

thread_local! {
    static ROOM: RefCell<Exact> = RefCell::default();
}

/// Whether a call is for the functions here.
pub(crate) fn fits(sizes: &Sizes) -> bool {
    let Sizes { queries, heads, groups, head_size, .. } = *sizes;
    let has_size = head_size > 0 && head_size.is_multiple_of(PANEL) && heads.is_multiple_of(groups);
    has_size && queries >= LEAST && has_avx2()
}

/// How a task computes what its heads are for, with room of its own that is kept for the next.
pub(crate) trait Way: Default + 'static {
    /// Queries of one tile.
    const TILE: usize;

    /// The thread's room.
    fn room() -> &'static LocalKey<RefCell<Self>>;

    /// Lends `work` the thread's room.
    fn with(work: impl FnOnce(&mut Self)) {
        let mut room = Self::room().take();
        work(&mut room);
        Self::room().set(room);
    }

    /// Puts in order all keys and values that a head of a row reads, as the way there takes them or the way back.
    fn put_in_order<N: Number>(
        &mut self,
        sizes: &Sizes,
        kept: [Strided<N>; 2],
        row_and_head: [usize; 2],
        is_back: bool,
    );

    /// # Safety
    /// Nobody else uses the tile's part of `out`.
    unsafe fn attend(&mut self, tile: &Tile, q: &[f32], out: &Shared, normaliser: &mut [f32]);

    /// # Safety
    /// Nobody else uses the tile's part of the gradient for the queries, nor its row's and group's of the others.
    unsafe fn attend_back(&mut self, tile: &Tile, passed: Passed, gradient: &[f32], of: &Gradients);
}

/// As [`crate::attention::forward`].
pub(crate) fn forward<W: Way, N: Number>(sizes: &Sizes, asked: Asked<N>, out: &mut [f32], normaliser: &mut [f32]) {
    let Asked { q, k, v, sight, .. } = asked;
    let Sizes { batch, queries, heads, groups, .. } = *sizes;
    let out = Shared::new(out);
    let enough = batch * groups >= TASKS_A_THREAD * rayon::current_num_threads();
    let together = if enough { heads / groups } else { 1 };
    normaliser.par_chunks_mut(together * queries).enumerate().for_each(|(task, normaliser)| {
        let (row, first) = (task * together / heads, task * together % heads);
        W::with(|way| {
            way.put_in_order(sizes, [k, v], [row, first], false);
            for (head, normaliser) in normaliser.chunks_mut(queries).enumerate() {
                for (at, normaliser) in normaliser.chunks_mut(W::TILE).enumerate() {
                    let tile = Tile::new(sizes, sight, row, first + head, at * W::TILE, normaliser.len());
                    // SAFETY: every task writes the queries of its own row and heads.
                    unsafe { way.attend(&tile, q, &out, normaliser) };
                }
            }
        });
    });
}

/// As [`crate::attention::backward`]; the gradients for keys and values are zero before.
pub(crate) fn backward<W: Way>(sizes: &Sizes, passed: Passed, gradient: &[f32], of: &Gradients) {
    let Sizes { batch, queries, heads, groups, .. } = *sizes;
    let kept = [passed.k, passed.v].map(|values| Strided::tokens_first(values, sizes));
    let together = heads / groups;
    (0..batch * groups).into_par_iter().for_each(|task| {
        let (row, first) = (task / groups, task % groups * together);
        W::with(|way| {
            way.put_in_order(sizes, kept, [row, first], true);
            for head in first..first + together {
                for query in (0..queries).step_by(W::TILE) {
                    let tile = Tile::new(sizes, passed.sight, row, head, query, W::TILE.min(queries - query));
                    // SAFETY: every task writes the queries, keys and values of its own row and group.
                    unsafe { way.attend_back(&tile, passed, gradient, of) };
                }
            }
        });
    });
}

impl Way for Exact {
    const TILE: usize = TILE;

    fn room() -> &'static LocalKey<RefCell<Self>> {
        &ROOM
    }

    fn put_in_order<N: Number>(
        &mut self,
        sizes: &Sizes,
        kept: [Strided<N>; 2],
        row_and_head: [usize; 2],
        is_back: bool,
    ) {
        for (at, kept) in kept.into_iter().enumerate() {
            put_along(sizes, kept, row_and_head, &mut self.along[at]);
            if at == 0 || is_back {
                put_across(sizes, &self.along[at], &mut self.across[at]);
            }
        }
    }

    unsafe fn attend(&mut self, tile: &Tile, q: &[f32], out: &Shared, normaliser: &mut [f32]) {
        // SAFETY: the processor has these operations, as `fits` asked; the caller's promise.
        unsafe { tile.attend(q, self, out, normaliser) };
    }

    unsafe fn attend_back(&mut self, tile: &Tile, passed: Passed, gradient: &[f32], of: &Gradients) {
        // SAFETY: as above.
        unsafe { tile.attend_back(passed, gradient, self, of) };
    }
}

/// All keys or values that a head of a row reads, along the tokens.
fn put_along<N: Number>(sizes: &Sizes, from: Strided<N>, [row, head]: [usize; 2], lines: &mut Lines) {
    let (tokens, size) = (sizes.keys(), sizes.head_size);
    let first = row * from.batch + head * sizes.groups / sizes.heads * from.head;
    let token = |token: usize| &from.values[first + token * from.token..];
    copy_rows(tokens, size, token, lines.room(tokens * size / PANEL));
}

/// Some rows of `size` numbers, one behind the other. They lie far apart where they come from, so that they are asked for ahead.
fn copy_rows<'a, N: Number + 'a>(
    count: usize,
    size: usize,
    row: impl Fn(usize) -> &'a [N],
    lines: &mut [[f32; PANEL]],
) {
    wide(
        #[inline(always)]
        || {
            for (at, lines) in lines.chunks_exact_mut(size / PANEL).take(count).enumerate() {
                if at + AHEAD < count {
                    (0..size).step_by(PANEL).for_each(|number| prefetch(row(at + AHEAD), number));
                }
                for (line, numbers) in lines.iter_mut().zip(row(at)[..size].as_chunks::<PANEL>().0) {
                    *line = numbers.map(N::float32);
                }
            }
        },
    );
}

/// What is along the tokens, across them.
fn put_across(sizes: &Sizes, along: &Lines, across: &mut Lines) {
    let (tokens, size) = (sizes.keys(), sizes.head_size);
    let along = View::new(&along.all().as_flattened()[..tokens * size], tokens, size).transposed();
    let lines = across.room(tokens.div_ceil(PANEL) * size);
    wide(
        #[inline(always)]
        || copy(along, Part { first: 0, count: size }, Part { first: 0, count: tokens }, lines),
    );
}

impl Tile<'_> {
    /// The key after the last one that the first so many queries see.
    fn end(&self, queries: usize) -> usize {
        self.sizes.before + self.first + queries.min(self.count)
    }

    /// Rows of queries that there is room for.
    fn room(&self) -> usize {
        self.count.next_multiple_of(ROWS)
    }

    /// Lines of one query's scores: one more than there are, for what is read at the end beyond them, and since rows that lie an even power
    /// of two apart would drive each other out of the cache.
    fn score_lines(&self) -> usize {
        self.sizes.keys().div_ceil(PANEL) + 1
    }

    /// The tile's rows of a tensor shaped like the queries, one behind the other.
    fn copy_rows(&self, from: &[f32], lines: &mut Lines) {
        let size = self.sizes.head_size;
        let lines = lines.room(self.room() * size / PANEL);
        copy_rows(self.count, size, |query| self.row_of(from, query), lines);
    }

    /// # Safety
    /// Nobody else uses the tile's part of `out`.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn attend(&self, q: &[f32], room: &mut Exact, out: &Shared, normaliser: &mut [f32]) {
        self.copy_rows(q, &mut room.rows[0]);
        let lines = self.score_lines();
        let scores = room.scores[0].room(self.room() * lines);
        self.scores(room.rows[0].all(), room.across[0].all(), scores);
        for (query, (scores, normaliser)) in scores.chunks_exact_mut(lines).zip(normaliser).enumerate() {
            let scores = &mut scores.as_flattened_mut()[..self.end(self.count)];
            *normaliser = softmax(scores, &self.seen_keys(query));
        }
        // SAFETY: the caller's promise.
        unsafe { self.mixture(scores, room.along[1].all(), out) };
    }

    /// # Safety
    /// Nobody else uses the tile's part of the gradient for the queries, nor its row's and group's of the others.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn attend_back(&self, passed: Passed, gradient: &[f32], room: &mut Exact, of: &Gradients) {
        let Sizes { queries, heads, .. } = *self.sizes;
        self.copy_rows(passed.q, &mut room.rows[0]);
        self.copy_rows(gradient, &mut room.rows[1]);
        let lines = self.score_lines();
        let [p, ds] = room.scores.each_mut().map(|scores| scores.room(self.room() * lines));
        self.scores(room.rows[0].all(), room.across[0].all(), p);
        self.scores(room.rows[1].all(), room.across[1].all(), ds);
        let normaliser = &passed.normaliser[(self.row * heads + self.head) * queries + self.first..][..self.count];
        let rows = p.chunks_exact_mut(lines).zip(ds.chunks_exact_mut(lines)).zip(normaliser).enumerate();
        for (query, ((p, ds), &normaliser)) in rows {
            let [p, ds] = [p, ds].map(|scores| &mut scores.as_flattened_mut()[..self.end(self.count)]);
            let (out, gradient) = (self.row_of(passed.out, query), self.row_of(gradient, query));
            probabilities_backward(p, ds, &self.seen_keys(query), normaliser, out, gradient);
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.mixture(ds, room.along[0].all(), &of.q);
            self.add_weighted(p, room.rows[1].all(), &of.v);
            self.add_weighted(ds, room.rows[0].all(), &of.k);
        }
    }

    /// Each row times each key that one of those it is multiplied with sees.
    #[target_feature(enable = "avx2,fma")]
    fn scores(&self, rows: &[[f32; PANEL]], across: &[[f32; PANEL]], scores: &mut [[f32; PANEL]]) {
        let (size, lines) = (self.sizes.head_size, self.score_lines());
        for range in self.ranges() {
            for panel in range.start / PANEL..range.end.div_ceil(PANEL) {
                let keys = Panel { lines: &across[panel * size..][..size], step: 1 };
                for first in (0..self.count).step_by(ROWS).filter(|first| self.end(first + ROWS) > panel * PANEL) {
                    let numbers = rows[first * size / PANEL..].as_flattened();
                    let mut sums = Sums::<ROWS>::zero();
                    sums.add_products(Terms { numbers, row: size, term: 1, count: size }, keys);
                    for row in 0..ROWS {
                        sums.write(row, false, &mut scores[(first + row) * lines + panel]);
                    }
                }
            }
        }
    }

    /// Each query's scores times the lines of the tokens.
    ///
    /// # Safety
    /// Nobody else uses the tile's part of `out`.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn mixture(&self, scores: &[[f32; PANEL]], along: &[[f32; PANEL]], out: &Shared) {
        let (step, row) = (self.sizes.head_size / PANEL, self.score_lines() * PANEL);
        for first in (0..self.count).step_by(ROWS) {
            let scores = &scores.as_flattened()[first * row..];
            for column in 0..step {
                let mut sums = Sums::<ROWS>::zero();
                for range in self.ranges() {
                    let count = range.end.min(self.end(first + ROWS)).saturating_sub(range.start);
                    if count > 0 {
                        let panel = Panel { lines: &along[range.start * step + column..], step };
                        sums.add_products(Terms { numbers: &scores[range.start..], row, term: 1, count }, panel);
                    }
                }
                for query in 0..ROWS.min(self.count - first) {
                    let place = self.place() + (first + query) * self.sizes.row() + column * PANEL;
                    // SAFETY: the caller's promise.
                    sums.write_some(query, false, unsafe { out.part(place, PANEL) });
                }
            }
        }
    }

    /// Adds to each key or value the queries' rows times its weights.
    ///
    /// # Safety
    /// Nobody else uses the keys or values of the tile's row and group in `out`.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add_weighted(&self, weights: &[[f32; PANEL]], rows: &[[f32; PANEL]], out: &Shared) {
        let Sizes { queries, groups, head_size, .. } = *self.sizes;
        let (step, term) = (head_size / PANEL, self.score_lines() * PANEL);
        for range in self.ranges() {
            for key in range.clone().step_by(ROWS) {
                // Queries before see none of these keys.
                let first = key.saturating_sub(self.first).min(self.count);
                let numbers = &weights.as_flattened()[first * term + key..];
                for column in 0..step {
                    let panel = Panel { lines: &rows[first * step + column..], step };
                    let mut sums = Sums::<ROWS>::zero();
                    sums.add_products(Terms { numbers, row: 1, term, count: self.count - first }, panel);
                    for at in 0..ROWS.min(range.end - key) {
                        let token = self.row * queries + key + at;
                        let place = (token * groups + self.group()) * head_size + column * PANEL;
                        // SAFETY: the caller's promise.
                        sums.write_some(at, true, unsafe { out.part(place, PANEL) });
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
