//! A linear layer that may carry a low-rank adapter.

use burn::{
    module::{Module, Param},
    tensor::{Device, Int, Tensor, TensorData},
};
use rayon::prelude::*;

use super::{
    error::ModelError,
    lora::Adapter,
    precision::Precision,
    weights::{NamedTensor, WeightSource},
};
use crate::fused::{self, InOrder};

/// `y = x·W + b`, plus the adapter's `scale · x·A·B` when there is one.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]`
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Option<Param<Tensor<1>>>,
    /// What training changes instead of `weight`, when it is there.
    pub adapter: Option<Adapter>,
    /// The weight once more as products of some rows read it: of a layer that only answers.
    #[module(skip)]
    packed: Option<InOrder>,
}

impl Linear {
    /// Reads `name.weight` `[out, in]` and, when `bias`, `name.bias` `[out]`.
    pub fn load(
        source: &mut dyn WeightSource,
        name: &str,
        [input, output]: [usize; 2],
        bias: bool,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let rows = source.load(&format!("{name}.weight"), &[output, input])?;
        let bias = bias.then(|| source.load(&format!("{name}.bias"), &[output])).transpose()?;
        Ok(Self::from_values(transpose(&rows, output, input), bias, [input, output], device))
    }

    /// As [`Self::load`] for GPT-2's `Conv1D`, whose weight is stored `[in, out]`.
    pub fn load_conv1d(
        source: &mut dyn WeightSource,
        name: &str,
        [input, output]: [usize; 2],
        device: &Device,
    ) -> Result<Self, ModelError> {
        let weight = source.load(&format!("{name}.weight"), &[input, output])?;
        let bias = source.load(&format!("{name}.bias"), &[output])?;
        Ok(Self::from_values(weight, Some(bias), [input, output], device))
    }

    /// From row-major values; `weight` is `[in, out]`.
    pub fn from_values(weight: Vec<f32>, bias: Option<Vec<f32>>, [input, output]: [usize; 2], device: &Device) -> Self {
        Self {
            weight: Param::from_data(TensorData::new(weight, [input, output]), device),
            bias: bias.map(|bias| Param::from_data(TensorData::new(bias, [output]), device)),
            adapter: None,
            packed: None,
        }
    }

    /// `[batch, sequence, in]` → `[batch, sequence, out]`, both float32; the products are computed in `precision`.
    pub fn forward(&self, x: Tensor<3>, precision: Precision) -> Tensor<3> {
        let [batch, sequence, input] = x.dims();
        let output = self.weight.dims()[1];
        // One product over all tokens of the batch, instead of one a row.
        let x = x.reshape([batch * sequence, input]);
        let mut y = self.product(x, precision);
        if let Some(bias) = &self.bias {
            y = y + bias.val().unsqueeze();
        }
        y.reshape([batch, sequence, output])
    }

    /// Several layers over the same `x` `[batch, sequence, in]`; in one piece where a step of decoding can be.
    pub fn forward_together<const N: usize>(linears: [&Self; N], x: Tensor<3>, precision: Precision) -> [Tensor<3>; N] {
        let [batch, sequence, input] = x.dims();
        let plain = linears.iter().all(|linear| linear.adapter.is_none());
        let weights = linears.map(|linear| linear.weight.val());
        let rows = x.clone().reshape([batch * sequence, input]);
        let at_once = || {
            let packed = fused::packed_linears(&rows, linears.map(|linear| linear.packed.as_ref()), precision);
            let one_by_one = || fused::linears(&rows, weights.each_ref());
            packed.or_else(|| (precision == Precision::Float32).then(one_by_one).flatten())
        };
        let Some(products) = plain.then(at_once).flatten() else {
            return linears.map(|linear| linear.forward(x.clone(), precision));
        };
        let mut linears = linears.into_iter();
        products.map(|y| {
            let output = y.dims()[1];
            let bias = linears.next().and_then(|linear| linear.bias.as_ref());
            let y = bias.map_or_else(|| y.clone(), |bias| y.clone() + bias.val().unsqueeze());
            y.reshape([batch, sequence, output])
        })
    }

    /// `x·W` and the adapter's part: `[tokens, in]` → `[tokens, out]`.
    fn product(&self, x: Tensor<2>, precision: Precision) -> Tensor<2> {
        let with_adapter = |y: Tensor<2>| match &self.adapter {
            Some(adapter) => y + adapter.forward(x.clone(), precision),
            None => y,
        };
        if let Some([y]) = fused::packed_linears(&x, [self.packed.as_ref()], precision) {
            return with_adapter(y);
        }
        let weight = self.weight.val();
        let at_once = self.adapter.as_ref().and_then(|adapter| adapter.beside(&x, &weight, precision));
        at_once.unwrap_or_else(|| with_adapter(precision.linear(x.clone(), weight)))
    }

    /// Puts the weight, once more, in the order in which products of some rows read it, where that is of use. Nothing is to be
    /// learned from then on.
    pub(super) fn pack(&mut self) {
        if self.adapter.is_none() && self.packed.is_none() {
            self.packed = fused::pack(&self.weight.val(), false, Precision::Float32);
        }
    }

    /// Keeps the matrices as products in `precision` take them: rounded once, and not for each product. Nothing is to be learned
    /// from then on.
    pub(super) fn hold(&mut self, precision: Precision) {
        if precision.rounds_as_it_multiplies(&self.weight.device()) {
            // In order, beside the weight as it is; an adapter's matrices are small.
            if !matches!(self.packed, Some(InOrder::Bfloat16(_))) {
                self.packed = fused::pack(&self.weight.val(), false, precision);
            }
            return;
        }
        self.packed = None;
        self.weight = self.weight.clone().map(|weight| precision.cast(weight));
        if let Some(adapter) = &mut self.adapter {
            adapter.hold(precision);
        }
    }

    /// Puts an adapter beside the weight, in place of the one that was there.
    pub(super) fn adapt(&mut self, adapter: Adapter) {
        // An adapter's part is added to the product with the weight as it is.
        self.packed = None;
        self.adapter = Some(adapter);
    }

    /// The weight `[in, out]` with the adapter added.
    pub fn merged_weight(&self) -> Tensor<2> {
        let weight = self.weight.val();
        match &self.adapter {
            Some(adapter) => weight + adapter.delta(),
            None => weight,
        }
    }

    /// The same layer with the adapter's change in its weight and no adapter.
    pub fn merged(&self) -> Self {
        let Some(_) = &self.adapter else {
            return self.clone();
        };
        Self {
            weight: Param::from_tensor(self.merged_weight().detach()),
            bias: self.bias.clone(),
            adapter: None,
            packed: None,
        }
    }

    /// The weight as `[out, in]` row-major, adapter added: what compression works on.
    pub fn weight_rows(&self) -> Vec<f32> {
        let rows = self.merged_weight().transpose().into_data_as::<f32>();
        rows.try_into_vec().expect("the data was just converted to f32")
    }

    /// Replaces the weight, given as `[out, in]` row-major: what compression works on.
    pub fn set_weight_rows(&mut self, rows: &[f32]) {
        self.replace_inputs(self.weight.dims()[0], rows);
    }

    /// Replaces the weight by one for another number of inputs, given as `[out, input]` row-major.
    pub(super) fn replace_inputs(&mut self, input: usize, rows: &[f32]) {
        let output = self.weight.dims()[1];
        let device = self.weight.device();
        let values = transpose(rows, output, input);
        let id = self.weight.id;
        let tensor = Tensor::from_data(TensorData::new(values, [input, output]), &device);
        self.packed = None;
        self.weight = Param::initialized(id, tensor);
    }

    /// Leaves only those outputs, in that order.
    pub(super) fn keep_outputs(&mut self, kept: &[usize]) {
        let kept: Vec<i32> = kept.iter().map(|&output| output as i32).collect();
        let kept = Tensor::<1, Int>::from_data(TensorData::new(kept.clone(), [kept.len()]), &self.weight.device());
        self.weight = self.weight.clone().map(|weight| weight.select(1, kept.clone()));
        self.packed = None;
        self.bias = self.bias.clone().map(|bias| bias.map(|bias| bias.select(0, kept)));
    }

    /// Names for a checkpoint, weight as `[out, in]`, adapter merged.
    pub(super) fn named(&self, name: &str) -> Vec<NamedTensor> {
        let weight = self.merged_weight().transpose();
        let mut tensors = vec![NamedTensor::matrix(format!("{name}.weight"), weight)];
        if let Some(bias) = &self.bias {
            tensors.push(NamedTensor::vector(format!("{name}.bias"), bias.val()));
        }
        tensors
    }

    /// As [`Self::named`], weight as `[in, out]` (`Conv1D`).
    pub(super) fn named_conv1d(&self, name: &str) -> Vec<NamedTensor> {
        let weight = self.merged_weight();
        let mut tensors = vec![NamedTensor::matrix(format!("{name}.weight"), weight)];
        if let Some(bias) = &self.bias {
            tensors.push(NamedTensor::vector(format!("{name}.bias"), bias.val()));
        }
        tensors
    }
}

/// `[rows, columns]` → `[columns, rows]`, in tiles that fit the cache, on all cores.
pub(super) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let mut out = vec![0.0; values.len()];
    out.par_chunks_mut((TILE * rows).max(1)).enumerate().for_each(|(tile, out)| {
        let first = tile * TILE;
        for row_tile in (0..rows).step_by(TILE) {
            for (column, out) in out.chunks_exact_mut(rows).enumerate() {
                for row in row_tile..(row_tile + TILE).min(rows) {
                    out[row] = values[row * columns + first + column];
                }
            }
        }
    });
    out
}
