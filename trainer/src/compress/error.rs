//! What can be wrong with a layer or with what is asked of it.

/// Why a layer was not compressed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CompressError {
    #[error("{rows} × {columns} numbers expected, {values} given")]
    Shape { rows: usize, columns: usize, values: usize },
    #[error("the layer has {layer} inputs, the calibration has {calibration}")]
    Inputs { layer: usize, calibration: usize },
    #[error("sparsity {sparsity}: it lies between 0 (nothing removed) and 1 (everything removed)")]
    Sparsity { sparsity: f64 },
    #[error("no calibration input was seen for this layer")]
    NoCalibration,
    #[error("a weight or a calibration input is infinite or not a number")]
    NotFinite,
    #[error("the inputs' second moments have no Cholesky factor, even with {damping:e} added to their diagonal")]
    NotPositiveDefinite { damping: f64 },
}

/// A share of something that is removed: from 0 to 1.
pub(super) fn check_sparsity(sparsity: f64) -> Result<(), CompressError> {
    match (0.0..=1.0).contains(&sparsity) {
        true => Ok(()),
        false => Err(CompressError::Sparsity { sparsity }),
    }
}
