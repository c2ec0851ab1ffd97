//! Named weights in and out: where a decoder's tensors come from, and what they are called in a checkpoint.
//!
//! Names and shapes are those of Hugging Face transformers; a source that stores them otherwise (GGUF) translates.

use std::borrow::Cow;

use burn::tensor::Tensor;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::{Dtype, tensor::View};

use super::error::ModelError;

/// Gives the values of one tensor after another, row-major, in the shape that the model expects.
pub trait WeightSource {
    /// The values of tensor `name`. Fails when there is none, or when its shape is not `shape`.
    fn load(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError>;
}

/// Fresh weights: normal with standard deviation 0.02 (GPT-2's recipe, residual projections scaled by 1/√(2·layers)),
/// biases zero, norms one. The same seed gives the same weights.
pub struct RandomWeights {
    rng: ChaCha8Rng,
    residual_scale: f32,
}

impl RandomWeights {
    pub fn new(seed: u64, layers: usize) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed), residual_scale: 1.0 / ((2 * layers.max(1)) as f32).sqrt() }
    }

    /// Two independent standard normal values (Box and Muller).
    fn normal_pair(&mut self) -> (f32, f32) {
        let radius = (-2.0 * (1.0 - self.rng.random::<f64>()).ln()).sqrt();
        let angle = std::f64::consts::TAU * self.rng.random::<f64>();
        ((radius * angle.cos()) as f32, (radius * angle.sin()) as f32)
    }

    fn normal(&mut self, count: usize, deviation: f32) -> Vec<f32> {
        let mut values = Vec::with_capacity(count + 1);
        while values.len() < count {
            let (first, second) = self.normal_pair();
            values.extend([first * deviation, second * deviation]);
        }
        values.truncate(count);
        values
    }
}

impl WeightSource for RandomWeights {
    fn load(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let count = shape.iter().product();
        if name.ends_with("bias") {
            return Ok(vec![0.0; count]);
        }
        if shape.len() == 1 {
            return Ok(vec![1.0; count]);
        }
        let residual =
            ["c_proj.weight", "o_proj.weight", "down_proj.weight"].iter().any(|suffix| name.ends_with(suffix));
        let scale = if residual { self.residual_scale } else { 1.0 };
        Ok(self.normal(count, 0.02 * scale))
    }
}

/// A tensor under its checkpoint name. Its values are read from the device only when it is written.
pub struct NamedTensor {
    pub name: String,
    shape: Vec<usize>,
    values: Values,
}

enum Values {
    Vector(Tensor<1>),
    Matrix(Tensor<2>),
}

impl NamedTensor {
    pub fn vector(name: impl Into<String>, tensor: Tensor<1>) -> Self {
        Self { name: name.into(), shape: tensor.dims().to_vec(), values: Values::Vector(tensor) }
    }

    pub fn matrix(name: impl Into<String>, tensor: Tensor<2>) -> Self {
        Self { name: name.into(), shape: tensor.dims().to_vec(), values: Values::Matrix(tensor) }
    }

    /// The values, row-major.
    pub fn values(&self) -> Vec<f32> {
        let data = match &self.values {
            Values::Vector(tensor) => tensor.to_data_as::<f32>(),
            Values::Matrix(tensor) => tensor.to_data_as::<f32>(),
        };
        data.try_to_vec().expect("the data was just converted to f32")
    }
}

impl View for NamedTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        const SIZE: usize = size_of::<f32>();
        let values = self.values();
        let mut bytes = vec![0; SIZE * values.len()];
        for (bytes, value) in bytes.as_chunks_mut::<SIZE>().0.iter_mut().zip(values) {
            *bytes = value.to_le_bytes();
        }
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        4 * self.shape.iter().product::<usize>()
    }
}
