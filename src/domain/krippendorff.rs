//! Krippendorff's alpha: how far people agree beyond what chance would give, however many labelled each unit.

/// How far apart two labels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Equal or not.
    Nominal,
    /// By how many labels were given between the two, in the order of `L`: ranks and grades.
    Ordinal,
}

/// Alpha of `units[unit][annotator]`, `None` where an annotator gave no label (Krippendorff, Content Analysis, chapter 12).
///
/// 1 is perfect agreement, 0 what chance gives, below 0 is systematic disagreement. Units with fewer than two labels say
/// nothing and are left out; units may be of different lengths. `None` where alpha is not defined: no unit has two labels, or
/// every label is the same, so that there is nothing to tell agreement from.
pub fn alpha<L: Ord>(units: &[Vec<Option<L>>], distance: Distance) -> Option<f64> {
    let paired: Vec<Vec<&L>> = units
        .iter()
        .map(|unit| unit.iter().flatten().collect::<Vec<&L>>())
        .filter(|labels| labels.len() >= 2)
        .collect();
    let mut labels: Vec<&L> = paired.iter().flatten().copied().collect();
    labels.sort_unstable();
    labels.dedup();
    let coincidences = coincidences(&paired, &labels);
    let totals: Vec<f64> = coincidences.iter().map(|row| row.iter().sum()).collect();
    let all: f64 = totals.iter().sum();
    let (mut observed, mut expected) = (0.0, 0.0);
    for (c, row) in coincidences.iter().enumerate() {
        for (k, count) in row.iter().enumerate() {
            let apart = squared_distance(distance, &totals, c.min(k), c.max(k));
            observed += count * apart;
            expected += totals[c] * totals[k] * apart;
        }
    }
    (expected > 0.0).then(|| 1.0 - (all - 1.0) * observed / expected)
}

/// How often the labels c and k met in a unit: each unit of m labels adds 1/(m − 1) for each ordered pair of its annotators.
fn coincidences<L: Ord>(units: &[Vec<&L>], labels: &[&L]) -> Vec<Vec<f64>> {
    let mut matrix = vec![vec![0.0; labels.len()]; labels.len()];
    for unit in units {
        let mut counts = vec![0.0; labels.len()];
        for label in unit {
            if let Ok(place) = labels.binary_search(label) {
                counts[place] += 1.0;
            }
        }
        let others = unit.len() as f64 - 1.0;
        for (c, of_c) in counts.iter().enumerate() {
            for (k, of_k) in counts.iter().enumerate() {
                // Nobody is paired with themselves.
                let pairs = if c == k { of_c * (of_c - 1.0) } else { of_c * of_k };
                matrix[c][k] += pairs / others;
            }
        }
    }
    matrix
}

/// δ² of two labels by their places in the order, `low` ≤ `high`; `totals` says how often each label was given.
fn squared_distance(distance: Distance, totals: &[f64], low: usize, high: usize) -> f64 {
    match distance {
        Distance::Nominal => f64::from(u8::from(low != high)),
        Distance::Ordinal => {
            let between: f64 = totals[low..=high].iter().sum();
            (between - (totals[low] + totals[high]) / 2.0).powi(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section E: 12 units, 4 observers.
    fn example() -> Vec<Vec<Option<u32>>> {
        let observers = [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
            [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
        ];
        (0..12).map(|unit| observers.iter().map(|row| Some(row[unit]).filter(|label| *label > 0)).collect()).collect()
    }

    #[track_caller]
    fn close(found: Option<f64>, expected: f64, tolerance: f64) {
        let found = found.expect("alpha is defined");
        assert!((found - expected).abs() <= tolerance, "{found}, expected {expected}");
    }

    #[test]
    fn the_published_example() {
        close(alpha(&example(), Distance::Nominal), 0.743, 5e-4);
        close(alpha(&example(), Distance::Ordinal), 0.815, 5e-4);
    }

    #[test]
    fn names_are_labels_as_good_as_numbers() {
        let named: Vec<Vec<Option<String>>> = example()
            .iter()
            .map(|unit| unit.iter().map(|label| label.map(|label| format!("label {label}"))).collect())
            .collect();
        assert_eq!(alpha(&named, Distance::Nominal), alpha(&example(), Distance::Nominal));
    }

    #[test]
    fn full_agreement_is_1_and_opposition_is_below_0() {
        close(alpha(&[vec![Some(1), Some(1)], vec![Some(2), Some(2)]], Distance::Nominal), 1.0, 1e-12);
        let opposed = alpha(&[vec![Some(1), Some(2)], vec![Some(2), Some(1)]], Distance::Nominal);
        assert!(opposed.expect("alpha is defined") < 0.0);
    }

    #[test]
    fn a_unit_with_one_label_changes_nothing() {
        let mut units = example();
        units.push(vec![Some(9), None, None, None]);
        units.push(vec![None; 4]);
        units.push(vec![]);
        assert_eq!(alpha(&units, Distance::Ordinal), alpha(&example(), Distance::Ordinal));
    }

    #[test]
    fn without_two_labels_or_two_kinds_of_label_there_is_no_alpha() {
        assert_eq!(alpha::<u32>(&[], Distance::Nominal), None);
        assert_eq!(alpha(&[vec![Some(1), None], vec![None, Some(2)]], Distance::Nominal), None);
        assert_eq!(alpha(&[vec![Some(1), Some(1)], vec![Some(1), Some(1)]], Distance::Ordinal), None);
    }
}
