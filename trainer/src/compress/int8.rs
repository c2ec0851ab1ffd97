//! Weights as bytes: symmetric, one scale an output row.

use super::matrix::Matrix;

/// The largest level; −128 is not used, so that levels are symmetric.
const LEVELS: f64 = 127.0;

/// A weight of `rows × columns` levels; a weight is its level times the scale of its row.
#[derive(Debug, Clone, PartialEq)]
pub struct Int8 {
    pub rows: usize,
    pub columns: usize,
    /// −127 to 127, row by row.
    pub levels: Vec<i8>,
    /// max|row| / 127; 1 for a row of zeros, whose levels are all 0.
    pub scales: Vec<f64>,
}

impl Int8 {
    /// Rounds to the nearest level, halves to the even one (as PyTorch and ONNX do).
    pub fn quantise(weight: &Matrix) -> Self {
        let mut levels = Vec::with_capacity(weight.values().len());
        let mut scales = Vec::with_capacity(weight.rows());
        for row in 0..weight.rows() {
            let row = weight.row(row);
            let largest = row.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            // A row too small for its scale to be a normal number counts as zeros.
            let scale = Some(largest / LEVELS).filter(|scale| scale.is_normal()).unwrap_or(1.0);
            levels.extend(row.iter().map(|value| (value / scale).round_ties_even().clamp(-LEVELS, LEVELS) as i8));
            scales.push(scale);
        }
        Self { rows: weight.rows(), columns: weight.columns(), levels, scales }
    }

    /// The weights that the levels stand for.
    pub fn dequantise(&self) -> Matrix {
        let mut weight = Matrix::zeros(self.rows, self.columns);
        for (i, (value, &level)) in weight.values_mut().iter_mut().zip(&self.levels).enumerate() {
            *value = f64::from(level) * self.scales[i / self.columns];
        }
        weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_a_row_is_kept_and_nothing_moves_by_more_than_half_a_level() {
        let weight = Matrix::new(2, 3, vec![0.5, -2.54, 1.0, 1e-3, 2e-3, -5e-4]).unwrap();
        let quantised = Int8::quantise(&weight);
        assert_eq!(quantised.levels[..3], [25, -127, 50]);
        for (i, (found, value)) in quantised.dequantise().values().iter().zip(weight.values()).enumerate() {
            assert!((found - value).abs() <= quantised.scales[i / 3] / 2.0 + 1e-15);
        }
    }

    #[test]
    fn a_row_of_zeros_stays_zero() {
        let quantised = Int8::quantise(&Matrix::new(2, 2, vec![0.0, 0.0, 1.0, -1.0]).unwrap());
        assert_eq!(quantised.dequantise().values(), [0.0, 0.0, 1.0, -1.0]);
        assert_eq!(quantised.scales[0], 1.0);
    }

    #[test]
    fn halves_go_to_the_even_level() {
        let quantised = Int8::quantise(&Matrix::new(1, 4, vec![127.0, 0.5, 1.5, -2.5]).unwrap());
        assert_eq!(quantised.levels, [127, 0, 2, -2]);
    }
}
