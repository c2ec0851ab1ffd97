//! Kendall's τ-b: the rank correlation of two rankings, corrected for ties.

use super::agreement::PairCounts;

/// τ-b = (C − D) / √((C + D + T₁)(C + D + T₂)) (Kendall 1945), C and D the pairs ranked alike and the other way round, T₁ and T₂
/// those tied in one ranking only. 1 is the same order, −1 the reverse, 0 no relation. `None` where a ranking ties everything:
/// it has no order that could be related.
pub fn tau_b(pairs: &PairCounts) -> Option<f64> {
    let decided = f64::from(pairs.decided());
    let by_first = decided + f64::from(pairs.tied_by_second);
    let by_second = decided + f64::from(pairs.tied_by_first);
    let scale = (by_first * by_second).sqrt();
    (scale > 0.0).then(|| (f64::from(pairs.same) - f64::from(pairs.opposite)) / scale)
}

#[cfg(test)]
mod tests {
    use super::{super::agreement::compare, *};

    #[test]
    fn the_example_of_scipy_stats_kendalltau() {
        let found = tau_b(&compare(&[12, 2, 1, 12, 2], &[1, 4, 7, 1, 0])).expect("defined");
        assert!((found - -0.471_404_520_791_031_73).abs() < 1e-15, "{found}");
    }

    #[test]
    fn the_ends_of_the_scale() {
        assert_eq!(tau_b(&compare(&[1, 2, 3, 4], &[1, 2, 3, 4])), Some(1.0));
        assert_eq!(tau_b(&compare(&[1, 2, 3, 4], &[4, 3, 2, 1])), Some(-1.0));
        assert_eq!(tau_b(&compare(&[1, 2, 2, 4], &[1, 2, 2, 4])), Some(1.0));
        assert_eq!(tau_b(&compare(&[1, 1], &[1, 2])), None);
    }
}
