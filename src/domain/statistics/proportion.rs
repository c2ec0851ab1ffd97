//! A share with its 95 % interval, also where what is counted comes in clusters.

/// The normal quantile of a 95 % interval.
pub const Z: f64 = 1.959_963_984_540_054;

/// A share of what was counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proportion {
    pub share: f64,
    /// Ends of the 95 % interval.
    pub low: f64,
    pub high: f64,
    /// How many were counted.
    pub total: f64,
}

/// Wilson's score interval (Wilson 1927; method 3 of Newcombe 1998): within 0 and 1, and right for few counts and for shares
/// near the ends, where p ± 1.96·√(p(1−p)/n) is neither. `None` where nothing was counted.
pub fn wilson(hits: f64, total: f64) -> Option<Proportion> {
    (total > 0.0).then(|| with_effective_size(hits / total, total, total))
}

/// The share over clusters of (hits, total), things of one cluster being alike: the pairs of one prompt stand or fall
/// together, so that a prompt of 36 pairs is not 36 opinions.
///
/// The variance of the ratio Σ hits / Σ totals is estimated from clusters (Cochran 1977, section 2.11 and 9A); Wilson's
/// interval is then taken for the effective size p(1−p)/variance (Korn & Graubard 1998), never more than what was counted.
/// Where every cluster says the same there is no variance to estimate: each cluster counts as one.
pub fn clustered(clusters: impl IntoIterator<Item = (f64, f64)>) -> Option<Proportion> {
    let clusters: Vec<(f64, f64)> = clusters.into_iter().filter(|(_, total)| *total > 0.0).collect();
    let count = clusters.len() as f64;
    let total: f64 = clusters.iter().map(|(_, total)| total).sum();
    if total <= 0.0 {
        return None;
    }
    let share = clusters.iter().map(|(hits, _)| hits).sum::<f64>() / total;
    let variance = ratio_variance(&clusters, share, total);
    let effective = match variance {
        Some(variance) if variance > 0.0 => (share * (1.0 - share) / variance).min(total),
        _ => count,
    };
    Some(with_effective_size(share, effective.max(1.0), total))
}

/// The mean over clusters of (sum, number) with its 95 % interval, by the same variance: mean ± 1.96 standard errors. `None`
/// for the interval where there is one cluster only.
pub fn clustered_mean(clusters: impl IntoIterator<Item = (f64, f64)>) -> Option<(f64, Option<(f64, f64)>)> {
    let clusters: Vec<(f64, f64)> = clusters.into_iter().filter(|(_, number)| *number > 0.0).collect();
    let number: f64 = clusters.iter().map(|(_, number)| number).sum();
    if number <= 0.0 {
        return None;
    }
    let mean = clusters.iter().map(|(sum, _)| sum).sum::<f64>() / number;
    let interval = ratio_variance(&clusters, mean, number).map(|variance| {
        let half = Z * variance.sqrt();
        (mean - half, mean + half)
    });
    Some((mean, interval))
}

/// C/(C−1) · Σ (hitsᵢ − share·totalᵢ)² / total²; nothing can be said of one cluster.
fn ratio_variance(clusters: &[(f64, f64)], share: f64, total: f64) -> Option<f64> {
    let count = clusters.len() as f64;
    let squares: f64 = clusters.iter().map(|(hits, size)| (hits - share * size).powi(2)).sum();
    (clusters.len() > 1).then(|| count / (count - 1.0) * squares / total.powi(2))
}

fn with_effective_size(share: f64, size: f64, total: f64) -> Proportion {
    let spread = Z * Z / size;
    let centre = (share + spread / 2.0) / (1.0 + spread);
    let half = Z / (1.0 + spread) * (share * (1.0 - share) / size + spread / (4.0 * size)).sqrt();
    Proportion { share, low: (centre - half).max(0.0), high: (centre + half).min(1.0), total }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found}, expected {expected}");
    }

    #[test]
    fn the_examples_of_newcombe_1998_table_i_method_3() {
        for (hits, total, low, high) in [
            (81.0, 263.0, 0.2553, 0.3662),
            (15.0, 148.0, 0.0624, 0.1605),
            (0.0, 20.0, 0.0, 0.1611),
            (1.0, 29.0, 0.0061, 0.1718),
        ] {
            let found = wilson(hits, total).expect("counted");
            close(found.low, low, 5e-5);
            close(found.high, high, 5e-5);
        }
        assert_eq!(wilson(0.0, 0.0), None);
    }

    #[test]
    fn saying_the_same_ten_times_does_not_narrow_the_interval() {
        let once = [(1.0, 1.0), (0.0, 1.0), (1.0, 1.0), (1.0, 1.0), (0.0, 1.0), (1.0, 1.0)];
        let often = once.map(|(hits, total)| (hits * 10.0, total * 10.0));
        let (once, often) = (clustered(once).expect("counted"), clustered(often).expect("counted"));
        close(often.low, once.low, 1e-12);
        close(often.high, once.high, 1e-12);
        let independent = wilson(40.0, 60.0).expect("counted");
        assert!(independent.high - independent.low < (often.high - often.low) / 2.0);
    }

    #[test]
    fn clusters_of_one_are_nearly_wilsons_interval() {
        let found = clustered((0..263).map(|number| (f64::from(u8::from(number < 81)), 1.0))).expect("counted");
        close(found.low, 0.2553, 2e-4);
        close(found.high, 0.3662, 2e-4);
    }

    #[test]
    fn full_agreement_of_few_prompts_is_not_certain() {
        let found = clustered([(6.0, 6.0), (6.0, 6.0), (6.0, 6.0)]).expect("counted");
        close(found.share, 1.0, 0.0);
        // Wilson's lower end for 3 of 3: 3 / (3 + 1.96²).
        close(found.low, 3.0 / (3.0 + Z * Z), 1e-12);
    }

    #[test]
    fn the_mean_of_clusters_of_one_has_the_usual_standard_error() {
        let (mean, interval) = clustered_mean([(1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0)]).expect("counted");
        close(mean, 2.5, 1e-12);
        let (low, high) = interval.expect("four clusters");
        // Sample variance 5/3, standard error √(5/12).
        close((high - low) / 2.0, Z * (5.0_f64 / 12.0).sqrt(), 1e-12);
        assert_eq!(clustered_mean([(1.0, 1.0)]), Some((1.0, None)));
    }
}
