//! Win rate: how often one policy's answer is preferred to the other's.

use std::cmp::Ordering;

use serde::Serialize;

use super::statistics::Z;

/// How often one side won, with a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
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
    /// contest, or where a reward is NaN: that contest is neither won nor lost nor even.
    ///
    /// The interval is Wilson's (1927): (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n). A tie counts as half a win, whose
    /// variance is smaller than a win's or a loss's, so with ties the interval is wider than it need be, never narrower.
    pub fn of(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        Self::of_shares(ours.iter().zip(theirs).map(|(ours, theirs)| won(*ours, *theirs)))
    }

    /// Several answers of each side to every prompt: a prompt is one contest, and its result the share of all pairs of one of
    /// ours and one of theirs that ours wins. So the interval is paired by prompt, and wider than it need be.
    pub fn of_groups(ours: &[Vec<f64>], theirs: &[Vec<f64>]) -> Option<Self> {
        let groups = ours.iter().zip(theirs).filter(|(ours, theirs)| !ours.is_empty() && !theirs.is_empty());
        Self::of_shares(groups.map(|(ours, theirs)| {
            let pairs = ours.iter().flat_map(|ours| theirs.iter().map(|theirs| won(*ours, *theirs)));
            Some(pairs.sum::<Option<f64>>()? / (ours.len() * theirs.len()) as f64)
        }))
    }

    /// The interval of shares between 0 and 1, one a contest.
    fn of_shares(shares: impl Iterator<Item = Option<f64>>) -> Option<Self> {
        let shares: Vec<f64> = shares.collect::<Option<_>>()?;
        let contests = shares.len();
        if contests == 0 {
            return None;
        }
        let n = contests as f64;
        let rate = shares.iter().sum::<f64>() / n;
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

fn won(ours: f64, theirs: f64) -> Option<f64> {
    Some(match ours.partial_cmp(&theirs)? {
        Ordering::Greater => 1.0,
        Ordering::Less => 0.0,
        Ordering::Equal => 0.5,
    })
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

    #[test]
    fn a_reward_that_is_no_number_decides_nothing() {
        assert_eq!(WinRate::of(&[1.0, f64::NAN], &[0.0, 0.0]), None);
        assert_eq!(WinRate::of_groups(&[vec![1.0, 3.0]], &[vec![f64::NAN, 0.0]]), None);
    }

    #[test]
    fn several_answers_to_a_prompt_are_one_contest() {
        // Of the pairs of the first prompt ours wins 3 and ties 1 of 4; of the second it loses all 2.
        let found =
            WinRate::of_groups(&[vec![1.0, 3.0], vec![0.0]], &[vec![1.0, 0.0], vec![2.0, 5.0]]).expect("contests");
        assert_eq!((found.rate, found.contests), ((3.5 / 4.0) / 2.0, 2));
        let singles = WinRate::of_groups(&[vec![1.0], vec![0.0]], &[vec![0.0], vec![0.0]]);
        assert_eq!(singles, WinRate::of(&[1.0, 0.0], &[0.0, 0.0]));
    }
}
