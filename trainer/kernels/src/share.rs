//! A mutable slice of which several threads write disjoint parts that are no chunks.

use std::marker::PhantomData;

/// Hands out parts of a slice by their place. The borrow of the slice lasts as long as this does.
pub(crate) struct Shared<'a> {
    start: *mut f32,
    length: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: only what `part` and `at` give reaches the memory, and those who use it promise not to overlap.
unsafe impl Send for Shared<'_> {}
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> Self {
        Self { start: slice.as_mut_ptr(), length: slice.len(), slice: PhantomData }
    }

    /// `length` numbers from `from` on.
    ///
    /// # Safety
    /// No other part that is in use at the same time overlaps this one.
    #[expect(clippy::mut_from_ref, reason = "parts are disjoint, as the caller promises")]
    pub(crate) unsafe fn part(&self, from: usize, length: usize) -> &mut [f32] {
        assert!(from <= self.length && length <= self.length - from, "a part beyond the end of a shared slice");
        // SAFETY: inside the slice, as just checked; not shared, as the caller promises.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), length) }
    }

    /// Asks for the lines of the cache where `length` numbers, at most sixteen, from `from` on lie.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn prefetch(&self, from: usize, length: usize) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        for place in [from, from + length - 1] {
            // SAFETY: a hint, which reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.start.wrapping_add(place).cast()) };
        }
    }

    /// The address of the number at `from`.
    pub(crate) fn at(&self, from: usize) -> *mut f32 {
        assert!(from < self.length, "a place beyond the end of a shared slice");
        // SAFETY: inside the slice, as just checked.
        unsafe { self.start.add(from) }
    }
}
