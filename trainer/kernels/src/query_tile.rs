//! Which queries are taken together, and which keys they look at.

use std::ops::Range;

use crate::{
    attention::{Sight, Sizes, Strided},
    matrix::View,
    number::Number,
    one_query::Rows,
};

/// Some queries of one head of one row. Its columns are the keys that they look at: what the row shares, where all of them
/// branch off from it, and then every key from the first one of their own on.
pub(crate) struct Tile<'a> {
    pub(crate) sizes: &'a Sizes,
    pub(crate) starts: &'a [u32],
    pub(crate) row: usize,
    pub(crate) head: usize,
    /// The first query.
    pub(crate) first: usize,
    pub(crate) count: usize,
    /// Keys that the row's branches share.
    pub(crate) row_shared: usize,
    /// Columns of keys that the tile's queries share; 0 where their own keys begin no later.
    pub(crate) shared: usize,
    /// The first key that any of them sees of its own, and how many from there on to the last.
    pub(crate) first_key: usize,
    pub(crate) own: usize,
}

/// Columns of a tile and the keys that they are.
pub(crate) struct Span {
    pub(crate) column: usize,
    pub(crate) key: usize,
    pub(crate) count: usize,
}

impl<'a> Tile<'a> {
    pub(crate) fn new(sizes: &'a Sizes, sight: Sight<'a>, row: usize, head: usize, first: usize, count: usize) -> Self {
        let starts = &sight.starts[row * sizes.queries + first..][..count];
        let end = sizes.before + first + count;
        let mut first_key = starts.iter().min().map_or(end, |&start| (start as usize).min(end));
        let row_shared = sight.shared.get(row).map_or(0, |&shared| shared as usize);
        let mut shared = row_shared;
        if first_key <= row_shared {
            // One span of columns: with something shared it begins at the row's beginning.
            shared = 0;
            first_key = if row_shared > 0 { 0 } else { first_key };
        }
        Self { sizes, starts, row, head, first, count, row_shared, shared, first_key, own: end - first_key }
    }

    /// Columns of the scores.
    pub(crate) fn keys(&self) -> usize {
        self.shared + self.own
    }

    pub(crate) fn spans(&self) -> impl Iterator<Item = Span> {
        let shared = Span { column: 0, key: 0, count: self.shared };
        let own = Span { column: self.shared, key: self.first_key, count: self.own };
        [shared, own].into_iter().filter(|span| span.count > 0)
    }

    pub(crate) fn group(&self) -> usize {
        self.head * self.sizes.groups / self.sizes.heads
    }

    /// Where the tile's first query lies in `[batch, queries, heads, head_size]`.
    pub(crate) fn place(&self) -> usize {
        (self.row * self.sizes.queries + self.first) * self.sizes.row() + self.head * self.sizes.head_size
    }

    /// The tile's rows of a tensor shaped like the queries: `[count, head_size]`.
    pub(crate) fn rows<'b>(&self, values: &'b [f32]) -> View<'b> {
        View::with_steps(&values[self.place()..], [self.count, self.sizes.head_size], [self.sizes.row(), 1])
    }

    /// One query's row of a tensor shaped like the queries.
    pub(crate) fn row_of<'b>(&self, values: &'b [f32], query: usize) -> &'b [f32] {
        &values[self.place() + query * self.sizes.row()..][..self.sizes.head_size]
    }

    /// The keys or values of a span: `[count, head_size]`.
    pub(crate) fn of_span<'b>(&self, values: Strided<'b>, span: &Span) -> View<'b> {
        values.tokens(self.row, self.group(), span.key, span.count, self.sizes.head_size)
    }

    /// The columns that a query sees: of what is shared, and of its own.
    pub(crate) fn seen(&self, query: usize) -> [Range<usize>; 2] {
        let end = self.sizes.before + self.first + query + 1;
        let start = (self.starts[query] as usize).clamp(self.first_key, end.max(self.first_key));
        let own = self.shared + start - self.first_key..self.shared + end.max(self.first_key) - self.first_key;
        // A token of what is shared sees it as its own.
        let shared = if self.starts[query] > 0 { self.row_shared.min(own.start) } else { 0 };
        [0..shared, own]
    }

    /// The keys or values of a span, with what is read after them.
    pub(crate) fn rows_of_span<'b, N: Number>(&self, of: Strided<'b, N>, span: &Span, then: &'b [N]) -> Rows<'b, N> {
        let from = self.row * of.batch + self.group() * of.head + span.key * of.token;
        Rows { values: &of.values[from..], step: of.token, then }
    }

    /// Where the next head's keys, or values, begin for its queries; nothing after the last of all.
    pub(crate) fn next_head<'b, N: Number>(&self, of: Strided<'b, N>) -> &'b [N] {
        let (row, group) = match self.group() + 1 {
            next if next < self.sizes.groups => (self.row, next),
            _ => (self.row + 1, 0),
        };
        of.values.get(row * of.batch + group * of.head + self.first_key * of.token..).unwrap_or_default()
    }

    /// The keys that the tile's queries look at, as they are numbered in the row: what they share, and from the first of their own on.
    pub(crate) fn ranges(&self) -> [Range<usize>; 2] {
        [0..self.shared, self.first_key..self.first_key + self.own]
    }

    /// As [`Self::seen`], by their numbers in the row.
    pub(crate) fn seen_keys(&self, query: usize) -> [Range<usize>; 2] {
        let [shared, own] = self.seen(query);
        let moved = self.first_key - self.shared;
        [shared, own.start + moved..own.end + moved]
    }
}
