//! What is kept of a layer's calibration inputs: their second moments, however many samples there are.

use nalgebra::{DMatrix, DMatrixView};

use super::{error::CompressError, matrix::Matrix};

/// Σ x·xᵀ over the samples seen so far, and their number.
#[derive(Debug, Clone, PartialEq)]
pub struct InputStatistics {
    columns: usize,
    samples: usize,
    /// `[in, in]`, symmetric.
    moments: Vec<f64>,
}

impl InputStatistics {
    /// Of a layer with `columns` inputs, before the first sample.
    pub fn new(columns: usize) -> Self {
        Self { columns, samples: 0, moments: vec![0.0; columns * columns] }
    }

    /// Of all samples at once: `inputs` is `[samples, in]`.
    pub fn of(inputs: &Matrix) -> Self {
        let mut statistics = Self::new(inputs.columns());
        for sample in 0..inputs.rows() {
            let sample = inputs.row(sample);
            for (left, row) in sample.iter().zip(statistics.moments.chunks_exact_mut(sample.len().max(1))) {
                row.iter_mut().zip(sample).for_each(|(moment, right)| *moment += left * right);
            }
        }
        statistics.samples = inputs.rows();
        statistics
    }

    /// Adds XᵀX (`[in, in]`, row by row) of `samples` more samples, where something else multiplied already.
    ///
    /// # Errors
    /// Another number of values than in × in, or a value that is not finite.
    pub fn add_moments(&mut self, moments: &[f64], samples: usize) -> Result<(), CompressError> {
        if moments.len() != self.moments.len() {
            return Err(CompressError::Shape { rows: self.columns, columns: self.columns, values: moments.len() });
        }
        if !moments.iter().all(|moment| moment.is_finite()) {
            return Err(CompressError::NotFinite);
        }
        self.moments.iter_mut().zip(moments).for_each(|(sum, moment)| *sum += moment);
        self.samples += samples;
        Ok(())
    }

    /// How many inputs the layer has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn samples(&self) -> usize {
        self.samples
    }

    /// ‖X_j‖₂ of each input over all samples.
    pub fn norms(&self) -> Vec<f64> {
        (0..self.columns).map(|j| self.moments[j * self.columns + j].max(0.0).sqrt()).collect()
    }

    /// H = 2·XᵀX/samples: the second derivatives of the mean squared output error, the same for every output row.
    pub(super) fn hessian(&self) -> Vec<f64> {
        let factor = 2.0 / self.samples.max(1) as f64;
        self.moments.iter().map(|moment| moment * factor).collect()
    }

    /// Σ x_i·x_j over all samples.
    pub(super) fn moment(&self, i: usize, j: usize) -> f64 {
        self.moments[i * self.columns + j]
    }

    pub(super) fn check(&self, weight: &Matrix) -> Result<(), CompressError> {
        match self {
            _ if self.columns != weight.columns() => {
                Err(CompressError::Inputs { layer: weight.columns(), calibration: self.columns })
            }
            _ if self.samples == 0 => Err(CompressError::NoCalibration),
            _ => Ok(()),
        }
    }

    /// Σ over samples and outputs of the squared change of the output, tr(D·XᵀX·Dᵀ) with D the change of the weight.
    ///
    /// # Errors
    /// Matrices of different shapes.
    pub fn squared_output_error(&self, before: &Matrix, after: &Matrix) -> Result<f64, CompressError> {
        self.check(before)?;
        self.check(after)?;
        if before.rows() != after.rows() {
            let (rows, columns) = (before.rows(), before.columns());
            return Err(CompressError::Shape { rows, columns, values: after.values().len() });
        }
        // Row by row is column by column of the transpose, which is how nalgebra keeps a matrix: these are Dᵀ and XᵀX.
        let change = before.values().iter().zip(after.values()).map(|(a, b)| a - b);
        let change = DMatrix::from_iterator(self.columns, before.rows(), change);
        let moments = DMatrixView::from_slice(&self.moments, self.columns, self.columns);
        Ok((moments * &change).dot(&change))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_in_parts_are_the_moments_of_all() {
        let inputs = Matrix::new(3, 2, vec![1.0, 2.0, -1.0, 0.5, 0.0, 3.0]).unwrap();
        let whole = InputStatistics::of(&inputs);
        let mut parts = InputStatistics::of(&Matrix::new(2, 2, inputs.values()[..4].to_vec()).unwrap());
        parts.add_moments(&[0.0, 0.0, 0.0, 9.0], 1).unwrap();
        assert_eq!(parts, whole);
        assert_eq!(whole.norms(), [2f64.sqrt(), 13.25f64.sqrt()]);
    }

    #[test]
    fn the_error_is_that_of_the_outputs() {
        let inputs = Matrix::new(2, 2, vec![1.0, 2.0, -1.0, 0.5]).unwrap();
        let before = Matrix::new(1, 2, vec![1.0, 1.0]).unwrap();
        let after = Matrix::new(1, 2, vec![1.0, 0.0]).unwrap();
        let error = InputStatistics::of(&inputs).squared_output_error(&before, &after).unwrap();
        assert_eq!(error, 4.0 + 0.25);
    }
}
