//! The same order by the operations of AVX512-BF16, which round two vectors at a time.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _MM_HINT_T1, _mm_prefetch, _mm512_cvtne2ps_pbh, _mm512_loadu_si512,
    _mm512_mask_storeu_epi32, _mm512_maskz_loadu_ps, _mm512_permutexvar_epi16, _mm512_setzero_ps, _mm512_shuffle_i32x4,
    _mm512_store_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::{
    PAIRS, PANEL,
    order::{Line, Side},
};
use crate::{copy::Part, matrix::View};

/// Numbers of a vector.
const LANES: usize = 16;
/// Terms that are asked for before they are put in order, where terms lie side by side.
const AHEAD: usize = 96;

/// Where the numbers of two vectors go so that those at the same place become neighbours.
static NEIGHBOURS: [u16; 2 * LANES] = {
    let mut places = [0; 2 * LANES];
    let mut at = 0;
    while at < 2 * LANES {
        places[at] = (at / 2 + at % 2 * LANES) as u16;
        at += 1;
    }
    places
};

/// A matrix whose numbers lie in one piece along its columns or its terms.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    from: View<'a>,
    terms: Part,
    columns: Part,
}

impl<'a> Source<'a> {
    pub(super) fn new(from: View<'a>, terms: Part, columns: Part) -> Self {
        Self { from, terms, columns }
    }

    /// A few numbers of a term, from a column on; zeros where there is no column or no term.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn along_columns(self, term: usize, column: usize, most: usize) -> __m512 {
        if term >= self.terms.count || column >= self.columns.count {
            return _mm512_setzero_ps();
        }
        let count = most.min(self.columns.count - column);
        self.load(term, column, count)
    }

    /// Sixteen numbers of a column, from a term on; zeros where there is no column or no term.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn along_terms(self, term: usize, column: usize) -> __m512 {
        if term >= self.terms.count || column >= self.columns.count {
            return _mm512_setzero_ps();
        }
        let count = LANES.min(self.terms.count - term);
        self.load(term, column, count)
    }

    /// Asks for the numbers of two vectors of a column, from a term on; beyond the last of them, for the first of the next panel's.
    /// They come into the second cache: columns lie a power of two apart as often as not, and drive each other out of the first.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn ask_along_terms(self, term: usize, column: usize) {
        let beyond = term >= self.terms.count;
        let (term, column) = if beyond { (term - self.terms.count, column + PANEL) } else { (term, column) };
        if term < self.terms.count && column < self.columns.count {
            let start = self.from.from(self.terms.first + term, self.columns.first + column).as_ptr();
            _mm_prefetch::<_MM_HINT_T1>(start.cast());
            _mm_prefetch::<_MM_HINT_T1>(start.wrapping_add(LANES).cast());
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(self, term: usize, column: usize, count: usize) -> __m512 {
        let numbers = &self.from.from(self.terms.first + term, self.columns.first + column)[..count];
        // SAFETY: the mask leaves the numbers that there are.
        unsafe { _mm512_maskz_loadu_ps(mask(count), numbers.as_ptr()) }
    }
}

#[inline(always)]
fn mask(count: usize) -> u16 {
    (u32::MAX >> (32 - count.min(LANES))) as u16
}

#[inline(always)]
fn words(numbers: __m512bh) -> __m512i {
    // SAFETY: the same bits.
    unsafe { std::mem::transmute(numbers) }
}

/// Sixteen pairs of two terms' numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn pairs_of_terms(first: __m512, second: __m512) -> __m512i {
    // SAFETY: thirty-two places.
    let places = unsafe { _mm512_loadu_si512(NEIGHBOURS.as_ptr().cast()) };
    _mm512_permutexvar_epi16(places, words(_mm512_cvtne2ps_pbh(second, first)))
}

/// Sixteen pairs of the numbers of one column, from a term on.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn pairs_along_terms(source: Source, term: usize, column: usize) -> __m512i {
    words(_mm512_cvtne2ps_pbh(source.along_terms(term + LANES, column), source.along_terms(term, column)))
}

/// One panel over some pairs of terms, of which the first is `pair`.
///
/// # Safety
/// The processor has AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn panel(source: Source, side: Side, pair: usize, column: usize, lines: &mut [Line]) {
    match side {
        Side::Columns => {
            for (at, line) in lines.iter_mut().enumerate() {
                for half in 0..PANEL / LANES {
                    let (term, first) = (2 * (pair + at), column + half * LANES);
                    let numbers = source.along_columns(term, first, LANES);
                    let pairs = pairs_of_terms(numbers, source.along_columns(term + 1, first, LANES));
                    // SAFETY: sixteen words of the line, which begins where vectors may.
                    unsafe { _mm512_store_si512(line.0.as_mut_ptr().add(half * LANES).cast(), pairs) };
                }
            }
        }
        Side::Terms => {
            for (some, lines) in lines.chunks_mut(LANES).enumerate() {
                let term = 2 * (pair + some * LANES);
                (column..column + PANEL).for_each(|column| source.ask_along_terms(term + AHEAD, column));
                for half in 0..PANEL / LANES {
                    let first = column + half * LANES;
                    let columns = std::array::from_fn(|lane| pairs_along_terms(source, term, first + lane));
                    for (line, pairs) in lines.iter_mut().zip(transposed(columns)) {
                        // SAFETY: as above.
                        unsafe { _mm512_store_si512(line.0.as_mut_ptr().add(half * LANES).cast(), pairs) };
                    }
                }
            }
        }
    }
}

/// `R` rows of the left matrix (columns of `source`) over [`PAIRS`] pairs of terms, of which the first is `pair`: side by side where
/// that is how they lie, else one after the other.
///
/// # Safety
/// The processor has AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn rows<const R: usize>(source: Source, side: Side, pair: usize, words: &mut [u32]) {
    match side {
        Side::Columns => {
            for (at, words) in words.as_chunks_mut::<R>().0.iter_mut().enumerate() {
                let term = 2 * (pair + at);
                let numbers = source.along_columns(term, 0, R);
                let found = pairs_of_terms(numbers, source.along_columns(term + 1, 0, R));
                // SAFETY: the mask leaves the words of the rows.
                unsafe {
                    _mm512_mask_storeu_epi32(words.as_mut_ptr().cast(), mask(R), found);
                }
            }
        }
        Side::Terms => {
            for (row, words) in words.chunks_exact_mut(PAIRS).enumerate() {
                for (some, words) in words.chunks_mut(LANES).enumerate() {
                    let found = pairs_along_terms(source, 2 * (pair + some * LANES), row);
                    // SAFETY: the mask leaves the words that there are.
                    unsafe { _mm512_mask_storeu_epi32(words.as_mut_ptr().cast(), mask(words.len()), found) };
                }
            }
        }
    }
}

/// Rows and columns exchanged.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn transposed(rows: [__m512i; LANES]) -> [__m512i; LANES] {
    // Of each four rows, the words of the same place; of two such fours and again of two, their quarters.
    let mut fours = rows;
    for at in (0..LANES).step_by(4) {
        let [a, b, c, d] = [rows[at], rows[at + 1], rows[at + 2], rows[at + 3]];
        let (low, high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (later_low, later_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        fours[at] = _mm512_unpacklo_epi64(low, later_low);
        fours[at + 1] = _mm512_unpackhi_epi64(low, later_low);
        fours[at + 2] = _mm512_unpacklo_epi64(high, later_high);
        fours[at + 3] = _mm512_unpackhi_epi64(high, later_high);
    }
    let mut out = rows;
    for place in 0..4 {
        let [a, b, c, d] = [fours[place], fours[4 + place], fours[8 + place], fours[12 + place]];
        let (even, later_even) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0x88>(c, d));
        let (odd, later_odd) = (_mm512_shuffle_i32x4::<0xdd>(a, b), _mm512_shuffle_i32x4::<0xdd>(c, d));
        out[place] = _mm512_shuffle_i32x4::<0x88>(even, later_even);
        out[4 + place] = _mm512_shuffle_i32x4::<0x88>(odd, later_odd);
        out[8 + place] = _mm512_shuffle_i32x4::<0xdd>(even, later_even);
        out[12 + place] = _mm512_shuffle_i32x4::<0xdd>(odd, later_odd);
    }
    out
}
