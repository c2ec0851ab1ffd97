//! Causal attention over tiles of queries, forwards and backwards: scores are never kept, only log Σ exp of each query
//! (Dao et al. 2022, without its tiling over keys: a row of scores fits the cache here).

use rayon::prelude::*;

use crate::{
    math::{LANES, dot, exp, largest, total},
    matrix::{Target, View, product_here, product_into},
    share::Shared,
    wide,
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
    fn keys(&self) -> usize {
        self.before + self.queries
    }

    /// Numbers from one token's queries to the next's.
    fn row(&self) -> usize {
        self.heads * self.head_size
    }
}

/// Keys or values in memory, and the steps from one batch row, token and head to the next.
#[derive(Debug, Clone, Copy)]
pub struct Strided<'a> {
    pub values: &'a [f32],
    pub batch: usize,
    pub token: usize,
    pub head: usize,
}

impl<'a> Strided<'a> {
    /// `[batch, keys, groups, head_size]`, dense.
    pub fn tokens_first(values: &'a [f32], sizes: &Sizes) -> Self {
        let row = sizes.groups * sizes.head_size;
        Self { values, batch: sizes.keys() * row, token: row, head: sizes.head_size }
    }

    /// `[batch, groups, capacity, head_size]`, dense.
    pub fn heads_first(values: &'a [f32], sizes: &Sizes, capacity: usize) -> Self {
        let head = capacity * sizes.head_size;
        Self { values, batch: sizes.groups * head, token: sizes.head_size, head }
    }

    /// The tokens from `first` on of one head: `[count, head_size]`.
    fn tokens(&self, batch: usize, head: usize, first: usize, count: usize, size: usize) -> View<'a> {
        let from = batch * self.batch + head * self.head + first * self.token;
        View::with_steps(&self.values[from..], [count, size], [self.token, 1])
    }
}

/// Attention of `q` `[batch, queries, heads, head_size]`, turned and scaled, over keys (turned) and values. The query of
/// token t in row b sees the keys `starts[b, t] ..= before + t`; one that sees none gets zeros. Writes `out`, shaped like
/// `q`, and log Σ exp of the scores, `[batch, heads, queries]`.
pub fn forward(
    sizes: &Sizes,
    q: &[f32],
    k: Strided,
    v: Strided,
    starts: &[u32],
    out: &mut [f32],
    normaliser: &mut [f32],
) {
    let Sizes { batch, queries, heads, .. } = *sizes;
    assert_eq!((q.len(), out.len()), (batch * queries * sizes.row(), q.len()));
    assert_eq!((starts.len(), normaliser.len()), (batch * queries, batch * heads * queries));
    let out = Shared::new(out);
    let one = |(task, normaliser): (usize, &mut [f32])| {
        let (row, head) = (task / heads, task % heads);
        for (tile, normaliser) in normaliser.chunks_mut(TILE).enumerate() {
            let tile = Tile::new(sizes, starts, row, head, tile * TILE, normaliser.len());
            // SAFETY: every task writes the queries of its own row and head.
            unsafe { tile.forward(q, k, v, &out, normaliser) };
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
    pub starts: &'a [u32],
}

/// The gradients for q, k and v, of the shapes of [`forward`] with keys and values `[batch, queries, groups, head_size]` and
/// nothing before; written over whatever is in `of_q`, `of_k`, `of_v`.
pub fn backward(sizes: &Sizes, passed: Passed, gradient: &[f32], of_q: &mut [f32], of_k: &mut [f32], of_v: &mut [f32]) {
    let Sizes { batch, queries, before, heads, groups, head_size } = *sizes;
    assert_eq!(before, 0, "a cache has no gradient");
    let (asked, kept) = (batch * queries * sizes.row(), batch * queries * groups * head_size);
    assert_eq!([passed.q.len(), passed.out.len(), gradient.len(), of_q.len()], [asked; 4]);
    assert_eq!([passed.k.len(), passed.v.len(), of_k.len(), of_v.len()], [kept; 4]);
    of_k.fill(0.0);
    of_v.fill(0.0);
    let of = Gradients { q: Shared::new(of_q), k: Shared::new(of_k), v: Shared::new(of_v) };
    (0..batch * groups).into_par_iter().for_each(|task| {
        let (row, group) = (task / groups, task % groups);
        for head in group * heads / groups..(group + 1) * heads / groups {
            for first in (0..queries).step_by(TILE) {
                let tile = Tile::new(sizes, passed.starts, row, head, first, TILE.min(queries - first));
                // SAFETY: every task writes the queries, keys and values of its own row and group.
                unsafe { tile.backward(passed, gradient, &of) };
            }
        }
    });
}

struct Gradients<'a> {
    q: Shared<'a>,
    k: Shared<'a>,
    v: Shared<'a>,
}

/// Some queries of one head of one row.
struct Tile<'a> {
    sizes: &'a Sizes,
    starts: &'a [u32],
    row: usize,
    head: usize,
    /// The first query.
    first: usize,
    count: usize,
    /// The first key that any of them sees, and how many from there on to the last.
    first_key: usize,
    keys: usize,
}

impl<'a> Tile<'a> {
    fn new(sizes: &'a Sizes, starts: &'a [u32], row: usize, head: usize, first: usize, count: usize) -> Self {
        let starts = &starts[row * sizes.queries + first..][..count];
        let end = sizes.before + first + count;
        let first_key = starts.iter().min().map_or(end, |&start| (start as usize).min(end));
        Self { sizes, starts, row, head, first, count, first_key, keys: end - first_key }
    }

    fn group(&self) -> usize {
        self.head * self.sizes.groups / self.sizes.heads
    }

    /// Where the tile's first query lies in `[batch, queries, heads, head_size]`.
    fn place(&self) -> usize {
        (self.row * self.sizes.queries + self.first) * self.sizes.row() + self.head * self.sizes.head_size
    }

    /// The tile's rows of a tensor shaped like the queries: `[count, head_size]`.
    fn rows<'b>(&self, values: &'b [f32]) -> View<'b> {
        View::with_steps(&values[self.place()..], [self.count, self.sizes.head_size], [self.sizes.row(), 1])
    }

    /// One query's row of a tensor shaped like the queries.
    fn row_of<'b>(&self, values: &'b [f32], query: usize) -> &'b [f32] {
        &values[self.place() + query * self.sizes.row()..][..self.sizes.head_size]
    }

    /// The keys that a query sees, counted from the tile's first.
    fn seen(&self, query: usize) -> std::ops::Range<usize> {
        let end =
            self.sizes.before + self.first + query + 1 - self.first_key.min(self.sizes.before + self.first + query + 1);
        let start = (self.starts[query] as usize).saturating_sub(self.first_key);
        start.min(end)..end
    }

    /// # Safety
    /// Nobody else uses the tile's part of `out`.
    unsafe fn forward(&self, q: &[f32], k: Strided, v: Strided, out: &Shared, normaliser: &mut [f32]) {
        let size = self.sizes.head_size;
        if self.keys == 0 {
            normaliser.fill(0.0);
            for query in 0..self.count {
                // SAFETY: the caller's promise.
                unsafe { out.part(self.place() + query * self.sizes.row(), size) }.fill(0.0);
            }
            return;
        }
        let k = k.tokens(self.row, self.group(), self.first_key, self.keys, size);
        let v = v.tokens(self.row, self.group(), self.first_key, self.keys, size);
        let mut scores = vec![0.0f32; self.count * self.keys];
        product_here(Target::write(&mut scores, self.keys), self.rows(q), k.transposed());
        for (query, (scores, normaliser)) in scores.chunks_exact_mut(self.keys).zip(normaliser).enumerate() {
            *normaliser = softmax(scores, self.seen(query));
        }
        let p = View::new(&scores, self.count, self.keys);
        // SAFETY: the caller's promise.
        unsafe { product_into(out, self.place(), self.sizes.row(), false, p, v) };
    }

    /// # Safety
    /// Nobody else uses the tile's part of the gradient for the queries, nor its row's and group's of the others.
    unsafe fn backward(&self, passed: Passed, gradient: &[f32], of: &Gradients) {
        let (size, row) = (self.sizes.head_size, self.sizes.row());
        if self.keys == 0 {
            for query in 0..self.count {
                // SAFETY: the caller's promise.
                unsafe { of.q.part(self.place() + query * row, size) }.fill(0.0);
            }
            return;
        }
        let (keys, kept) = (self.keys, self.sizes.groups * size);
        let strided = |values| Strided::tokens_first(values, self.sizes);
        let k = strided(passed.k).tokens(self.row, self.group(), self.first_key, keys, size);
        let v = strided(passed.v).tokens(self.row, self.group(), self.first_key, keys, size);
        let (q, gradient_rows) = (self.rows(passed.q), self.rows(gradient));

        let mut p = vec![0.0f32; self.count * keys];
        let mut ds = vec![0.0f32; self.count * keys];
        product_here(Target::write(&mut p, keys), q, k.transposed());
        product_here(Target::write(&mut ds, keys), gradient_rows, v.transposed());
        let normaliser =
            &passed.normaliser[(self.row * self.sizes.heads + self.head) * self.sizes.queries + self.first..];
        for query in 0..self.count {
            let (p, ds) = (&mut p[query * keys..][..keys], &mut ds[query * keys..][..keys]);
            let (out, gradient) = (self.row_of(passed.out, query), self.row_of(gradient, query));
            probabilities_backward(p, ds, self.seen(query), normaliser[query], out, gradient);
        }
        let (p, ds) = (View::new(&p, self.count, keys), View::new(&ds, self.count, keys));
        let place = (self.row * self.sizes.queries + self.first_key) * kept + self.group() * size;
        // SAFETY: the caller's promise.
        unsafe {
            product_into(&of.v, place, kept, true, p.transposed(), gradient_rows);
            product_into(&of.k, place, kept, true, ds.transposed(), q);
            product_into(&of.q, self.place(), row, false, ds, k);
        }
    }
}

/// Scores to probabilities in place, zero outside `seen`; returns log Σ exp (0 where nothing is seen).
fn softmax(scores: &mut [f32], seen: std::ops::Range<usize>) -> f32 {
    scores[..seen.start].fill(0.0);
    scores[seen.end..].fill(0.0);
    let scores = &mut scores[seen];
    if scores.is_empty() {
        return 0.0;
    }
    wide(
        #[inline(always)]
        || {
            let highest = largest(scores);
            let mut lanes = [0.0f32; LANES];
            let (chunks, rest) = scores.as_chunks_mut::<LANES>();
            for chunk in chunks {
                for lane in 0..LANES {
                    chunk[lane] = exp(chunk[lane] - highest);
                    lanes[lane] += chunk[lane];
                }
            }
            let mut sum = total(lanes);
            for score in rest {
                *score = exp(*score - highest);
                sum += *score;
            }
            let inverse = 1.0 / sum;
            scores.iter_mut().for_each(|score| *score *= inverse);
            sum.ln() + highest
        },
    )
}

/// Scores of one query become its probabilities P, and dP (in `ds`) becomes dS = P · (dP − Σ dO·O); both zero outside
/// `seen`.
fn probabilities_backward(
    p: &mut [f32],
    ds: &mut [f32],
    seen: std::ops::Range<usize>,
    normaliser: f32,
    out: &[f32],
    gradient: &[f32],
) {
    for unseen in [0..seen.start, seen.end..p.len()] {
        p[unseen.clone()].fill(0.0);
        ds[unseen].fill(0.0);
    }
    wide(
        #[inline(always)]
        || {
            let along = dot(out, gradient);
            for (p, ds) in p[seen.clone()].iter_mut().zip(&mut ds[seen]) {
                *p = exp(*p - normaliser);
                *ds = *p * (*ds - along);
            }
        },
    );
}
