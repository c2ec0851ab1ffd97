//! The same by products of numbers rounded to bfloat16, on processors with AVX512-BF16: queries, keys, values, probabilities and
//! their gradients are rounded, as PyTorch's autocast rounds them; sums, scores and softmax are float32.

use std::{
    arch::x86_64::{__m512, _mm512_add_ps, _mm512_loadu_ps, _mm512_storeu_ps},
    cell::RefCell,
    ops::Range,
    thread::LocalKey,
};

use super::{LEAST, Way};
use crate::{
    attention::{Gradients, Passed, Sizes, Strided},
    bfloat16,
    copied::Lines,
    number::Number,
    query_tile::Tile,
    share::Shared,
    softmax::{probabilities_backward_by_keys, softmax},
};

mod words;

use words::{LANES, Pairs, Words, interleave, round, sums, turn};

/// Keys or numbers of a head that are multiplied at a time: two vectors.
const PANEL: usize = 2 * LANES;
/// Rows that are multiplied at a time.
const ROWS: usize = 12;

/// What a thread puts in order or computes on its way. Words are pairs of numbers: of a row's neighbours, or of neighbours among
/// rows at the same place.
#[derive(Default)]
pub(crate) struct Rounded {
    /// Of keys and of values: rows of neighbours, by token.
    plain: [Words; 2],
    /// For every [`PANEL`] tokens, and every pair of numbers of a head, a word each.
    across: [Words; 2],
    /// For every pair of tokens a word each number of a head.
    along: [Words; 2],
    /// The queries of a tile, and the gradients for what they gave: rows of neighbours, and pairs of queries.
    rows: [Words; 2],
    by_queries: [Words; 2],
    /// Scores and their gradients, in float32, as rows of neighbours, and as pairs of queries.
    scores: [Lines; 2],
    weights: [Words; 2],
    weights_by_queries: [Words; 2],
}

thread_local! {
    static ROOM: RefCell<Rounded> = RefCell::default();
}

/// Whether a call is for the functions here.
pub(crate) fn fits(sizes: &Sizes) -> bool {
    let Sizes { queries, heads, groups, head_size, .. } = *sizes;
    let has_size = head_size > 0 && head_size.is_multiple_of(PANEL) && heads.is_multiple_of(groups);
    has_size && queries >= LEAST && bfloat16::is_native()
}

impl Way for Rounded {
    const TILE: usize = 4 * ROWS;

    fn room() -> &'static LocalKey<RefCell<Self>> {
        &ROOM
    }

    fn put_in_order<N: Number>(
        &mut self,
        sizes: &Sizes,
        kept: [Strided<N>; 2],
        [row, head]: [usize; 2],
        is_back: bool,
    ) {
        let (tokens, size) = (sizes.keys(), sizes.head_size);
        // Tokens beyond the last are zero: they are multiplied by zero.
        let room = tokens.next_multiple_of(PANEL);
        for (at, kept) in kept.into_iter().enumerate() {
            let first = row * kept.batch + head * sizes.groups / sizes.heads * kept.head;
            let plain = self.plain[at].room(room * size / 2);
            let (some, rest) = plain.split_at_mut(tokens * size / 2);
            rest.fill(0);
            for (token, words) in some.chunks_exact_mut(size / 2).enumerate() {
                // SAFETY: the processor has these operations, as `fits` asked.
                unsafe { round(&kept.values[first + token * kept.token..][..size], words) };
            }
            let plain = self.plain[at].all();
            if at == 0 || is_back {
                // SAFETY: as above.
                unsafe { turn(&plain[..room * size / 2], size / 2, self.across[at].room(room * size / 2)) };
            }
            if at == 1 || is_back {
                let along = self.along[at].room(room * size / 2);
                for (rows, words) in plain.chunks_exact(size).zip(along.chunks_exact_mut(size)) {
                    let (even, odd) = rows.split_at(size / 2);
                    // SAFETY: as above.
                    unsafe { interleave(even, odd, words) };
                }
            }
        }
    }

    unsafe fn attend(&mut self, tile: &Tile, q: &[f32], out: &Shared, normaliser: &mut [f32]) {
        // SAFETY: the processor has these operations, as `fits` asked; the caller's promise.
        unsafe { tile.attend_rounded(self, q, out, normaliser) };
    }

    unsafe fn attend_back(&mut self, tile: &Tile, passed: Passed, gradient: &[f32], of: &Gradients) {
        // SAFETY: as above.
        unsafe { tile.attend_back_rounded(self, passed, gradient, of) };
    }
}

impl Tile<'_> {
    /// Numbers that there is room for of one query's scores: more than there are keys, for what is read at the end beyond them.
    fn width(&self) -> usize {
        self.sizes.keys().next_multiple_of(PANEL) + PANEL
    }

    /// The tile's rows of a tensor shaped like the queries; those that are read beyond the last are zero.
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn round_rows(&self, from: &[f32], words: &mut Words) {
        let size = self.sizes.head_size / 2;
        let (some, rest) = words.room(self.count.next_multiple_of(ROWS) * size).split_at_mut(self.count * size);
        rest.fill(0);
        for (query, words) in some.chunks_exact_mut(size).enumerate() {
            round(self.row_of(from, query), words);
        }
    }

    /// # Safety
    /// Nobody else uses the tile's part of `out`.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn attend_rounded(&self, room: &mut Rounded, q: &[f32], out: &Shared, normaliser: &mut [f32]) {
        self.round_rows(q, &mut room.rows[0]);
        let width = self.width();
        let scores = room.scores[0].room(self.count.next_multiple_of(ROWS) * width / LANES).as_flattened_mut();
        self.rounded_scores(room.rows[0].all(), room.across[0].all(), scores);
        for (query, (scores, normaliser)) in scores.chunks_exact_mut(width).zip(normaliser).enumerate() {
            *normaliser = softmax(&mut scores[..self.end(self.count)], &self.seen_keys(query));
        }
        self.round_weights(scores, &mut room.weights[0]);
        // SAFETY: the caller's promise.
        unsafe { self.rounded_mixture(room.weights[0].all(), room.along[1].all(), out) };
    }

    /// # Safety
    /// Nobody else uses the tile's part of the gradient for the queries, nor its row's and group's of the others.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn attend_back_rounded(&self, room: &mut Rounded, passed: Passed, gradient: &[f32], of: &Gradients) {
        let Sizes { queries, heads, head_size, .. } = *self.sizes;
        let width = self.width();
        for (at, rows) in [passed.q, gradient].into_iter().enumerate() {
            self.round_rows(rows, &mut room.rows[at]);
            self.pair_rows(room.rows[at].all(), head_size / 2, &mut room.by_queries[at]);
            let scores = room.scores[at].room(self.count.next_multiple_of(ROWS) * width / LANES).as_flattened_mut();
            self.rounded_scores(room.rows[at].all(), room.across[at].all(), scores);
        }
        let normaliser = &passed.normaliser[(self.row * heads + self.head) * queries + self.first..][..self.count];
        let [p, ds] = &mut room.scores;
        let count = self.count.next_multiple_of(ROWS) * width / LANES;
        let [p, ds] = [p.room(count).as_flattened_mut(), ds.room(count).as_flattened_mut()];
        let rows = p.chunks_exact_mut(width).zip(ds.chunks_exact_mut(width)).zip(normaliser).enumerate();
        for (query, ((p, ds), &normaliser)) in rows {
            let [p, ds] = [p, ds].map(|scores| &mut scores[..self.end(self.count)]);
            probabilities_backward_by_keys(p, ds, &self.seen_keys(query), normaliser);
        }
        for (at, scores) in [p, ds].into_iter().enumerate() {
            self.round_weights(scores, &mut room.weights[at]);
            self.pair_rows(room.weights[at].all(), width / 2, &mut room.weights_by_queries[at]);
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.rounded_mixture(room.weights[1].all(), room.along[0].all(), &of.q);
            self.add_rounded(room.weights_by_queries[0].all(), room.by_queries[1].all(), &of.v);
            self.add_rounded(room.weights_by_queries[1].all(), room.by_queries[0].all(), &of.k);
        }
    }

    /// Each row times each key that one of those it is multiplied with sees.
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn rounded_scores(&self, rows: &[u32], across: &[u32], scores: &mut [f32]) {
        let (size, width) = (self.sizes.head_size / 2, self.width());
        for range in self.ranges() {
            for panel in range.start / PANEL..range.end.div_ceil(PANEL) {
                let lines = Pairs { words: &across[panel * size * PANEL..][..size * PANEL], step: PANEL };
                for first in (0..self.count).step_by(ROWS) {
                    if self.end(first + ROWS) <= panel * PANEL {
                        continue;
                    }
                    let x = Pairs { words: &rows[first * size..], step: 1 };
                    for (row, sums) in sums::<ROWS>(x, size, lines, size).into_iter().enumerate() {
                        write(&sums, false, &mut scores[(first + row) * width + panel * PANEL..][..PANEL]);
                    }
                }
            }
        }
    }

    /// Probabilities or their gradients, rounded; zero where nobody sees.
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn round_weights(&self, scores: &mut [f32], weights: &mut Words) {
        let (width, last) = (self.width(), self.end(self.count));
        let words = weights.room(self.count.next_multiple_of(ROWS) * width / 2);
        for (query, (scores, words)) in
            scores.chunks_exact_mut(width).zip(words.chunks_exact_mut(width / 2)).enumerate()
        {
            if query < self.count {
                let end = last.next_multiple_of(PANEL);
                scores[last..end].fill(0.0);
                round(&scores[..end], &mut words[..end / 2]);
            } else {
                words.fill(0);
            }
        }
    }

    /// Rows of `size` words, two and two: a word each number of the two.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn pair_rows(&self, rows: &[u32], size: usize, pairs: &mut Words) {
        let count = self.count.next_multiple_of(2) * size;
        let pairs = pairs.room(count);
        for (rows, pairs) in rows[..count].chunks_exact(2 * size).zip(pairs.chunks_exact_mut(2 * size)) {
            let (even, odd) = rows.split_at(size);
            interleave(even, odd, pairs);
        }
    }

    /// Pairs of keys that the tile's queries look at, none of them twice.
    fn pairs(&self) -> [Range<usize>; 2] {
        let [shared, own] = self.ranges().map(|range| range.start / 2..range.end.div_ceil(2));
        let start = own.start.max(shared.end).min(own.end);
        [shared, start..own.end]
    }

    /// Each query's weights times what lies along the tokens.
    ///
    /// # Safety
    /// Nobody else uses the tile's part of `out`.
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn rounded_mixture(&self, weights: &[u32], along: &[u32], out: &Shared) {
        let (size, width) = (self.sizes.head_size, self.width() / 2);
        for first in (0..self.count).step_by(ROWS) {
            let end = self.end(first + ROWS).div_ceil(2);
            for column in (0..size).step_by(PANEL) {
                let pairs = self.pairs();
                let is_begun = !pairs[0].is_empty();
                for (at, range) in pairs.into_iter().enumerate().skip(usize::from(!is_begun)) {
                    let count = range.end.min(end).saturating_sub(range.start);
                    // Of none the sums are zero; there may be no line where they would begin.
                    let start = if count > 0 { range.start } else { 0 };
                    let x = Pairs { words: &weights[first * width + start..], step: 1 };
                    let lines = Pairs { words: &along[start * size + column..], step: size };
                    let sums = sums::<ROWS>(x, width, lines, count);
                    for (query, sums) in sums.iter().enumerate().take(self.count - first) {
                        let place = self.place() + (first + query) * self.sizes.row() + column;
                        // SAFETY: the caller's promise.
                        write(sums, at > 0 && is_begun, unsafe { out.part(place, PANEL) });
                    }
                }
            }
        }
    }

    /// Adds to each key or value the queries' rows times its weights.
    ///
    /// # Safety
    /// Nobody else uses the keys or values of the tile's row and group in `out`.
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn add_rounded(&self, weights: &[u32], rows: &[u32], out: &Shared) {
        let Sizes { queries, groups, head_size: size, .. } = *self.sizes;
        let (width, pairs) = (self.width(), self.count.div_ceil(2));
        for range in self.ranges() {
            for key in range.clone().step_by(ROWS) {
                // Queries before see none of these keys.
                let first = key.saturating_sub(self.first).min(self.count) / 2;
                let x = Pairs { words: &weights[first * width + key..], step: width };
                for column in (0..size).step_by(PANEL) {
                    let lines = Pairs { words: &rows[first * size + column..], step: size };
                    let sums = sums::<ROWS>(x, 1, lines, pairs - first);
                    for (at, sums) in sums.iter().enumerate().take(range.end - key) {
                        let token = self.row * queries + key + at;
                        let place = (token * groups + self.group()) * size + column;
                        // SAFETY: the caller's promise.
                        write(sums, true, unsafe { out.part(place, PANEL) });
                    }
                }
            }
        }
    }
}

/// Writes the sums of one row, or adds them to what is there.
#[inline]
#[target_feature(enable = "avx512f")]
fn write(sums: &[__m512; 2], add: bool, out: &mut [f32]) {
    for (&sums, out) in sums.iter().zip(out.as_chunks_mut::<LANES>().0) {
        // SAFETY: sixteen numbers.
        unsafe {
            let sums = if add { _mm512_add_ps(_mm512_loadu_ps(out.as_ptr()), sums) } else { sums };
            _mm512_storeu_ps(out.as_mut_ptr(), sums);
        }
    }
}
