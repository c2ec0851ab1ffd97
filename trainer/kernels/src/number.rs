//! The formats that numbers lie in memory in.

use half::bf16;

use crate::wide;

/// A number as it is kept; computed with as float32, which each of them is. These are `f32` and `bf16`, and no others.
pub trait Number: Copy + Send + Sync + sealed::Sealed {
    /// The same number.
    fn float32(self) -> f32;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::bf16 {}
}

impl Number for f32 {
    #[inline(always)]
    fn float32(self) -> f32 {
        self
    }
}

impl Number for bf16 {
    #[inline(always)]
    fn float32(self) -> f32 {
        // Not `half`'s own, whose question whether it is a number keeps the compiler from vectors.
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

/// The nearest number of bfloat16, of two equally near ones the even one; its lower half is zero.
#[inline(always)]
pub(crate) fn nearest(number: f32) -> u32 {
    let bits = number.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
    // What is no number stays none: it would be rounded to an infinity, or beyond.
    let nearest = if number.is_nan() { bits | 0x0040_0000 } else { nearest };
    nearest & 0xffff_0000
}

/// The nearest numbers of bfloat16, of two equally near ones the even one.
pub fn to_bfloat16(numbers: &[f32]) -> Vec<bf16> {
    let mut rounded = Vec::with_capacity(numbers.len());
    wide(
        #[inline(always)]
        || rounded.extend(numbers.iter().map(|&number| bf16::from_bits((nearest(number) >> 16) as u16))),
    );
    rounded
}

/// As [`to_bfloat16`], in place.
pub fn round_to_bfloat16(numbers: &mut [f32]) {
    wide(
        #[inline(always)]
        || numbers.iter_mut().for_each(|number| *number = f32::from_bits(nearest(*number))),
    );
}
