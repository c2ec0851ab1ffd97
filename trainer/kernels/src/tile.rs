//! The innermost part of a product: some rows of one matrix by sixteen columns of another, over as many terms as there are,
//! with all sums in registers.

/// Rows that are multiplied at a time: their sums, a line and one more number fill the registers of AVX2.
pub(crate) const ROWS: usize = 6;
/// Columns that are multiplied at a time: two vectors of AVX2, one of AVX-512.
pub(crate) const PANEL: usize = 16;

/// Whether the processor has what [`avx2::Tile`] is written for, and nothing wider.
pub(crate) fn avx2_is_widest() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("avx2") && has!("fma") && !has!("avx512f")
}

/// The sums of `R` rows by a panel's columns, for AVX2.
pub(crate) mod avx2 {
    use std::arch::x86_64::{
        __m256, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps, _mm256_add_ps,
        _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps,
        _mm256_setzero_ps, _mm256_storeu_ps,
    };

    use super::PANEL;

    /// Of each row, columns 0 to 7 and 8 to 15.
    ///
    /// Written with the processor's own operations: what the compiler makes of plain loops reaches 73 to 78 of 88 GFLOP/s, this
    /// 80 to 84 (a panel of 256 terms in the first cache, one core).
    #[derive(Clone, Copy)]
    pub(crate) struct Tile<const R: usize>([[__m256; 2]; R]);

    impl<const R: usize> Tile<R> {
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(crate) fn zero() -> Self {
            Self([[_mm256_setzero_ps(); 2]; R])
        }

        /// Adds Σ xᵢ·lineᵢ, in the order of i.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(crate) fn add_products(&mut self, x: &[[f32; R]], lines: &[[f32; PANEL]]) {
            let ((x, x_rest), (lines, rest)) = (x.as_chunks::<4>(), lines.as_chunks::<4>());
            for (x, lines) in x.iter().zip(lines) {
                // Four by four: the loop's own counting would otherwise take a place among the products.
                self.add_product(&x[0], &lines[0]);
                self.add_product(&x[1], &lines[1]);
                self.add_product(&x[2], &lines[2]);
                self.add_product(&x[3], &lines[3]);
            }
            for (x, line) in x_rest.iter().zip(rest) {
                self.add_product(x, line);
            }
        }

        /// Adds x·line.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(crate) fn add_product(&mut self, x: &[f32; R], line: &[f32; PANEL]) {
            let line = halves(line);
            for (sums, &x) in self.0.iter_mut().zip(x) {
                let x = _mm256_set1_ps(x);
                sums[0] = _mm256_fmadd_ps(x, line[0], sums[0]);
                sums[1] = _mm256_fmadd_ps(x, line[1], sums[1]);
            }
        }

        /// Writes the sums of one row, or adds them to what is there.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(crate) fn write(&self, row: usize, add: bool, out: &mut [f32; PANEL]) {
            let mut sums = self.0[row];
            if add {
                let before = halves(out);
                sums = [_mm256_add_ps(before[0], sums[0]), _mm256_add_ps(before[1], sums[1])];
            }
            // SAFETY: eight numbers and eight more of the sixteen.
            unsafe {
                _mm256_storeu_ps(out.as_mut_ptr(), sums[0]);
                _mm256_storeu_ps(out.as_mut_ptr().add(8), sums[1]);
            }
        }

        /// As [`Self::write`] where there are fewer columns.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(crate) fn write_some(&self, row: usize, add: bool, out: &mut [f32]) {
            if let Ok(out) = <&mut [f32; PANEL]>::try_from(&mut *out) {
                return self.write(row, add, out);
            }
            let mut sums = [0.0; PANEL];
            self.write(row, false, &mut sums);
            for (out, sum) in out.iter_mut().zip(&sums) {
                *out = if add { *out + sum } else { *sum };
            }
        }
    }

    /// Sixteen sums of products, side by side.
    #[derive(Clone, Copy)]
    pub(crate) struct Products([__m256; 2]);

    impl Products {
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(crate) fn zero() -> Self {
            Self([_mm256_setzero_ps(); 2])
        }

        /// Adds each number of `a` times that of `b`.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(crate) fn add(&mut self, a: &[f32; PANEL], b: &[f32; PANEL]) {
            let (a, b) = (halves(a), halves(b));
            self.0 = [_mm256_fmadd_ps(a[0], b[0], self.0[0]), _mm256_fmadd_ps(a[1], b[1], self.0[1])];
        }

        /// All of them added up.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(crate) fn total(self) -> f32 {
            let eight = _mm256_add_ps(self.0[0], self.0[1]);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn halves(numbers: &[f32; PANEL]) -> [__m256; 2] {
        // SAFETY: eight numbers and eight more of the sixteen.
        unsafe { [_mm256_loadu_ps(numbers.as_ptr()), _mm256_loadu_ps(numbers.as_ptr().add(8))] }
    }
}
