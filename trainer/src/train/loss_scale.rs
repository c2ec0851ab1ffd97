//! The scale of the loss where gradients are computed in float16 (Micikevicius et al. 2018, section 3.2), found as the run goes.

use super::{
    error::TrainError,
    stored::{Stored, Tensors},
};

/// Where the scale begins, as PyTorch's `GradScaler` does.
const FIRST: f64 = 65_536.0;
/// Steps in a row without an overflow after which the scale is doubled. `GradScaler` waits for 2,000; a whole run here has a
/// few hundred.
const GOOD_STEPS: usize = 500;

/// What a mean loss is multiplied by before the way back, so that small gradients are not rounded to zero. Gradients are
/// divided by it again, in float32, before anything is done with them.
///
/// An overflow halves it and the step is left out; after [`GOOD_STEPS`] steps without one it is doubled. It is always a power
/// of two, so that scaling rounds nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    scale: f64,
    /// Steps since the scale was last changed.
    good: usize,
    /// Overflows since the last step without one, in this process.
    left_out: usize,
}

impl LossScale {
    pub fn new() -> Self {
        Self { scale: FIRST, good: 0, left_out: 0 }
    }

    /// What a mean loss is multiplied by.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Steps in a row, up to now, that were left out.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Counts a step whose gradients were finite.
    pub fn held(&mut self) {
        self.good += 1;
        self.left_out = 0;
        if self.good == GOOD_STEPS {
            *self = Self { scale: 2.0 * self.scale, good: 0, left_out: 0 };
        }
    }

    /// Halves the scale after gradients that were not finite. Fails where the loss was not scaled up any more: no scale would
    /// help then.
    pub fn overflowed(&mut self) -> Result<(), TrainError> {
        if self.scale <= 1.0 {
            return Err(TrainError::BeyondFloat16);
        }
        *self = Self { scale: 0.5 * self.scale, good: 0, left_out: self.left_out + 1 };
        Ok(())
    }

    /// The state, for a checkpoint.
    pub fn store(&self, prefix: &str, tensors: &mut Tensors) {
        // Both are exact as float32: a power of two, and a count below 500.
        tensors.insert(format!("{prefix}#loss_scale"), Stored::number(self.scale as f32));
        tensors.insert(format!("{prefix}#good_steps"), Stored::number(self.good as f32));
    }

    /// The state of a checkpoint back; a checkpoint without one, of a run in another precision, changes nothing.
    pub fn restore(&mut self, prefix: &str, tensors: &mut Tensors) {
        let mut take = |name: &str| tensors.remove(&format!("{prefix}#{name}"))?.values.first().copied();
        if let (Some(scale), Some(good)) = (take("loss_scale"), take("good_steps")) {
            *self = Self { scale: f64::from(scale), good: good as usize, left_out: 0 };
        }
    }
}

/// The largest power of two that is at most `value`, which is above 0.
pub fn power_of_two(value: f64) -> f64 {
    value.log2().floor().exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_at_once_and_doubles_after_many_good_steps() {
        let mut scale = LossScale::new();
        (1..GOOD_STEPS).for_each(|_| scale.held());
        scale.overflowed().unwrap();
        assert_eq!(scale.scale(), FIRST / 2.0);
        // Counting began anew.
        (1..GOOD_STEPS).for_each(|_| scale.held());
        assert_eq!(scale.scale(), FIRST / 2.0);
        scale.held();
        assert_eq!(scale.scale(), FIRST);
    }

    #[test]
    fn overflows_without_end_are_an_error_that_says_what_helps() {
        let mut scale = LossScale::new();
        for _ in 0..16 {
            scale.overflowed().unwrap();
        }
        assert_eq!(scale.scale(), 1.0);
        assert!(scale.overflowed().unwrap_err().to_string().contains("bfloat16"));
    }

    #[test]
    fn a_checkpoint_brings_it_back() {
        let mut scale = LossScale::new();
        scale.overflowed().unwrap();
        scale.held();
        let mut tensors = Tensors::new();
        scale.store("adam.", &mut tensors);
        let mut read = LossScale::new();
        read.restore("adam.", &mut tensors);
        assert_eq!(read, scale);
        assert!(tensors.is_empty());
    }

    #[test]
    fn powers_of_two_are_rounded_down_to() {
        assert_eq!([1.0, 1.5, 65_535.0, 65_536.0, 0.3].map(power_of_two), [1.0, 1.0, 32_768.0, 65_536.0, 0.25]);
    }
}
