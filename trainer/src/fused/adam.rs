//! AdamW over a parameter and its moments in one pass, and the squares of a gradient.

use burn::{backend::Flex, tensor::Tensor};
use burn_flex::FlexTensor;
use laurel_kernels::adam;

use super::held::{Held, dense, numbers, numbers_mut, owned, read_f32};

pub(crate) use adam::Step;

/// A parameter with the running means of its gradient and of its square, flat.
pub(crate) struct Weights<const D: usize> {
    pub values: Tensor<D>,
    pub first: Tensor<1>,
    pub second: Tensor<1>,
}

impl<const D: usize> Weights<D> {
    /// Whether [`Self::step`] can change it: all of it, and its gradient, is on the device without gradients.
    pub(crate) fn can_step(&self, gradient: &Tensor<D>) -> bool {
        let plain = |held: Option<Held>| matches!(held, Some(Held::Plain(_)));
        plain(Held::of(&self.values))
            && plain(Held::of(gradient))
            && plain(Held::of(&self.first))
            && plain(Held::of(&self.second))
    }

    /// One step, in place where nobody else holds the numbers. Only where [`Self::can_step`].
    pub(crate) fn step(self, gradient: &Tensor<D>, settings: &Step) -> Self {
        let gradient = dense(read_f32(gradient).expect("checked by can_step"));
        let (mut values, mut first, mut second) = (take(self.values), take(self.first), take(self.second));
        adam::step(
            settings,
            numbers_mut(&mut values),
            numbers(&gradient),
            numbers_mut(&mut first),
            numbers_mut(&mut second),
        );
        Self {
            values: Tensor::from_primitive::<Flex>(values),
            first: Tensor::from_primitive::<Flex>(first),
            second: Tensor::from_primitive::<Flex>(second),
        }
    }
}

fn take<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    owned(tensor.try_into_primitive::<Flex>().expect("checked by can_step"))
}

/// Σ x²
pub(crate) fn sum_of_squares<const D: usize>(tensor: &Tensor<D>) -> Option<f64> {
    Some(adam::sum_of_squares(numbers(&dense(read_f32(tensor)?))))
}
