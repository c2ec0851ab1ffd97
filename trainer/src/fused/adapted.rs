//! A frozen linear layer with its low-rank adapter, in one operation: nothing as wide as the output is made besides it.

use burn::tensor::Tensor;
use laurel_kernels::matrix::{Target, View};

use crate::model::Precision;

use super::{
    held::{Held, apply, dense, numbers, room, sizes, tensor},
    ops::{matrix, product_in, times},
};

/// `x·W + scale·x·A·B` (Hu et al. 2021, eq. 3): `x` `[tokens, in]`, `weight` `[in, out]`, `a` `[in, rank]`, `b` `[rank, out]`
/// → `[tokens, out]`, all of them float32; every product is computed in `precision`.
pub(crate) fn adapted_linear(
    x: &Tensor<2>,
    weight: &Tensor<2>,
    [a, b]: [&Tensor<2>; 2],
    scale: f64,
    precision: Precision,
) -> Option<Tensor<2>> {
    let product = product_in(precision)?;
    let inputs = [Held::of(x)?, Held::of(weight)?, Held::of(a)?, Held::of(b)?];
    Some(apply(inputs, |inputs| {
        let [x, weight, a, b] = inputs.map(dense);
        let ([tokens, input], [_, output], [_, rank]) = (sizes(&x), sizes(&weight), sizes(&a));
        let mut thin = room(tokens * rank);
        product(Target::write(&mut thin, rank), matrix(&x), matrix(&a));
        thin.iter_mut().for_each(|value| *value *= scale as f32);
        let mut y = room(tokens * output);
        times(&x, &weight, false, &mut y, precision);
        product(Target::add(&mut y, output), View::new(&thin, tokens, rank), matrix(&b));
        let back = move |gradient, [of_x, of_weight, of_a, of_b]: [bool; 4]| {
            let gradient = dense(gradient);
            let dy = View::new(numbers(&gradient), tokens, output);
            let mut of_thin = room(tokens * rank);
            product(Target::write(&mut of_thin, rank), dy, matrix(&b).transposed());
            of_thin.iter_mut().for_each(|value| *value *= scale as f32);
            let of_thin = View::new(&of_thin, tokens, rank);
            let dx = of_x.then(|| {
                let mut dx = room(tokens * input);
                product(Target::write(&mut dx, input), dy, matrix(&weight).transposed());
                product(Target::add(&mut dx, input), of_thin, matrix(&a).transposed());
                tensor(dx, [tokens, input])
            });
            let of = |wanted: bool, left: View, right: View, shape: [usize; 2]| {
                wanted.then(|| {
                    let mut values = room(shape[0] * shape[1]);
                    product(Target::write(&mut values, shape[1]), left, right);
                    tensor(values, shape)
                })
            };
            let dw = of(of_weight, matrix(&x).transposed(), dy, [input, output]);
            let da = of(of_a, matrix(&x).transposed(), of_thin, [input, rank]);
            let db = of(of_b, View::new(&thin, tokens, rank).transposed(), dy, [rank, output]);
            [dx, dw, da, db]
        };
        (tensor(y, [tokens, output]), back)
    }))
}
