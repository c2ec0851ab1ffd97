//! Words of two numbers of bfloat16: how they are made, paired and multiplied.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_permutex2var_epi16, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_si512,
};

use crate::{bfloat16::transposed, number::Number};

/// Words of a vector.
pub(super) const LANES: usize = 16;

#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "read as words, many lines at once")] [u32; LANES]);

/// Memory of words, which is used again.
#[derive(Debug, Default)]
pub(super) struct Words(Vec<Line>);

impl Words {
    pub(super) fn all(&self) -> &[u32] {
        // SAFETY: a line is its words and nothing else.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }

    /// The first so many, of no particular value.
    pub(super) fn room(&mut self, count: usize) -> &mut [u32] {
        let lines = count.div_ceil(LANES);
        if self.0.len() < lines {
            self.0 = vec![Line([0; LANES]); lines];
        }
        // SAFETY: as above; there are as many.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), count) }
    }
}

/// Words, and how far it is from one pair of terms to the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pairs<'a> {
    pub words: &'a [u32],
    pub step: usize,
}

/// Numbers, a multiple of 32, to half as many words.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn round<N: Number>(numbers: &[N], words: &mut [u32]) {
    for (numbers, words) in numbers.as_chunks::<{ 2 * LANES }>().0.iter().zip(words.as_chunks_mut::<LANES>().0) {
        let start = numbers.as_ptr();
        // SAFETY: thirty-two numbers, of float32 or, where they are half as large, of bfloat16: those are words already.
        let rounded = unsafe {
            if size_of::<N>() == size_of::<f32>() {
                let [low, high] = [0, LANES].map(|from| _mm512_loadu_ps(start.add(from).cast()));
                std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low))
            } else {
                _mm512_loadu_si512(start.cast())
            }
        };
        store(words, rounded);
    }
}

/// Where the numbers of two rows go so that those at the same place become neighbours, in the first half of the words and the second.
static NEIGHBOURS: [[u16; 2 * LANES]; 2] = {
    let mut places = [[0; 2 * LANES]; 2];
    let mut at = 0;
    while at < 4 * LANES {
        places[at / (2 * LANES)][at % (2 * LANES)] = (at / 2 + at % 2 * 2 * LANES) as u16;
        at += 1;
    }
    places
};

/// Of two rows of neighbours, a multiple of sixteen words each, for each number of theirs a word of both.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn interleave(even: &[u32], odd: &[u32], words: &mut [u32]) {
    let places = NEIGHBOURS.each_ref().map(|places| {
        // SAFETY: thirty-two places.
        unsafe { _mm512_loadu_si512(places.as_ptr().cast()) }
    });
    let rows = even.as_chunks::<LANES>().0.iter().zip(odd.as_chunks::<LANES>().0);
    for ((even, odd), words) in rows.zip(words.as_chunks_mut::<{ 2 * LANES }>().0) {
        let [even, odd] = [load(even), load(odd)];
        for (places, words) in places.into_iter().zip(words.as_chunks_mut::<LANES>().0) {
            store(words, _mm512_permutex2var_epi16(even, places, odd));
        }
    }
}

/// Rows of `size` words, a multiple of sixteen, a multiple of 32 of them: for every 32 rows, and each word of a row, theirs side by side.
#[target_feature(enable = "avx512f")]
pub(super) fn turn(rows: &[u32], size: usize, turned: &mut [u32]) {
    let panels = rows.chunks_exact(2 * LANES * size).zip(turned.chunks_exact_mut(2 * LANES * size));
    for (rows, panel) in panels {
        for (half, rows) in rows.chunks_exact(LANES * size).enumerate() {
            for first in (0..size).step_by(LANES) {
                let block = std::array::from_fn(|row| load(rows[row * size + first..].first_chunk().expect("a row")));
                for (at, turned) in transposed(block).into_iter().enumerate() {
                    let place = (first + at) * 2 * LANES + half * LANES;
                    store(panel[place..].first_chunk_mut().expect("half of a line"), turned);
                }
            }
        }
    }
}

/// `R` rows, `row` words apart, by 32 columns, over so many pairs of terms, added up in their order.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) fn sums<const R: usize>(x: Pairs, row: usize, lines: Pairs, count: usize) -> [[__m512; 2]; R] {
    let mut sums = [[_mm512_setzero_ps(); 2]; R];
    if let Some(last) = count.checked_sub(1) {
        assert!(last * x.step + (R - 1) * row < x.words.len(), "pairs beyond the rows");
        assert!(last * lines.step + 2 * LANES <= lines.words.len(), "pairs beyond the lines");
    }
    for pair in 0..count {
        // SAFETY: the last pair is inside, as just checked.
        unsafe {
            let line = lines.words.as_ptr().add(pair * lines.step);
            let line = [0, LANES].map(|from| pairs(_mm512_loadu_si512(line.add(from).cast())));
            let x = x.words.as_ptr().add(pair * x.step);
            for (at, sums) in sums.iter_mut().enumerate() {
                let x = pairs(_mm512_set1_epi32(x.add(at * row).read().cast_signed()));
                sums[0] = _mm512_dpbf16_ps(sums[0], x, line[0]);
                sums[1] = _mm512_dpbf16_ps(sums[1], x, line[1]);
            }
        }
    }
    sums
}

#[inline(always)]
fn pairs(words: __m512i) -> __m512bh {
    // SAFETY: the same sixteen words, read as pairs of numbers.
    unsafe { std::mem::transmute(words) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u32; LANES]) -> __m512i {
    // SAFETY: sixteen words.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(words: &mut [u32; LANES], vector: __m512i) {
    // SAFETY: sixteen words.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) };
}
