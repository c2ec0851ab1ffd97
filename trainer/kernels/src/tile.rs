//! The innermost part of a product: some rows of one matrix by sixteen columns of another, over as many terms as there are,
//! with all sums in registers.

/// Rows that are multiplied at a time: their sums, a line and one more number fill the registers of AVX2.
pub(crate) const ROWS: usize = 6;
/// Columns that are multiplied at a time: two vectors of AVX2, one of AVX-512.
pub(crate) const PANEL: usize = 16;

/// Whether the processor has what is written for AVX2 here.
pub(crate) fn has_avx2() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("avx2") && has!("fma")
}

/// Numbers of some rows: how far it is from one row to the next, from one term to the next, and how many terms there are.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub numbers: &'a [f32],
    pub row: usize,
    pub term: usize,
    pub count: usize,
}

/// A panel of a matrix: for every term a line, and how far it is from one to the next.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a> {
    pub lines: &'a [[f32; PANEL]],
    pub step: usize,
}

/// The sums of `R` rows by a panel's columns, for AVX2.
pub(crate) mod avx2 {
    use std::arch::x86_64::{
        __m256, _mm_add_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_shuffle_ps, _mm_storeu_ps, _mm256_add_ps,
        _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps,
        _mm256_setzero_ps, _mm256_storeu_ps,
    };

    use super::{PANEL, Panel, Terms};

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
        pub(crate) fn add_products(&mut self, x: Terms, panel: Panel) {
            let Some(last) = x.count.checked_sub(1) else {
                return;
            };
            assert!(last * x.term + (R - 1) * x.row < x.numbers.len(), "terms beyond the rows");
            assert!(last * panel.step < panel.lines.len(), "terms beyond the panel");
            let mut term = 0;
            // SAFETY: the last term is inside, as just checked.
            unsafe {
                // Four by four: the loop's own counting would otherwise take a place among the products.
                while term + 4 <= x.count {
                    self.add_term(x, panel, term);
                    self.add_term(x, panel, term + 1);
                    self.add_term(x, panel, term + 2);
                    self.add_term(x, panel, term + 3);
                    term += 4;
                }
                while term < x.count {
                    self.add_term(x, panel, term);
                    term += 1;
                }
            }
        }

        /// Adds one term's products. Asking each time whether it is there would cost a tenth of the time.
        ///
        /// # Safety
        /// The term is inside of `x` and `panel`.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn add_term(&mut self, x: Terms, panel: Panel, term: usize) {
            let mut numbers = [0.0; R];
            // SAFETY: the caller's promise.
            let line = unsafe {
                for (row, number) in numbers.iter_mut().enumerate() {
                    *number = *x.numbers.get_unchecked(term * x.term + row * x.row);
                }
                panel.lines.get_unchecked(term * panel.step)
            };
            self.add_product(&numbers, line);
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

        /// Of each, all of them added up: sum l with sum l + 8, then with l + 4, l + 2 and l + 1.
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        pub(crate) fn totals(of: [Self; 4]) -> [f32; 4] {
            let [a, b, c, d] = of.map(|products| {
                let eight = _mm256_add_ps(products.0[0], products.0[1]);
                _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight))
            });
            // Of two of them at a time, the first two sums and the last two.
            let left = _mm_add_ps(_mm_movelh_ps(a, b), _mm_movehl_ps(b, a));
            let right = _mm_add_ps(_mm_movelh_ps(c, d), _mm_movehl_ps(d, c));
            let even = _mm_shuffle_ps::<0b10_00_10_00>(left, right);
            let odd = _mm_shuffle_ps::<0b11_01_11_01>(left, right);
            let mut totals = [0.0; 4];
            // SAFETY: four numbers.
            unsafe { _mm_storeu_ps(totals.as_mut_ptr(), _mm_add_ps(even, odd)) };
            totals
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,fma")]
    fn halves(numbers: &[f32; PANEL]) -> [__m256; 2] {
        // SAFETY: eight numbers and eight more of the sixteen.
        unsafe { [_mm256_loadu_ps(numbers.as_ptr()), _mm256_loadu_ps(numbers.as_ptr().add(8))] }
    }
}
