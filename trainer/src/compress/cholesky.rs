//! Cholesky factors of second moments, damped until there is one.

use nalgebra::{Cholesky, DMatrix, Dyn};

use super::error::CompressError;

/// How often the damping is multiplied by ten before giving up.
const RETRIES: usize = 8;

/// The factor of the `size × size` symmetric matrix that `at` gives, with `damping` times the mean of its diagonal added to the
/// diagonal. Damping grows tenfold while there is no factor.
///
/// # Errors
/// No damping makes the matrix positive definite: it holds something that is not a number.
pub fn damped(
    size: usize,
    damping: f64,
    at: impl Fn(usize, usize) -> f64,
) -> Result<Cholesky<f64, Dyn>, CompressError> {
    let mean = (0..size).map(|j| at(j, j)).sum::<f64>() / size.max(1) as f64;
    let mut added = damping * mean;
    for _ in 0..=RETRIES {
        let matrix =
            DMatrix::from_fn(size, size, |row, column| at(row, column) + if row == column { added } else { 0.0 });
        if let Some(factor) = Cholesky::new(matrix) {
            return Ok(factor);
        }
        added = (added * 10.0).max(mean * 1e-12);
    }
    Err(CompressError::NotPositiveDefinite { damping: added / 10.0 })
}
