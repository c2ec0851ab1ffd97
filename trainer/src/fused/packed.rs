//! Linear layers whose weight has been put in the order in which products of some rows read it.

use burn::{backend::Flex, tensor::Tensor};
use laurel_kernels::{
    bfloat16::{Rounded, products_with},
    matrix::View,
    packed::{self, Packed, rows_times_all_packed},
};

use super::{
    held::{Held, dense, numbers, read_f32, room, sizes, tensor},
    ops::matrix,
};
use crate::model::Precision;

/// A weight once more, as products in one precision read it. A clone is the same memory.
#[derive(Debug, Clone)]
pub(crate) enum InOrder {
    Float32(Packed),
    Bfloat16(Rounded),
}

impl InOrder {
    fn float32(&self) -> Option<&Packed> {
        if let Self::Float32(weight) = self { Some(weight) } else { None }
    }

    fn bfloat16(&self) -> Option<&Rounded> {
        if let Self::Bfloat16(weight) = self { Some(weight) } else { None }
    }

    /// Inputs and outputs.
    fn dims(&self) -> [usize; 2] {
        match self {
            Self::Float32(weight) => weight.dims(),
            Self::Bfloat16(weight) => weight.dims(),
        }
    }
}

/// The weight `[in, out]`, or `[out, in]` when `transposed`, for [`packed_linears`] in `precision`. It is a copy.
pub(crate) fn pack(weight: &Tensor<2>, transposed: bool, precision: Precision) -> Option<InOrder> {
    let weight = dense(read_f32(weight)?);
    Some(match precision {
        Precision::Float32 if transposed => InOrder::Float32(Packed::transposed(numbers(&weight), sizes(&weight))),
        Precision::Float32 => InOrder::Float32(Packed::new(numbers(&weight), sizes(&weight))),
        Precision::Bfloat16 if transposed => InOrder::Bfloat16(Rounded::new(matrix(&weight).transposed())),
        Precision::Bfloat16 => InOrder::Bfloat16(Rounded::new(matrix(&weight))),
        Precision::Float16 => return None,
    })
}

/// `x·W` in `precision` for some weights at once, all of which are in order for that, where the tokens are no more than these
/// products are good for and nothing is learned: `[tokens, in]` → `[tokens, out]` each.
pub(crate) fn packed_linears<const N: usize>(
    x: &Tensor<2>,
    weights: [Option<&InOrder>; N],
    precision: Precision,
) -> Option<[Tensor<2>; N]> {
    let weights = all(weights)?;
    let [tokens, input] = x.dims();
    let Held::Plain(x) = Held::of(x)? else { return None };
    let x = dense(x);
    let mut outputs: [Vec<f32>; N] = std::array::from_fn(|at| room(tokens * weights[at].dims()[1]));
    let out = outputs.each_mut().map(Vec::as_mut_slice);
    match precision {
        Precision::Float32 if tokens <= packed::MOST => {
            rows_times_all_packed(numbers(&x), all(weights.map(InOrder::float32))?, out, tokens);
        }
        Precision::Bfloat16 => {
            products_with(View::new(numbers(&x), tokens, input), all(weights.map(InOrder::bfloat16))?, out);
        }
        _ => return None,
    }
    let mut weights = weights.into_iter();
    Some(outputs.map(|output| {
        let width = weights.next().map_or(0, |weight| weight.dims()[1]);
        Tensor::from_primitive::<Flex>(tensor(output, [tokens, width]))
    }))
}

/// All of them, if there is none that isn't there.
fn all<T: Copy, const N: usize>(some: [Option<T>; N]) -> Option<[T; N]> {
    if some.iter().all(Option::is_some) { Some(some.map(|one| one.expect("every one is there"))) } else { None }
}
