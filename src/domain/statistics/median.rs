//! The median with its 95 % interval from the order of the values, whatever their distribution.

use super::proportion::Z;

/// Fewest values of which an interval is stated.
pub const FEWEST: usize = 6;

/// A median and the ends of its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Median {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

/// The median, and the values at the ranks n/2 ∓ 1.96·√n/2 (the upper one more), rounded, as its interval (Campbell & Gardner
/// 1988). `None` for fewer than six values, of which no interval reaches 95 %.
pub fn median(mut values: Vec<f64>) -> Option<Median> {
    let count = values.len();
    if count < FEWEST {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let middle = count / 2;
    let median = if count % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
    let half = count as f64 / 2.0;
    let spread = Z * (count as f64).sqrt() / 2.0;
    let at = |rank: f64| values[(rank.round().max(1.0) as usize).min(count) - 1];
    Some(Median { median, low: at(half - spread), high: at(1.0 + half + spread) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_lies_at_the_ranks_of_the_textbook() {
        // Campbell & Gardner 1988, table: n = 10 → ranks 2 and 9, n = 30 → 10 and 21, n = 100 → 40 and 61.
        for (count, low, high) in [(10, 2.0, 9.0), (30, 10.0, 21.0), (100, 40.0, 61.0)] {
            let found = median((1..=count).rev().map(f64::from).collect()).expect("enough");
            assert_eq!((found.low, found.high), (low, high), "of {count}");
        }
        assert_eq!(median((1..=10).map(f64::from).collect()).expect("enough").median, 5.5);
    }

    #[test]
    fn too_few_say_nothing() {
        assert_eq!(median(vec![1.0; FEWEST - 1]), None);
    }
}
