//! SparseGPT: zeroes weights and moves the others so that the layer's outputs change least.

use std::ops::Range;

use nalgebra::DMatrix;

use super::{
    cholesky,
    error::{CompressError, check_sparsity},
    matrix::Matrix,
    prune::{count, lowest},
    statistics::InputStatistics,
};

/// The defaults are those of the paper's code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SparseGptSettings {
    /// The share of the weights of each block that becomes zero.
    pub sparsity: f64,
    /// Columns whose mask is chosen at once.
    pub block_size: usize,
    /// What is added to the diagonal of the second derivatives, as a share of its mean.
    pub damping: f64,
}

impl Default for SparseGptSettings {
    fn default() -> Self {
        Self { sparsity: 0.5, block_size: 128, damping: 0.01 }
    }
}

/// Prunes one layer (Frantar & Alistarh 2023, algorithm 1). In each block of columns exactly the `sparsity` share, rounded
/// down, of all its weights over all rows becomes zero: those of least w²/U_jj² (their code compares with a threshold and may
/// remove more than asked). The error of each goes into the columns to its right.
///
/// Inputs that were never other than zero have their weights removed first. The last block may be narrower.
///
/// # Errors
/// A sparsity outside 0 to 1, no calibration, calibration of another width, or second moments that no damping makes
/// positive definite.
pub fn sparsegpt(
    weight: &Matrix,
    inputs: &InputStatistics,
    settings: &SparseGptSettings,
) -> Result<Matrix, CompressError> {
    check_sparsity(settings.sparsity)?;
    inputs.check(weight)?;
    let columns = weight.columns();
    let mut hessian = inputs.hessian();
    let mut weight = weight.clone();
    for (j, _) in inputs.norms().iter().enumerate().filter(|(_, norm)| **norm == 0.0) {
        hessian[j * columns + j] = 1.0;
        (0..weight.rows()).for_each(|row| weight.row_mut(row)[j] = 0.0);
    }
    let upper = inverse_factor(&hessian, columns, settings.damping)?;
    for start in (0..columns).step_by(settings.block_size.max(1)) {
        let block = start..(start + settings.block_size.max(1)).min(columns);
        prune_block(&mut weight, &upper, block, settings.sparsity);
    }
    Ok(weight)
}

fn prune_block(weight: &mut Matrix, upper: &[f64], block: Range<usize>, sparsity: f64) {
    let (columns, width) = (weight.columns(), block.len());
    let scores: Vec<f64> = (0..weight.rows())
        .flat_map(|row| {
            weight.row(row)[block.clone()].iter().zip(block.clone()).map(|(w, j)| (w / upper[j * columns + j]).powi(2))
        })
        .collect();
    let mut removed = vec![false; scores.len()];
    lowest(&scores, count(scores.len(), sparsity)).into_iter().for_each(|position| removed[position] = true);
    for (row, removed) in removed.chunks_exact(width).enumerate() {
        let row = weight.row_mut(row);
        let mut errors = vec![0.0; width];
        for (i, j) in block.clone().enumerate().filter(|(i, _)| removed[*i]) {
            let u = &upper[j * columns..(j + 1) * columns];
            errors[i] = row[j] / u[j];
            row[j] = 0.0;
            subtract(&mut row[j + 1..block.end], errors[i], &u[j + 1..block.end]);
        }
        // The rest of the row waits for the whole block: its columns are not looked at before.
        for (error, j) in errors.iter().zip(block.clone()) {
            subtract(&mut row[block.end..], *error, &upper[j * columns + block.end..(j + 1) * columns]);
        }
    }
}

fn subtract(row: &mut [f64], factor: f64, other: &[f64]) {
    if factor != 0.0 {
        row.iter_mut().zip(other).for_each(|(x, y)| *x -= factor * y);
    }
}

/// The upper triangular U with UᵀU = (H + damping·mean(diag H)·I)⁻¹, row by row.
fn inverse_factor(hessian: &[f64], size: usize, damping: f64) -> Result<Vec<f64>, CompressError> {
    // With the order of the columns turned round, H = L·Lᵀ gives H = R·Rᵀ with R upper, so that U = R⁻¹: one factor and one
    // triangular inverse, and H is never inverted itself.
    let factor = cholesky::damped(size, damping, |row, column| hessian[(size - 1 - row) * size + size - 1 - column])?;
    let inverse = invert_lower(&factor.unpack());
    Ok(inverse.into_iter().rev().collect())
}

/// The inverse of a lower triangular matrix, row by row, itself lower triangular.
fn invert_lower(lower: &DMatrix<f64>) -> Vec<f64> {
    let size = lower.nrows();
    let mut inverse = vec![0.0; size * size];
    for row in 0..size {
        let (above, current) = inverse.split_at_mut(row * size);
        let current = &mut current[..size];
        for k in 0..row {
            subtract(&mut current[..=k], lower[(row, k)], &above[k * size..=k * size + k]);
        }
        current[row] = 1.0;
        current[..=row].iter_mut().for_each(|x| *x /= lower[(row, row)]);
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compress::magnitude;

    /// Numbers that look random and are the same each time.
    fn noise(count: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        (0..count).map(|_| next()).collect()
    }

    /// A layer and correlated inputs.
    fn layer(rows: usize, columns: usize) -> (Matrix, Matrix) {
        let weight = Matrix::new(rows, columns, noise(rows * columns, 1)).unwrap();
        let samples = 4 * columns;
        let (common, own) = (noise(samples, 2), noise(samples * columns, 3));
        let inputs = own.iter().enumerate().map(|(i, x)| x + common[i / columns]).collect();
        (weight, Matrix::new(samples, columns, inputs).unwrap())
    }

    fn zeros(matrix: &Matrix, columns: Range<usize>) -> usize {
        (0..matrix.rows()).flat_map(|row| &matrix.row(row)[columns.clone()]).filter(|w| **w == 0.0).count()
    }

    #[test]
    fn the_factor_is_that_of_the_inverse() {
        let (_, inputs) = layer(1, 5);
        let hessian = InputStatistics::of(&inputs).hessian();
        let upper = inverse_factor(&hessian, 5, 0.0).unwrap();
        let u = DMatrix::from_row_slice(5, 5, &upper);
        let product = u.transpose() * &u * DMatrix::from_row_slice(5, 5, &hessian);
        assert!((product - DMatrix::identity(5, 5)).abs().max() < 1e-10);
        assert!((0..5).all(|row| (0..row).all(|column| upper[row * 5 + column] == 0.0)));
    }

    #[test]
    fn each_block_loses_exactly_its_share_the_narrower_last_one_too() {
        let (weight, inputs) = layer(3, 10);
        let settings = SparseGptSettings { block_size: 4, ..SparseGptSettings::default() };
        let pruned = sparsegpt(&weight, &InputStatistics::of(&inputs), &settings).unwrap();
        assert_eq!((zeros(&pruned, 0..4), zeros(&pruned, 4..8), zeros(&pruned, 8..10)), (6, 6, 3));
    }

    #[test]
    fn outputs_change_less_than_by_magnitude() {
        let (weight, inputs) = layer(16, 32);
        let statistics = InputStatistics::of(&inputs);
        let error = |pruned: &Matrix| statistics.squared_output_error(&weight, pruned).unwrap();
        let ours = error(&sparsegpt(&weight, &statistics, &SparseGptSettings::default()).unwrap());
        let theirs = error(&magnitude(&weight, 0.5).unwrap());
        assert!(ours < 0.6 * theirs, "{ours} beside {theirs}");
    }

    #[test]
    fn the_last_weight_removed_of_a_row_is_made_up_for_by_nothing_and_the_first_by_least_squares() {
        // One row of two inputs; the first is removed: the second becomes the least-squares fit of the whole output.
        let weight = Matrix::new(1, 2, vec![0.1, 3.0]).unwrap();
        let inputs = Matrix::new(3, 2, vec![1.0, 2.0, 0.0, 1.0, 2.0, -1.0]).unwrap();
        let settings = SparseGptSettings { sparsity: 0.5, block_size: 2, damping: 0.0 };
        let pruned = sparsegpt(&weight, &InputStatistics::of(&inputs), &settings).unwrap();
        // Σ x₂·y / Σ x₂² with y = 0.1·x₁ + 3·x₂; Σ x₁x₂ = 0.
        assert_eq!(pruned.values()[0], 0.0);
        assert!((pruned.values()[1] - 3.0).abs() < 1e-12);
        let inputs = Matrix::new(3, 2, vec![1.0, 2.0, 0.0, 1.0, 2.0, 0.0]).unwrap();
        let pruned = sparsegpt(&weight, &InputStatistics::of(&inputs), &settings).unwrap();
        assert!((pruned.values()[1] - (3.0 + 0.1 * 2.0 / 5.0)).abs() < 1e-12);
    }

    #[test]
    fn an_input_that_is_always_zero_loses_its_weights_and_breaks_nothing() {
        let (weight, inputs) = layer(4, 6);
        let mut values = inputs.values().to_vec();
        values.iter_mut().skip(2).step_by(6).for_each(|x| *x = 0.0);
        let inputs = Matrix::new(inputs.rows(), 6, values).unwrap();
        let settings = SparseGptSettings { block_size: 6, ..SparseGptSettings::default() };
        let pruned = sparsegpt(&weight, &InputStatistics::of(&inputs), &settings).unwrap();
        assert_eq!(zeros(&pruned, 2..3), 4);
        assert_eq!(zeros(&pruned, 0..6), 12);
    }

    #[test]
    fn inputs_that_say_the_same_are_damped_until_there_is_a_factor() {
        let weight = Matrix::new(1, 3, vec![1.0, 2.0, 3.0]).unwrap();
        let inputs = Matrix::new(2, 3, vec![1.0, 1.0, 1.0, 2.0, 2.0, 2.0]).unwrap();
        let settings = SparseGptSettings { sparsity: 0.34, block_size: 3, damping: 0.0 };
        let pruned = sparsegpt(&weight, &InputStatistics::of(&inputs), &settings).unwrap();
        // All inputs are equal, so the sum of the weights is all that counts.
        assert!((pruned.values().iter().sum::<f64>() - 6.0).abs() < 1e-3, "{pruned:?}");
        assert_eq!(pruned.values()[0], 0.0);
    }
}
