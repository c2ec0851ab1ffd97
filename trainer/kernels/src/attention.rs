//! Causal attention over tiles of queries, forwards and backwards: scores are never kept, only log Σ exp of each query
//! (Dao et al. 2022, without its tiling over keys: a row of scores fits the cache here).

use std::cell::RefCell;

use half::bf16;
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use crate::many_queries::{
    self, Exact,
    rounded::{self, Rounded},
};
use crate::{
    matrix::{Target, View, product_here, product_into},
    number::Number,
    one_query,
    query_tile::Tile,
    share::Shared,
    softmax::{probabilities_backward, softmax},
};

/// Queries of one tile.
const TILE: usize = 64;

/// Sizes of one call. Query head h reads the keys and values of head h · groups / heads.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub batch: usize,
    /// New tokens, which ask.
    pub queries: usize,
    /// Tokens before them, which are only looked at.
    pub before: usize,
    pub heads: usize,
    pub groups: usize,
    pub head_size: usize,
}

impl Sizes {
    pub(crate) fn keys(&self) -> usize {
        self.before + self.queries
    }

    /// Numbers from one token's queries to the next's.
    pub(crate) fn row(&self) -> usize {
        self.heads * self.head_size
    }
}

/// Keys or values in memory, and the steps from one batch row, token and head to the next.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a, N = f32> {
    pub values: &'a [N],
    pub batch: usize,
    pub token: usize,
    pub head: usize,
}

impl<'a, N: Number> Strided<'a, N> {
    /// `[batch, keys, groups, head_size]`, dense.
    pub fn tokens_first(values: &'a [N], sizes: &Sizes) -> Self {
        let row = sizes.groups * sizes.head_size;
        Self { values, batch: sizes.keys() * row, token: row, head: sizes.head_size }
    }

    /// `[batch, groups, capacity, head_size]`, dense.
    pub fn heads_first(values: &'a [N], sizes: &Sizes, capacity: usize) -> Self {
        let head = capacity * sizes.head_size;
        Self { values, batch: sizes.groups * head, token: sizes.head_size, head }
    }
}

impl<'a> Strided<'a> {
    /// The tokens from `first` on of one head: `[count, head_size]`.
    pub(crate) fn tokens(&self, batch: usize, head: usize, first: usize, count: usize, size: usize) -> View<'a> {
        let from = batch * self.batch + head * self.head + first * self.token;
        View::with_steps(&self.values[from..], [count, size], [self.token, 1])
    }
}

/// Which keys the queries see: that of token t in row b sees `starts[b, t] ..= before + t`, and `0 .. shared[b]` besides
/// where its start lies beyond. One that sees none gets zeros.
#[derive(Debug, Clone, Copy)]
pub struct Sight<'a> {
    /// `[batch, queries]`
    pub starts: &'a [u32],
    /// Tokens at the beginning of each row that what branches off from them sees; empty: none in any row.
    pub shared: &'a [u32],
}

/// What attention reads: `q` `[batch, queries, heads, head_size]`, turned and scaled, over the keys (turned) and values that each
/// query sees. They may be kept in another format than float32, which they are computed as.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a, N = f32> {
    pub q: &'a [f32],
    pub k: Strided<'a, N>,
    pub v: Strided<'a, N>,
    pub sight: Sight<'a>,
    /// Whether products may be of numbers rounded to bfloat16, where the processor multiplies these and that is faster.
    pub rounded: bool,
}

/// Attention over keys and values of float32. Writes `out`, shaped like the queries, and log Σ exp of the scores,
/// `[batch, heads, queries]`.
pub fn forward(sizes: &Sizes, asked: Asked, out: &mut [f32], normaliser: &mut [f32]) {
    forward_or(sizes, asked, out, normaliser, forward_on_any);
}

/// As [`forward`] over keys and values of bfloat16, each of which is computed with as the float32 that it is.
pub fn forward_over_bfloat16(sizes: &Sizes, asked: Asked<bf16>, out: &mut [f32], normaliser: &mut [f32]) {
    forward_or(sizes, asked, out, normaliser, one_by_one);
}

/// As [`forward`] by the way for many queries where it is one, else by another.
fn forward_or<N: Number>(
    sizes: &Sizes,
    asked: Asked<N>,
    out: &mut [f32],
    normaliser: &mut [f32],
    otherwise: fn(&Sizes, Asked<N>, &mut [f32], &mut [f32]),
) {
    let Sizes { batch, queries, heads, .. } = *sizes;
    assert_eq!((asked.q.len(), out.len()), (batch * queries * sizes.row(), asked.q.len()));
    assert_eq!((asked.sight.starts.len(), normaliser.len()), (batch * queries, batch * heads * queries));
    if queries == 0 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if asked.rounded && rounded::fits(sizes) {
        return many_queries::forward::<Rounded, N>(sizes, asked, out, normaliser);
    } else if many_queries::fits(sizes) {
        return many_queries::forward::<Exact, N>(sizes, asked, out, normaliser);
    }
    otherwise(sizes, asked, out, normaliser);
}

/// As [`forward`] for any number of queries, on any processor.
pub(crate) fn forward_on_any(sizes: &Sizes, asked: Asked, out: &mut [f32], normaliser: &mut [f32]) {
    let out = Shared::new(out);
    in_tiles(sizes, asked.sight, TILE, normaliser, |tile, normaliser| {
        // SAFETY: every task writes the queries of its own row and head.
        unsafe { tile.forward(asked, &out, normaliser) };
    });
}

/// As [`forward`] for a few queries, each on its own.
fn one_by_one<N: Number>(sizes: &Sizes, asked: Asked<N>, out: &mut [f32], normaliser: &mut [f32]) {
    let out = Shared::new(out);
    in_tiles(sizes, asked.sight, 1, normaliser, |tile, normaliser| {
        // SAFETY: every task writes the queries of its own row and head.
        unsafe { tile.forward_alone(asked, &out, normaliser) };
    });
}

/// Calls `work` for each tile of so many queries, with its part of the normaliser: of different rows and heads at once.
fn in_tiles(
    sizes: &Sizes,
    sight: Sight,
    together: usize,
    normaliser: &mut [f32],
    work: impl Fn(&Tile, &mut [f32]) + Sync,
) {
    let Sizes { batch, queries, heads, .. } = *sizes;
    let one = |(task, normaliser): (usize, &mut [f32])| {
        let (row, head) = (task / heads, task % heads);
        for (tile, normaliser) in normaliser.chunks_mut(together).enumerate() {
            work(&Tile::new(sizes, sight, row, head, tile * together, normaliser.len()), normaliser);
        }
    };
    if queries * sizes.keys() * batch * heads < 4096 {
        normaliser.chunks_mut(queries).enumerate().for_each(one);
    } else {
        normaliser.par_chunks_mut(queries).enumerate().for_each(one);
    }
}

/// What [`backward`] needs of the way there.
#[derive(Debug, Clone, Copy)]
pub struct Passed<'a> {
    pub q: &'a [f32],
    pub k: &'a [f32],
    pub v: &'a [f32],
    pub out: &'a [f32],
    pub normaliser: &'a [f32],
    pub sight: Sight<'a>,
    /// As in [`Asked`].
    pub rounded: bool,
}

/// The gradients for q, k and v, of the shapes of [`forward`] with keys and values `[batch, queries, groups, head_size]` and
/// nothing before; written over whatever is in `of_q`, `of_k`, `of_v`.
pub fn backward(sizes: &Sizes, passed: Passed, gradient: &[f32], of_q: &mut [f32], of_k: &mut [f32], of_v: &mut [f32]) {
    let Sizes { batch, queries, before, groups, head_size, .. } = *sizes;
    assert_eq!(before, 0, "a cache has no gradient");
    let (asked, kept) = (batch * queries * sizes.row(), batch * queries * groups * head_size);
    assert_eq!([passed.q.len(), passed.out.len(), gradient.len(), of_q.len()], [asked; 4]);
    assert_eq!([passed.k.len(), passed.v.len(), of_k.len(), of_v.len()], [kept; 4]);
    of_k.fill(0.0);
    of_v.fill(0.0);
    let of = Gradients { q: Shared::new(of_q), k: Shared::new(of_k), v: Shared::new(of_v) };
    #[cfg(target_arch = "x86_64")]
    if passed.rounded && rounded::fits(sizes) {
        return many_queries::backward::<Rounded>(sizes, passed, gradient, &of);
    } else if many_queries::fits(sizes) {
        return many_queries::backward::<Exact>(sizes, passed, gradient, &of);
    }
    backward_on_any(sizes, passed, gradient, &of);
}

/// As [`backward`] on any processor; the gradients for keys and values are zero before.
pub(crate) fn backward_on_any(sizes: &Sizes, passed: Passed, gradient: &[f32], of: &Gradients) {
    let Sizes { batch, queries, heads, groups, .. } = *sizes;
    (0..batch * groups).into_par_iter().for_each(|task| {
        let (row, group) = (task / groups, task % groups);
        for head in group * heads / groups..(group + 1) * heads / groups {
            for first in (0..queries).step_by(TILE) {
                let tile = Tile::new(sizes, passed.sight, row, head, first, TILE.min(queries - first));
                // SAFETY: every task writes the queries, keys and values of its own row and group.
                unsafe { tile.backward(passed, gradient, of) };
            }
        }
    });
}

/// Where the gradients are written.
pub(crate) struct Gradients<'a> {
    pub(crate) q: Shared<'a>,
    pub(crate) k: Shared<'a>,
    pub(crate) v: Shared<'a>,
}

impl Tile<'_> {
    /// # Safety
    /// Nobody else uses the tile's part of `out`.
    unsafe fn forward(&self, asked: Asked, out: &Shared, normaliser: &mut [f32]) {
        // SAFETY: the caller's promise.
        unsafe {
            if self.count == 1 {
                self.forward_alone(asked, out, normaliser);
            } else if self.keys() == 0 {
                self.see_nothing(out, normaliser);
            } else {
                with_room(self.count * self.keys(), |scores| self.forward_over(asked, out, normaliser, scores));
            }
        }
    }

    /// # Safety
    /// Nobody else uses the tile's part of `out`.
    unsafe fn see_nothing(&self, out: &Shared, normaliser: &mut [f32]) {
        normaliser.fill(0.0);
        for query in 0..self.count {
            // SAFETY: the caller's promise.
            unsafe { out.part(self.place() + query * self.sizes.row(), self.sizes.head_size) }.fill(0.0);
        }
    }

    /// As [`Self::forward`] where there are keys, with room for the scores of each query.
    ///
    /// # Safety
    /// As there.
    unsafe fn forward_over(&self, asked: Asked, out: &Shared, normaliser: &mut [f32], scores: &mut [f32]) {
        let Asked { q, k, v, .. } = asked;
        let keys = self.keys();
        for span in self.spans() {
            let target = Target::write(&mut scores[span.column..], keys);
            product_here(target, self.rows(q), self.of_span(k, &span).transposed());
        }
        for (query, (scores, normaliser)) in scores.chunks_exact_mut(keys).zip(normaliser).enumerate() {
            *normaliser = softmax(scores, &self.seen(query));
        }
        for span in self.spans() {
            let p = View::with_steps(&scores[span.column..], [self.count, span.count], [keys, 1]);
            // SAFETY: the caller's promise.
            unsafe { product_into(out, self.place(), self.sizes.row(), span.column > 0, p, self.of_span(v, &span)) };
        }
    }

    /// As [`Self::forward`] of a tile of one query, over keys and values of any format.
    ///
    /// # Safety
    /// As there.
    unsafe fn forward_alone<N: Number>(&self, asked: Asked<N>, out: &Shared, normaliser: &mut [f32]) {
        let Asked { q, k, v, .. } = asked;
        let keys = self.keys();
        if keys == 0 {
            // SAFETY: the caller's promise.
            return unsafe { self.see_nothing(out, normaliser) };
        }
        // SAFETY: the caller's promise.
        let out = unsafe { out.part(self.place(), self.sizes.head_size) };
        with_room(keys, |scores| {
            for span in self.spans() {
                let keys = self.rows_of_span(k, &span, self.rows_of_span(v, &span, &[]).values);
                one_query::scores(self.row_of(q, 0), keys, &mut scores[span.column..][..span.count]);
            }
            normaliser[0] = softmax(scores, &self.seen(0));
            for span in self.spans() {
                let p = &scores[span.column..][..span.count];
                one_query::mixture(p, self.rows_of_span(v, &span, self.next_head(k)), span.column > 0, out);
            }
        });
    }

    /// # Safety
    /// Nobody else uses the tile's part of the gradient for the queries, nor its row's and group's of the others.
    unsafe fn backward(&self, passed: Passed, gradient: &[f32], of: &Gradients) {
        let (size, row, keys) = (self.sizes.head_size, self.sizes.row(), self.keys());
        if keys == 0 {
            for query in 0..self.count {
                // SAFETY: the caller's promise.
                unsafe { of.q.part(self.place() + query * row, size) }.fill(0.0);
            }
            return;
        }
        with_room(2 * self.count * keys, |room| {
            let (p, ds) = room.split_at_mut(self.count * keys);
            // SAFETY: the caller's promise.
            unsafe { self.backward_over(passed, gradient, of, p, ds) };
        });
    }

    /// As [`Self::backward`] where there are keys, with room for two numbers of each query and key.
    ///
    /// # Safety
    /// As there.
    unsafe fn backward_over(&self, passed: Passed, gradient: &[f32], of: &Gradients, p: &mut [f32], ds: &mut [f32]) {
        let (size, row, keys) = (self.sizes.head_size, self.sizes.row(), self.keys());
        let kept = self.sizes.groups * size;
        let kept_as = |values| Strided::tokens_first(values, self.sizes);
        let (q, gradient_rows) = (self.rows(passed.q), self.rows(gradient));

        for span in self.spans() {
            let (k, v) = (self.of_span(kept_as(passed.k), &span), self.of_span(kept_as(passed.v), &span));
            product_here(Target::write(&mut p[span.column..], keys), q, k.transposed());
            product_here(Target::write(&mut ds[span.column..], keys), gradient_rows, v.transposed());
        }
        let normaliser =
            &passed.normaliser[(self.row * self.sizes.heads + self.head) * self.sizes.queries + self.first..];
        for query in 0..self.count {
            let (p, ds) = (&mut p[query * keys..][..keys], &mut ds[query * keys..][..keys]);
            let (out, gradient) = (self.row_of(passed.out, query), self.row_of(gradient, query));
            probabilities_backward(p, ds, &self.seen(query), normaliser[query], out, gradient);
        }
        for span in self.spans() {
            let of_these = |values| View::with_steps(values, [self.count, span.count], [keys, 1]);
            let (p, ds) = (of_these(&p[span.column..]), of_these(&ds[span.column..]));
            let place = (self.row * self.sizes.queries + span.key) * kept + self.group() * size;
            // SAFETY: the caller's promise.
            unsafe {
                product_into(&of.v, place, kept, true, p.transposed(), gradient_rows);
                product_into(&of.k, place, kept, true, ds.transposed(), q);
                product_into(&of.q, self.place(), row, span.column > 0, ds, self.of_span(kept_as(passed.k), &span));
            }
        }
    }
}

thread_local! {
    /// What [`with_room`] lends.
    static ROOM: RefCell<Vec<f32>> = const { RefCell::new(vec![]) };
}

/// Lends `work` room for `count` numbers, of no particular value: a step of decoding would otherwise take and clear some for every
/// head of every answer.
fn with_room(count: usize, work: impl FnOnce(&mut [f32])) {
    let mut room = ROOM.take();
    if room.len() < count {
        room.resize(count, 0.0);
    }
    work(&mut room[..count]);
    ROOM.set(room);
}

#[cfg(test)]
mod tests;
