//! Linear layers whose weight has been put in the order in which products of some rows read it.

use burn::{backend::Flex, tensor::Tensor};
use laurel_kernels::packed::{self, Packed, rows_times_all_packed};

use super::held::{Held, dense, numbers, read_f32, room, sizes, tensor};

/// The weight `[in, out]`, or `[out, in]` when `transposed`, for [`packed_linears`]. It is a copy.
pub(crate) fn pack(weight: &Tensor<2>, transposed: bool) -> Option<Packed> {
    let weight = dense(read_f32(weight)?);
    let (values, shape) = (numbers(&weight), sizes(&weight));
    Some(if transposed { Packed::transposed(values, shape) } else { Packed::new(values, shape) })
}

/// `x·W` for some weights at once, where the tokens are no more than these products are good for and nothing is learned:
/// `[tokens, in]` → `[tokens, out]` each.
pub(crate) fn packed_linears<const N: usize>(x: &Tensor<2>, weights: [&Packed; N]) -> Option<[Tensor<2>; N]> {
    let tokens = x.dims()[0];
    let Held::Plain(x) = Held::of(x).filter(|_| tokens <= packed::MOST)? else { return None };
    let x = dense(x);
    let mut outputs: [Vec<f32>; N] = std::array::from_fn(|at| room(tokens * weights[at].dims()[1]));
    rows_times_all_packed(numbers(&x), weights, outputs.each_mut().map(Vec::as_mut_slice), tokens);
    let mut weights = weights.into_iter();
    Some(outputs.map(|output| {
        let width = weights.next().map_or(0, |weight| weight.dims()[1]);
        Tensor::from_primitive::<Flex>(tensor(output, [tokens, width]))
    }))
}
