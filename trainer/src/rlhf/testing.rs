//! What the unit tests of this room share: tensors in double precision and their values.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// Rows of a matrix, in double precision, on a device with gradients.
pub fn matrix<const R: usize, const C: usize>(rows: [[f64; C]; R]) -> Tensor<2> {
    let data = TensorData::new(rows.concat(), [R, C]);
    Tensor::from_data(data, (&Device::flex().autodiff(), DType::F64))
}

pub fn vector<const N: usize>(elements: [f64; N]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(elements.to_vec(), [N]), (&Device::flex().autodiff(), DType::F64))
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data_as::<f64>().try_to_vec().unwrap()
}

pub fn scalar(tensor: Tensor<1>) -> f64 {
    assert_eq!(tensor.dtype(), DType::F64, "the type of the input is kept");
    tensor.into_scalar()
}

#[track_caller]
pub fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-7, "{found}, expected {expected}");
}

#[track_caller]
pub fn assert_close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).for_each(|(found, expected)| close(*found, *expected));
}
