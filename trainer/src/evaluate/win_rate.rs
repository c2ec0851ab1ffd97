//! Win rate: how often one policy's answer is preferred to the other's.

/// z of a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// How often one side won, with a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WinRate {
    /// (wins + ties/2) / contests.
    pub rate: f64,
    /// Wilson score interval.
    pub low: f64,
    pub high: f64,
    pub contests: usize,
}

impl WinRate {
    /// Compares `ours[i]` with `theirs[i]`, one independent contest each; equal rewards are half a win. `None` without a
    /// contest.
    ///
    /// The interval is Wilson's (1927): (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n). A tie counts as half a win, whose
    /// variance is smaller than a win's or a loss's, so with ties the interval is wider than it need be, never narrower.
    pub fn of(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        let contests = ours.len().min(theirs.len());
        if contests == 0 {
            return None;
        }
        let won = |(ours, theirs): (&f64, &f64)| match ours.partial_cmp(theirs) {
            Some(std::cmp::Ordering::Greater) => 1.0,
            Some(std::cmp::Ordering::Less) => 0.0,
            _ => 0.5,
        };
        let n = contests as f64;
        let rate = ours.iter().zip(theirs).map(won).sum::<f64>() / n;
        let middle = rate + Z * Z / (2.0 * n);
        let half = Z * (rate * (1.0 - rate) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        Some(Self { rate, low: (middle - half) / scale, high: (middle + half) / scale, contests })
    }

    /// Better beyond doubt: the whole interval lies above one half.
    pub fn is_better(&self) -> bool {
        self.low > 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_of_ten_and_two_ties() {
        // scipy 1.17: binomtest(7, 10).proportion_ci(method="wilson") = (0.396778, 0.892209).
        let ours = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.0, 0.0];
        let theirs = [0.5; 10];
        let found = WinRate::of(&ours, &theirs).expect("contests");
        assert_eq!((found.rate, found.contests), (0.7, 10));
        assert!((found.low - 0.396_778).abs() < 1e-5 && (found.high - 0.892_209).abs() < 1e-5, "{found:?}");
        assert!(!found.is_better());
        assert_eq!(WinRate::of(&[], &[]), None);
    }

    #[test]
    fn beyond_doubt_takes_enough_contests() {
        assert!(!WinRate::of(&[1.0; 3], &[0.0; 3]).expect("contests").is_better());
        assert!(WinRate::of(&[1.0; 5], &[0.0; 5]).expect("contests").is_better());
    }
}
