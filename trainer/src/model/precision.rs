//! The number format that matrix products are computed in, in the manner of PyTorch's autocast.

use std::{fmt, str::FromStr};

use burn::tensor::{Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

use crate::fused;

/// What matrix products are computed in: those of linear layers, adapters and the output matrix, and both of attention.
///
/// Their inputs are cast for the product and its result is cast back (Micikevicius et al. 2018, section 3.1, as PyTorch's
/// `torch.autocast` does it). On the CPU the result of a product in bfloat16 is not rounded; in attention keys and values always are,
/// since reading them from a cache takes half of the time then, queries and probabilities where that makes many products faster.
/// Weights, norms, softmax, the residual stream, logits, losses, gradients of weights and the optimiser are float32 whatever this
/// says; so are the scalar heads, whose one product costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    Float32,
    /// 8 bits of exponent, 7 of mantissa: the range of float32.
    Bfloat16,
    /// 5 bits of exponent, 10 of mantissa: nothing above 65,504. Learning needs a scaled loss.
    Float16,
}

/// The device has no matrix products in the number format that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this device multiplies no matrices in {wanted}; here it can be {}", names(possible))]
pub struct UnsupportedPrecision {
    pub wanted: Precision,
    /// What the device can do.
    pub possible: Vec<Precision>,
}

impl Precision {
    pub const ALL: [Self; 3] = [Self::Float32, Self::Bfloat16, Self::Float16];

    /// As settings and options call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Bfloat16 => "bfloat16",
            Self::Float16 => "float16",
        }
    }

    /// Refuses what `device` cannot compute with.
    pub fn ensure_supported(self, device: &Device) -> Result<(), UnsupportedPrecision> {
        self.ensure(|dtype| device.supports_dtype(dtype))
    }

    fn ensure(self, supports: impl Fn(FloatDType) -> bool) -> Result<(), UnsupportedPrecision> {
        // Every device has float32, on which all else stands.
        let can = |precision: Self| precision == Self::Float32 || supports(precision.dtype());
        if can(self) {
            return Ok(());
        }
        let possible = Self::ALL.into_iter().filter(|precision| can(*precision)).collect();
        Err(UnsupportedPrecision { wanted: self, possible })
    }

    /// What tensors of this precision are stored as.
    pub fn dtype(self) -> FloatDType {
        match self {
            Self::Float32 => FloatDType::F32,
            Self::Bfloat16 => FloatDType::BF16,
            Self::Float16 => FloatDType::F16,
        }
    }

    /// Bytes of a number that is stored so.
    pub fn size(self) -> usize {
        if self == Self::Float32 { 4 } else { 2 }
    }

    /// The values rounded to this precision; their gradient comes back in the format that they had.
    pub(super) fn cast<const D: usize>(self, tensor: Tensor<D>) -> Tensor<D> {
        tensor.cast(self.dtype())
    }

    /// Whether products of float32 matrices round their numbers to this format on the way, so that nothing is cast before.
    pub(super) fn rounds_as_it_multiplies(self, device: &Device) -> bool {
        self == Self::Bfloat16 && device.clone().inner() == Device::flex()
    }

    /// What the products of attention are computed in; its keys and values are rounded to this precision itself.
    pub(super) fn of_attention(self, device: &Device) -> Self {
        if self.rounds_as_it_multiplies(device) { Self::Float32 } else { self }
    }

    /// `a·b` of matrices, computed in this precision, as float32.
    pub(super) fn linear(self, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        fused::linear(&a, &b, false, self).unwrap_or_else(|| match self {
            Self::Float32 => a.matmul(b),
            low => low.product(a, b),
        })
    }

    /// `a·b` of the last two dimensions, computed in this precision, as float32.
    ///
    /// Every product casts for itself, also where several share an input: the gradients of all of them are then added up in
    /// float32.
    pub(super) fn product<const D: usize>(self, a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
        self.cast(a).matmul(self.cast(b)).cast(FloatDType::F32)
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|precision| precision.name() == text);
        found.ok_or_else(|| format!("expected {}", names(&Self::ALL)))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `a, b or c`
fn names(of: &[Precision]) -> String {
    let names: Vec<&str> = of.iter().map(|precision| precision.name()).collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_without_the_format_is_refused_with_what_it_has() {
        let only_half = |dtype| dtype == FloatDType::F16;
        let error = Precision::Bfloat16.ensure(only_half).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this device multiplies no matrices in bfloat16; here it can be float32 or float16"
        );
        assert_eq!(Precision::Float16.ensure(only_half), Ok(()));
        let nothing = Precision::Float16.ensure(|_| false).unwrap_err();
        assert!(nothing.to_string().ends_with("here it can be float32"), "{nothing}");
        assert_eq!(Precision::Float32.ensure(|_| false), Ok(()));
        for precision in Precision::ALL {
            assert_eq!(precision.ensure_supported(&Device::flex()), Ok(()), "the CPU converts");
        }
    }

    #[test]
    fn names_are_understood_and_written_back() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
            assert_eq!(serde_json::to_value(precision).unwrap(), precision.name());
        }
        assert_eq!("bf16".parse::<Precision>(), Err("expected float32, bfloat16 or float16".into()));
    }

    /// burn's cast has to give the gradient back in the format of what was cast, not in that of the result.
    #[test]
    fn a_product_in_low_precision_gives_float32_and_float32_gradients() {
        use burn::tensor::{DType, TensorData};
        let device = Device::flex().autodiff();
        let tensor = |values: [f32; 4]| Tensor::<2>::from_data(TensorData::new(values.to_vec(), [2, 2]), &device);
        // 1 + 2⁻¹⁰ is a number of float16 and not of bfloat16.
        let close_to_one = 1.0 + 2f32.powi(-10);
        for (precision, seen) in [(Precision::Bfloat16, 1.0), (Precision::Float16, close_to_one)] {
            let a = tensor([close_to_one, 0.0, 0.0, 1.0]).require_grad();
            let b = tensor([1.0, 2.0, 3.0, 4.0]).require_grad();
            let c = precision.product(a.clone(), b.clone());
            assert_eq!(c.dtype(), DType::F32);
            let values: Vec<f32> = c.clone().into_data().try_to_vec().unwrap();
            assert_eq!(values, [seen, 2.0 * seen, 3.0, 4.0]);
            let gradients = c.sum().backward();
            let [of_a, of_b] = [a, b].map(|leaf| leaf.grad(&gradients).unwrap());
            assert_eq!([of_a.dtype(), of_b.dtype()], [DType::F32; 2]);
            let of = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap();
            assert_eq!((of(of_a), of(of_b)), (vec![3.0, 7.0, 3.0, 7.0], vec![seen, seen, 1.0, 1.0]));
        }
    }
}
