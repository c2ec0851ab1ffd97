//! A matrix row by row.

use super::error::CompressError;

/// `rows × columns` numbers in double precision, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// # Errors
    /// Another number of values than `rows × columns`, or a value that is not finite.
    pub fn new(rows: usize, columns: usize, values: Vec<f64>) -> Result<Self, CompressError> {
        if values.len() != rows * columns {
            return Err(CompressError::Shape { rows, columns, values: values.len() });
        }
        if !values.iter().all(|value| value.is_finite()) {
            return Err(CompressError::NotFinite);
        }
        Ok(Self { rows, columns, values })
    }

    /// From single precision.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn from_f32(rows: usize, columns: usize, values: &[f32]) -> Result<Self, CompressError> {
        Self::new(rows, columns, values.iter().map(|&value| value.into()).collect())
    }

    /// The values in single precision, row by row.
    pub fn to_f32(&self) -> Vec<f32> {
        self.values.iter().map(|&value| value as f32).collect()
    }

    /// Nothing but zeros.
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, values: vec![0.0; rows * columns] }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn values(&self) -> &[f64] {
        &self.values
    }

    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    pub(super) fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.values[row * self.columns..(row + 1) * self.columns]
    }

    pub(super) fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// The share of zeros.
    pub fn sparsity(&self) -> f64 {
        let zeros = self.values.iter().filter(|value| **value == 0.0).count();
        zeros as f64 / self.values.len().max(1) as f64
    }
}
