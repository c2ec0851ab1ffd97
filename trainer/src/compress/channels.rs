//! Removing whole inner channels of a feed-forward block: the one pruning that makes dense products smaller.

use nalgebra::DMatrix;

use super::{
    cholesky,
    error::{CompressError, check_sparsity},
    matrix::Matrix,
    prune::{count, lowest},
    statistics::InputStatistics,
};

/// The inputs of a layer that stay when the `sparsity` share (rounded down) that carries least to the outputs goes, ascending.
/// What an input carries is ‖W_·j‖₂·‖X_j‖₂: by how much its loss alone would change the outputs.
///
/// # Errors
/// A sparsity outside 0 to 1, no calibration, or calibration of another width.
pub fn strongest_inputs(weight: &Matrix, inputs: &InputStatistics, sparsity: f64) -> Result<Vec<usize>, CompressError> {
    check_sparsity(sparsity)?;
    inputs.check(weight)?;
    let mut scores = vec![0.0; weight.columns()];
    for row in 0..weight.rows() {
        scores.iter_mut().zip(weight.row(row)).for_each(|(score, w)| *score += w * w);
    }
    scores.iter_mut().enumerate().for_each(|(j, score)| *score *= inputs.moment(j, j));
    let mut stays = vec![true; scores.len()];
    lowest(&scores, count(scores.len(), sparsity)).into_iter().for_each(|j| stays[j] = false);
    Ok((0..stays.len()).filter(|j| stays[*j]).collect())
}

/// The weight `[out, kept]` that reads the inputs `kept` alone and comes nearest to the outputs of `weight` on all of them:
/// W_S + W_R·M_RS·(M_SS + λ)⁻¹, with M the second moments, S what is kept, R what is removed and λ the damping (least squares,
/// as the update of optimal brain surgeon for a whole group).
///
/// # Errors
/// No calibration, calibration of another width, or second moments that no damping makes positive definite.
pub fn refit(weight: &Matrix, inputs: &InputStatistics, kept: &[usize], damping: f64) -> Result<Matrix, CompressError> {
    inputs.check(weight)?;
    let removed: Vec<usize> = (0..weight.columns()).filter(|j| kept.binary_search(j).is_err()).collect();
    let factor = cholesky::damped(kept.len(), damping, |i, j| inputs.moment(kept[i], kept[j]))?;
    let moments = DMatrix::from_fn(kept.len(), removed.len(), |i, j| inputs.moment(kept[i], removed[j]));
    let lost = DMatrix::from_fn(removed.len(), weight.rows(), |i, row| weight.row(row)[removed[i]]);
    let made_up = factor.solve(&(moments * lost));
    let mut values = Vec::with_capacity(weight.rows() * kept.len());
    for row in 0..weight.rows() {
        values.extend(kept.iter().enumerate().map(|(i, j)| weight.row(row)[*j] + made_up[(i, row)]));
    }
    Matrix::new(weight.rows(), kept.len(), values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_carries_least_goes() {
        let weight = Matrix::new(2, 4, vec![1.0, 9.0, 2.0, 0.0, -1.0, 9.0, 2.0, 0.1]).unwrap();
        let inputs = InputStatistics::of(&Matrix::new(1, 4, vec![1.0, 0.1, 1.0, 99.0]).unwrap());
        assert_eq!(strongest_inputs(&weight, &inputs, 0.5).unwrap(), [2, 3]);
        assert_eq!(strongest_inputs(&weight, &inputs, 0.0).unwrap(), [0, 1, 2, 3]);
    }

    #[test]
    fn an_input_that_others_foretell_is_not_missed() {
        // The third input is the sum of the first two.
        let inputs =
            InputStatistics::of(&Matrix::new(3, 3, vec![1.0, 0.0, 1.0, 0.0, 2.0, 2.0, -1.0, 1.0, 0.0]).unwrap());
        let weight = Matrix::new(1, 3, vec![0.5, -1.0, 3.0]).unwrap();
        let found = refit(&weight, &inputs, &[0, 1], 0.0).unwrap();
        assert!((found.values()[0] - 3.5).abs() < 1e-9 && (found.values()[1] - 2.0).abs() < 1e-9, "{found:?}");
    }
}
