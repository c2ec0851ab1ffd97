//! The innermost part of a product in bfloat16: some rows by a panel, with all sums in registers.

use super::{PAIRS, PANEL, order::Line};
use crate::{copy::Part, share::Shared, wide};

/// Columns that are multiplied at a time as float32: their sums fill the registers of AVX2.
const HALF: usize = PANEL / 2;

/// What multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The processor's own operation: two terms at a time.
    Native,
    /// Multiplication of float32.
    Plain,
}

/// Rows of the target that a tile writes: the first one's place, how far it is to the next, and how many columns.
pub(super) struct Rows<'r, 'a> {
    pub numbers: &'r Shared<'a>,
    pub place: usize,
    pub step: usize,
    pub width: usize,
    pub add: bool,
}

impl Rows<'_, '_> {
    /// # Safety
    /// Nobody else uses the row.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "nobody else uses the row, as the caller promises")]
    unsafe fn row(&self, at: usize) -> &mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { self.numbers.part(self.place + at * self.step, self.width) }
    }
}

impl Way {
    #[cfg(target_arch = "x86_64")]
    pub(super) fn of_processor() -> Self {
        use std::arch::is_x86_feature_detected as has;
        // Putting in order takes AVX512BW as well; a virtual machine may hide one and show the other.
        let is_native = has!("avx512f") && has!("avx512bw") && has!("avx512bf16");
        if is_native { Self::Native } else { Self::Plain }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn of_processor() -> Self {
        Self::Plain
    }

    /// Words that a row of the left matrix takes for so many pairs of terms.
    pub(super) fn words_a_row(self, pairs: usize) -> usize {
        match self {
            Self::Native => pairs.next_multiple_of(PAIRS),
            Self::Plain => 2 * pairs,
        }
    }

    /// Rows that are multiplied together.
    pub(super) fn groups(self, rows: usize) -> Vec<Part> {
        let mut groups = vec![];
        let mut first = 0;
        while first < rows {
            let count = match (self, rows - first) {
                (_, 1) => 1,
                (_, 2 | 3) => 2,
                (Self::Native, 4..=7) | (Self::Plain, 4 | 5 | 7 | 8) => 4,
                (Self::Native, 8..=11) => 8,
                (Self::Native, _) => 12,
                (Self::Plain, _) => 6,
            };
            groups.push(Part { first, count });
            first += count;
        }
        groups
    }

    /// Multiplies `count` rows, as they are in order, by a panel.
    ///
    /// # Safety
    /// Nobody else uses these rows and columns of the target.
    pub(super) unsafe fn multiply(self, count: usize, left: LeftWords, lines: &[Line], rows: &Rows) {
        // SAFETY: the caller's promise; there is a native way only where the processor has its operations.
        unsafe {
            match (self, count) {
                #[cfg(target_arch = "x86_64")]
                (Self::Native, 1) => native::<1>(left, lines, rows),
                #[cfg(target_arch = "x86_64")]
                (Self::Native, 2) => native::<2>(left, lines, rows),
                #[cfg(target_arch = "x86_64")]
                (Self::Native, 4) => native::<4>(left, lines, rows),
                #[cfg(target_arch = "x86_64")]
                (Self::Native, 8) => native::<8>(left, lines, rows),
                #[cfg(target_arch = "x86_64")]
                (Self::Native, 12) => native::<12>(left, lines, rows),
                (_, 1) => plainly::<1>(left.words, lines, rows),
                (_, 2) => plainly::<2>(left.words, lines, rows),
                (_, 4) => plainly::<4>(left.words, lines, rows),
                (_, 6) => plainly::<6>(left.words, lines, rows),
                (_, other) => unreachable!("{other} rows together"),
            }
        }
    }
}

/// Some rows of the left matrix in order.
#[derive(Clone, Copy)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "read by the native way alone"))]
pub(super) struct LeftWords<'a> {
    pub words: &'a [u32],
    /// One row after the other, [`PAIRS`] words apart; else side by side.
    pub apart: bool,
    /// Whether the lines that come after these are to be asked for meanwhile.
    pub ahead: bool,
}

/// # Safety
/// The processor has AVX512-BF16, and nobody else uses these rows and columns of the target.
#[cfg(target_arch = "x86_64")]
unsafe fn native<const R: usize>(left: LeftWords, lines: &[Line], rows: &Rows) {
    // SAFETY: the caller's promise.
    unsafe {
        if left.apart {
            native::multiply::<R, PAIRS, 1>(left, lines, rows);
        } else {
            native::multiply::<R, 1, R>(left, lines, rows);
        }
    }
}

/// # Safety
/// Nobody else uses these rows and columns of the target.
unsafe fn plainly<const R: usize>(words: &[u32], lines: &[Line], rows: &Rows) {
    wide(
        #[inline(always)]
        || {
            for half in 0..2 {
                let sums = half_of_a_panel::<R>(words, lines, half * HALF);
                for (at, sums) in sums.iter().enumerate() {
                    // SAFETY: the caller's promise.
                    let row = unsafe { rows.row(at) };
                    let row = row.get_mut(half * HALF..).unwrap_or_default();
                    for (out, sum) in row.iter_mut().zip(sums) {
                        *out = if rows.add { *out + sum } else { *sum };
                    }
                }
            }
        },
    );
}

#[inline(always)]
fn half_of_a_panel<const R: usize>(words: &[u32], lines: &[Line], first: usize) -> [[f32; HALF]; R] {
    let mut sums = [[0.0f32; HALF]; R];
    for (line, x) in lines.iter().zip(words.as_chunks::<R>().0.as_chunks::<2>().0) {
        let line: &[u32; HALF] = line.0[first..].first_chunk().expect("half of a line");
        for (x, w) in x.iter().zip([line.map(|word| word << 16), line.map(|word| word & 0xffff_0000)]) {
            for (sums, &x) in sums.iter_mut().zip(x) {
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = f32::from_bits(x).mul_add(f32::from_bits(w), *sum);
                }
            }
        }
    }
    sums
}

/// By the operations of AVX512-BF16.
#[cfg(target_arch = "x86_64")]
mod native {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_load_si512,
        _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_set1_epi32, _mm512_setzero_ps,
    };

    use super::{HALF, LeftWords, Line, Rows};

    /// How many lines of the matrix are asked for before they are needed.
    const AHEAD: usize = 128;

    /// Rows of the left matrix lie `ROW` words apart, their pairs of terms `PAIR`.
    ///
    /// # Safety
    /// The processor has AVX512-BF16, and nobody else uses these rows and columns of the target.
    #[target_feature(enable = "avx512f,avx512bf16")]
    pub(super) unsafe fn multiply<const R: usize, const ROW: usize, const PAIR: usize>(
        left: LeftWords,
        lines: &[Line],
        rows: &Rows,
    ) {
        let last = lines.len().saturating_sub(1) * PAIR + (R - 1) * ROW;
        assert!(last < left.words.len(), "terms of a tile");
        for row in 0..R {
            rows.numbers.prefetch(rows.place + row * rows.step, rows.width);
        }
        let mut sums = [[_mm512_setzero_ps(); 2]; R];
        // SAFETY: the last pair of the last row is there, as just checked.
        let mut add =
            |at: usize, line| unsafe { add_pair::<R, ROW>(&mut sums, line, left.words.as_ptr().add(at * PAIR)) };
        if left.ahead {
            for (at, line) in lines.iter().enumerate() {
                let next = std::ptr::from_ref(line).wrapping_add(AHEAD).cast::<i8>();
                _mm_prefetch::<_MM_HINT_T0>(next);
                _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(64));
                add(at, line);
            }
        } else {
            for (at, line) in lines.iter().enumerate() {
                add(at, line);
            }
        }
        for (at, sums) in sums.iter().enumerate() {
            // SAFETY: the caller's promise.
            write(sums, rows.add, unsafe { rows.row(at) });
        }
    }

    /// Adds what two terms make: of each row, columns 0 to 15 and 16 to 31.
    ///
    /// # Safety
    /// There are `R` words, `ROW` apart.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn add_pair<const R: usize, const ROW: usize>(sums: &mut [[__m512; 2]; R], line: &Line, x: *const u32) {
        let start = line.0.as_ptr();
        // SAFETY: sixteen words and sixteen more of the line, which begins where vectors may.
        let line = unsafe { [_mm512_load_si512(start.cast()), _mm512_load_si512(start.add(HALF).cast())] };
        let line = line.map(pairs);
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            let x = pairs(_mm512_set1_epi32(unsafe { x.add(row * ROW).read() }.cast_signed()));
            sums[0] = _mm512_dpbf16_ps(sums[0], x, line[0]);
            sums[1] = _mm512_dpbf16_ps(sums[1], x, line[1]);
        }
    }

    #[inline(always)]
    fn pairs(words: __m512i) -> __m512bh {
        // SAFETY: the same sixteen words, read as pairs of numbers.
        unsafe { std::mem::transmute(words) }
    }

    /// Writes the sums of one row, or adds them to what is there.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn write(sums: &[__m512; 2], add: bool, out: &mut [f32]) {
        for (half, &sums) in sums.iter().enumerate() {
            let Some(out) = out.get_mut(half * HALF..).filter(|out| !out.is_empty()) else { return };
            let mask = (u32::MAX >> (32 - out.len().min(HALF))) as u16;
            // SAFETY: the mask leaves the numbers that there are.
            unsafe {
                let sums = if add { _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out.as_ptr()), sums) } else { sums };
                _mm512_mask_storeu_ps(out.as_mut_ptr(), mask, sums);
            }
        }
    }
}
