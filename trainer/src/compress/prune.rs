//! Zeroing weights by a score alone, without moving those that stay: magnitude and Wanda.

use super::{
    error::{CompressError, check_sparsity},
    matrix::Matrix,
    statistics::InputStatistics,
};

/// Zeroes the weights of least magnitude, a `sparsity` share of the whole matrix.
///
/// # Errors
/// A sparsity outside 0 to 1.
pub fn magnitude(weight: &Matrix, sparsity: f64) -> Result<Matrix, CompressError> {
    check_sparsity(sparsity)?;
    let scores: Vec<f64> = weight.values().iter().map(|value| value.abs()).collect();
    let mut pruned = weight.clone();
    for position in lowest(&scores, count(scores.len(), sparsity)) {
        pruned.values_mut()[position] = 0.0;
    }
    Ok(pruned)
}

/// Zeroes, in every output row, the `sparsity` share of the weights with least |W_ij|·‖X_j‖₂ (Sun et al. 2024, eq. 1).
///
/// # Errors
/// A sparsity outside 0 to 1, no calibration, or calibration of another width.
pub fn wanda(weight: &Matrix, inputs: &InputStatistics, sparsity: f64) -> Result<Matrix, CompressError> {
    check_sparsity(sparsity)?;
    inputs.check(weight)?;
    let norms = inputs.norms();
    let of_row = count(weight.columns(), sparsity);
    let mut pruned = weight.clone();
    for row in 0..weight.rows() {
        let scores: Vec<f64> = weight.row(row).iter().zip(&norms).map(|(value, norm)| value.abs() * norm).collect();
        for column in lowest(&scores, of_row) {
            pruned.row_mut(row)[column] = 0.0;
        }
    }
    Ok(pruned)
}

/// How many of `of` are removed: the share, rounded down.
pub(super) fn count(of: usize, sparsity: f64) -> usize {
    // What rounding has taken off a product that should be whole (0.29 × 100) is given back.
    ((of as f64 * sparsity + 1e-9).floor() as usize).min(of)
}

/// The positions of exactly `count` lowest scores; of equal scores, those that come first.
pub(super) fn lowest(scores: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    if count < order.len() {
        order.select_nth_unstable_by(count, |a, b| scores[*a].total_cmp(&scores[*b]).then(a.cmp(b)));
    }
    order.truncate(count);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitude_looks_at_the_whole_matrix_and_wanda_at_each_row() {
        let weight = Matrix::new(2, 4, vec![4.0, -3.0, 2.0, 1.0, -0.4, 0.3, 0.2, 0.1]).unwrap();
        assert_eq!(magnitude(&weight, 0.5).unwrap().values(), [4.0, -3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        let inputs = InputStatistics::of(&Matrix::new(1, 4, vec![0.1, 1.0, 1.0, -10.0]).unwrap());
        assert_eq!(wanda(&weight, &inputs, 0.5).unwrap().values(), [0.0, -3.0, 0.0, 1.0, 0.0, 0.3, 0.0, 0.1]);
    }

    #[test]
    fn equal_weights_are_removed_in_the_exact_number() {
        let weight = Matrix::new(1, 5, vec![1.0; 5]).unwrap();
        assert_eq!(magnitude(&weight, 0.5).unwrap().values(), [0.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(magnitude(&weight, 1.0).unwrap().sparsity(), 1.0);
        assert_eq!(magnitude(&weight, 0.0).unwrap(), weight);
        assert_eq!(count(100, 0.29), 29);
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        let weight = Matrix::new(1, 2, vec![1.0, 2.0]).unwrap();
        assert_eq!(magnitude(&weight, 1.5), Err(CompressError::Sparsity { sparsity: 1.5 }));
        assert_eq!(wanda(&weight, &InputStatistics::new(2), 0.5), Err(CompressError::NoCalibration));
        let other = InputStatistics::of(&Matrix::new(1, 3, vec![1.0; 3]).unwrap());
        assert_eq!(wanda(&weight, &other, 0.5), Err(CompressError::Inputs { layer: 2, calibration: 3 }));
    }
}
