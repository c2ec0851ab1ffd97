//! Linear layers, RMS norm, the gate of a feed-forward block, log-probabilities of tokens.

use burn::{
    backend::Flex,
    tensor::{Int, Tensor},
};
use burn_flex::FlexTensor;
use laurel_kernels::{
    activation, bfloat16, few_rows, likelihood,
    matrix::{self, Target, View, matrix_times_row},
    norm,
};

use crate::model::Precision;

use super::held::{Held, apply, dense, numbers, numbers_mut, owned, read_f32, room, sizes, tensor};

/// A product of float32 matrices, in the precision that it stands for.
pub(super) type Product = fn(Target, View, View);

/// What multiplies float32 matrices in a precision; nothing here does in float16.
pub(super) fn product_in(precision: Precision) -> Option<Product> {
    match precision {
        Precision::Float32 => Some(matrix::product),
        Precision::Bfloat16 => Some(bfloat16::product),
        Precision::Float16 => None,
    }
}

/// `x·W`, or `x·Wᵀ` when `transposed`: `[tokens, in]` → `[tokens, out]`, `weight` `[in, out]` (`[out, in]`). All three are float32;
/// this product and those on the way back are computed in `precision`.
///
/// A weight or an input that learns nothing costs nothing on the way back.
pub(crate) fn linear(x: &Tensor<2>, weight: &Tensor<2>, transposed: bool, precision: Precision) -> Option<Tensor<2>> {
    let product = product_in(precision)?;
    let inputs = [Held::of(x)?, Held::of(weight)?];
    Some(apply(inputs, |[x, weight]| {
        let (x, weight) = (dense(x), dense(weight));
        let ([tokens, input], [rows, columns]) = (sizes(&x), sizes(&weight));
        let output = if transposed { rows } else { columns };
        let mut y = room(tokens * output);
        times(&x, &weight, transposed, &mut y, precision);
        let back = move |gradient, [of_x, of_weight]: [bool; 2]| {
            let gradient = dense(gradient);
            let dy = View::new(numbers(&gradient), tokens, output);
            let dx = of_x.then(|| {
                let mut dx = room(tokens * input);
                let w = View::new(numbers(&weight), rows, columns);
                let w = if transposed { w } else { w.transposed() };
                product(Target::write(&mut dx, input), dy, w);
                tensor(dx, [tokens, input])
            });
            let dw = of_weight.then(|| {
                let mut dw = room(rows * columns);
                let x = View::new(numbers(&x), tokens, input);
                let (a, b) = if transposed { (dy.transposed(), x) } else { (x.transposed(), dy) };
                product(Target::write(&mut dw, columns), a, b);
                tensor(dw, [rows, columns])
            });
            [dx, dw]
        };
        (tensor(y, [tokens, output]), back)
    }))
}

/// `x·W` for several weights at once, where the tokens are few and nothing is learned: the products of one step of decoding
/// that read the same input. `[tokens, in]`, `[in, out]` each → `[tokens, out]` each.
pub(crate) fn linears<const N: usize>(x: &Tensor<2>, weights: [&Tensor<2>; N]) -> Option<[Tensor<2>; N]> {
    let tokens = x.dims()[0];
    let Held::Plain(x) = Held::of(x).filter(|_| tokens <= few_rows::MOST)? else { return None };
    let x = dense(x);
    let mut held = Vec::with_capacity(N);
    for weight in weights {
        let Held::Plain(weight) = Held::of(weight)? else { return None };
        held.push(dense(weight));
    }
    let mut outputs: [Vec<f32>; N] = std::array::from_fn(|at| room(tokens * sizes::<2>(&held[at])[1]));
    let weights: [&[f32]; N] = std::array::from_fn(|at| numbers(&held[at]));
    few_rows::rows_times_matrices(numbers(&x), weights, outputs.each_mut().map(Vec::as_mut_slice), tokens);
    Some(outputs.map(|output| {
        let shape = [tokens, output.len() / tokens.max(1)];
        Tensor::from_primitive::<Flex>(tensor(output, shape))
    }))
}

/// `x·W`, or `x·Wᵀ`, into `y`, by what is fastest for so many tokens: both dense, `[tokens, in]` and `[in, out]` (`[out, in]`).
pub(super) fn times(x: &FlexTensor, weight: &FlexTensor, transposed: bool, y: &mut [f32], precision: Precision) {
    let ([tokens, _], [rows, columns]) = (sizes(x), sizes(weight));
    let (w, output) = if transposed { (matrix(weight).transposed(), rows) } else { (matrix(weight), columns) };
    match (precision, tokens, transposed) {
        (Precision::Float32, 1..=few_rows::MOST, false) => {
            few_rows::rows_times_matrix(numbers(x), numbers(weight), y, tokens);
        }
        (Precision::Float32, 1, true) => matrix_times_row(numbers(weight), numbers(x), y),
        (Precision::Bfloat16, ..) => bfloat16::product(Target::write(y, output), matrix(x), w),
        _ => matrix::product(Target::write(y, output), matrix(x), w),
    }
}

/// −Σ p·log p of each row of logits, in nats, as numbers: `[rows, vocabulary]` → `rows`.
pub(crate) fn entropies(logits: &Tensor<2>) -> Option<Vec<f32>> {
    let logits = dense(read_f32(logits)?);
    let mut out = room(sizes::<2>(&logits)[0]);
    likelihood::entropies(numbers(&logits), &mut out);
    Some(out)
}

/// A dense tensor of two dimensions.
pub(super) fn matrix(tensor: &FlexTensor) -> View<'_> {
    let [rows, columns] = sizes(tensor);
    View::new(numbers(tensor), rows, columns)
}

/// `x / √(mean(x²) + ε) · weight` over the last dimension of `[batch, sequence, size]`.
pub(crate) fn rms_norm(x: &Tensor<3>, weight: &Tensor<1>, epsilon: f64) -> Option<Tensor<3>> {
    let inputs = [Held::of(x)?, Held::of(weight)?];
    Some(apply(inputs, |[x, weight]| {
        let (x, weight) = (dense(x), dense(weight));
        let shape @ [batch, sequence, size] = sizes(&x);
        let (mut y, mut inverse) = (room(batch * sequence * size), room(batch * sequence));
        norm::rms(numbers(&x), numbers(&weight), epsilon as f32, &mut y, &mut inverse);
        let back = move |gradient, _| {
            let mut gradient = owned(gradient);
            let of_weight = norm::rms_backward(numbers(&x), numbers(&weight), &inverse, numbers_mut(&mut gradient));
            [Some(gradient), Some(tensor(of_weight, [size]))]
        };
        (tensor(y, shape), back)
    }))
}

/// `silu(gate) · up`, `[batch, sequence, inner]` each.
pub(crate) fn swiglu(gate: &Tensor<3>, up: &Tensor<3>) -> Option<Tensor<3>> {
    let inputs = [Held::of(gate)?, Held::of(up)?];
    Some(apply(inputs, |[gate, up]| {
        let (gate, up) = (dense(gate), dense(up));
        let shape = sizes::<3>(&gate);
        let mut out = room(shape.iter().product());
        activation::swiglu(numbers(&gate), numbers(&up), &mut out);
        let back = move |gradient, _| {
            let (mut gate, mut gradient) = (owned(gate), owned(gradient));
            activation::swiglu_backward(numbers_mut(&mut gate), numbers(&up), numbers_mut(&mut gradient));
            [Some(gate), Some(gradient)]
        };
        (tensor(out, shape), back)
    }))
}

/// log p(target) of each row of logits: `[rows, vocabulary]`, `[rows]` → `[rows]`. The logits' memory becomes that of
/// their gradient.
pub(crate) fn token_log_probs(logits: &Tensor<2>, targets: &Tensor<1, Int>) -> Option<Tensor<1>> {
    let inputs = [Held::of(logits)?];
    let targets: Vec<u32> = targets.to_data_as::<i64>().iter::<i64>().map(|target| target as u32).collect();
    Some(apply(inputs, |[logits]| {
        let logits = dense(logits);
        let rows = targets.len();
        let (mut out, mut normaliser) = (room(rows), room(rows));
        likelihood::log_probs(numbers(&logits), &targets, &mut out, &mut normaliser);
        let back = move |gradient, _| {
            let (mut logits, gradient) = (owned(logits), dense(gradient));
            likelihood::log_probs_backward(numbers_mut(&mut logits), &targets, &normaliser, numbers(&gradient));
            [Some(logits)]
        };
        (tensor(out, [rows]), back)
    }))
}
