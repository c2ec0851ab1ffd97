//! Bradley–Terry: a strength for each competitor from who won against whom.

use std::fmt;

/// Newton's steps are few; halvings reach the smallest difference a double can tell.
const STEPS: usize = 100;
const HALVINGS: usize = 60;

/// How far a likelihood may fall by rounding alone, as a share of its logarithm.
const ROUNDING: f64 = 1e-13;

/// Why there are no scores.
#[derive(Debug, Clone, PartialEq)]
pub enum BradleyTerryError {
    /// A row has not as many numbers as there are competitors.
    NotSquare { row: usize, length: usize, competitors: usize },
    /// Negative, infinite or not a number.
    NotACount { winner: usize, loser: usize, wins: f64 },
    /// No game joins these to the others, so nothing says who is stronger.
    Disconnected { group: Vec<usize> },
    /// Nobody of the others ever beat one of these: the likelihood grows for ever with their lead.
    Separable { unbeaten: Vec<usize> },
}

impl fmt::Display for BradleyTerryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSquare { row, length, competitors } => {
                write!(f, "row {row} has {length} numbers, there are {competitors} competitors")
            }
            Self::NotACount { winner, loser, wins } => {
                write!(f, "{wins} wins of {winner} over {loser}: a count is finite and not negative")
            }
            Self::Disconnected { group } => write!(f, "no comparison joins {group:?} to the others"),
            Self::Separable { unbeaten } => write!(f, "none of the others ever beat one of {unbeaten:?}"),
        }
    }
}

impl std::error::Error for BradleyTerryError {}

/// The maximum-likelihood scores under P(i beats j) = σ(s_i − s_j) (Bradley & Terry 1952), summing to zero.
///
/// `wins[i][j]`: how often i beat j; half a win each is a tie, the diagonal is not looked at. Natural-logarithm units: a lead
/// of ln 3 wins three games of four.
///
/// # Errors
/// Besides a malformed table: scores exist and are unique only if, however the competitors are parted in two groups, each
/// group has beaten the other at least once (Ford 1957). Otherwise the error says which group stands apart;
/// [`scores_with_prior`] gives scores in that case too.
pub fn scores(wins: &[Vec<f64>]) -> Result<Vec<f64>, BradleyTerryError> {
    check(wins)?;
    check_identifiable(wins)?;
    Ok(maximise(wins, 0.0))
}

/// As [`scores`], after `prior` wins and `prior` defeats (more than zero) of everyone against one imagined competitor of score 0:
/// finite for every table, drawn towards zero where games are few.
///
/// # Errors
/// A malformed table only.
pub fn scores_with_prior(wins: &[Vec<f64>], prior: f64) -> Result<Vec<f64>, BradleyTerryError> {
    check(wins)?;
    Ok(maximise(wins, prior.max(f64::MIN_POSITIVE)))
}

fn check(wins: &[Vec<f64>]) -> Result<(), BradleyTerryError> {
    let competitors = wins.len();
    for (winner, row) in wins.iter().enumerate() {
        if row.len() != competitors {
            return Err(BradleyTerryError::NotSquare { row: winner, length: row.len(), competitors });
        }
        let bad = |(loser, wins): &(usize, &f64)| *loser != winner && !(wins.is_finite() && **wins >= 0.0);
        if let Some((loser, &wins)) = row.iter().enumerate().find(bad) {
            return Err(BradleyTerryError::NotACount { winner, loser, wins });
        }
    }
    Ok(())
}

/// Ford's condition: everyone reaches everyone along "has beaten".
fn check_identifiable(wins: &[Vec<f64>]) -> Result<(), BradleyTerryError> {
    if wins.is_empty() {
        return Ok(());
    }
    let beat = |i: usize, j: usize| wins[i][j] > 0.0;
    let others =
        |reached: &[bool], inside: bool| -> Vec<usize> { (0..wins.len()).filter(|i| reached[*i] == inside).collect() };
    let met = reach(wins.len(), 0, |i, j| beat(i, j) || beat(j, i));
    if met.contains(&false) {
        return Err(BradleyTerryError::Disconnected { group: others(&met, true) });
    }
    // Who reaches the first competitor: nobody outside of them beat one of them, or they would reach the first too.
    let above = reach(wins.len(), 0, |i, j| beat(j, i));
    if above.contains(&false) {
        return Err(BradleyTerryError::Separable { unbeaten: others(&above, true) });
    }
    let below = reach(wins.len(), 0, beat);
    if below.contains(&false) {
        return Err(BradleyTerryError::Separable { unbeaten: others(&below, false) });
    }
    Ok(())
}

/// The competitors in groups: a chain of games joins those of a group, and none joins two groups. `met(i, j)` says whether i and j
/// have played each other.
pub fn groups(count: usize, met: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for first in 0..count {
        if groups.iter().all(|group| !group.contains(&first)) {
            let reached = reach(count, first, &met);
            groups.push((0..count).filter(|competitor| reached[*competitor]).collect());
        }
    }
    groups
}

/// Who is reached from one of them along edges.
fn reach(count: usize, start: usize, edge: impl Fn(usize, usize) -> bool) -> Vec<bool> {
    let mut reached = vec![false; count];
    let mut open = vec![start];
    reached[start] = true;
    while let Some(from) = open.pop() {
        for (to, seen) in reached.iter_mut().enumerate() {
            if !*seen && edge(from, to) {
                *seen = true;
                open.push(to);
            }
        }
    }
    reached
}

/// Newton's method on the logarithm of the likelihood, which is concave; steps are halved while they lower it.
fn maximise(wins: &[Vec<f64>], prior: f64) -> Vec<f64> {
    let count = wins.len();
    let mut scores = vec![0.0; count];
    let mut best = log_likelihood(wins, prior, &scores);
    for _ in 0..STEPS {
        let (gradient, curvature) = derivatives(wins, prior, &scores);
        let step = solve(curvature, gradient);
        let longest = step.iter().fold(0.0f64, |longest, x| longest.max(x.abs()));
        let next = ascend(&scores, &step, best, |scores| log_likelihood(wins, prior, scores));
        let Some((next, likelihood)) = next else { break };
        (scores, best) = (next, likelihood);
        if longest < 1e-13 {
            break;
        }
    }
    let mean = scores.iter().sum::<f64>() / count.max(1) as f64;
    scores.iter().map(|score| score - mean).collect()
}

/// Goes from `point` along `step`, which is halved while it lowers the log-likelihood from `best`. Returns where that leads and
/// the log-likelihood there; `None` where no length is short enough.
///
/// At the top log-likelihoods differ by rounding alone, and a fall of that size is none: steps halved for it would stay where
/// they are, and nothing would say that the top is reached.
pub fn ascend(
    point: &[f64],
    step: &[f64],
    best: f64,
    log_likelihood: impl Fn(&[f64]) -> f64,
) -> Option<(Vec<f64>, f64)> {
    let lowest = best - ROUNDING * best.abs();
    let mut length = 1.0;
    (0..HALVINGS).find_map(|_| {
        let next: Vec<f64> = point.iter().zip(step).map(|(x, step)| x + length * step).collect();
        let found = log_likelihood(&next);
        length /= 2.0;
        (found >= lowest).then_some((next, found))
    })
}

fn log_likelihood(wins: &[Vec<f64>], prior: f64, scores: &[f64]) -> f64 {
    let games = wins.iter().enumerate().flat_map(|(i, row)| {
        row.iter().enumerate().filter(move |(j, wins)| i != *j && **wins > 0.0).map(move |(j, wins)| (i, j, wins))
    });
    let played: f64 = games.map(|(i, j, wins)| wins * log_sigmoid(scores[i] - scores[j])).sum();
    let imagined: f64 = scores.iter().map(|score| log_sigmoid(*score) + log_sigmoid(-*score)).sum();
    played + prior * imagined
}

/// The gradient of the log-likelihood, and its second derivatives with the sign turned.
fn derivatives(wins: &[Vec<f64>], prior: f64, scores: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let count = wins.len();
    let mut gradient: Vec<f64> = scores.iter().map(|score| prior * (1.0 - 2.0 * sigmoid(*score))).collect();
    let mut curvature = vec![vec![0.0; count]; count];
    for i in 0..count {
        curvature[i][i] += 2.0 * prior * sigmoid(scores[i]) * sigmoid(-scores[i]);
        for j in 0..count {
            if i == j {
                continue;
            }
            let games = wins[i][j] + wins[j][i];
            let (win, lose) = (sigmoid(scores[i] - scores[j]), sigmoid(scores[j] - scores[i]));
            gradient[i] += wins[i][j] * lose - wins[j][i] * win;
            curvature[i][i] += games * win * lose;
            curvature[i][j] -= games * win * lose;
        }
    }
    // Adding the same to every score changes nothing, so that direction has no curvature of its own. Given some, the system
    // has one solution, and the step sums to zero as the gradient does.
    let scale = curvature.iter().enumerate().map(|(i, row)| row[i]).sum::<f64>() / (count * count).max(1) as f64;
    if prior < 1e-9 {
        curvature.iter_mut().flatten().for_each(|x| *x += scale);
    }
    (gradient, curvature)
}

/// Gaussian elimination with pivots; a singular direction gets no step.
pub fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let count = right.len();
    for column in 0..count {
        let pivot = (column..count).max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()));
        let Some(pivot) = pivot.filter(|row| matrix[*row][column] != 0.0) else { continue };
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let (above, below) = matrix.split_at_mut(column + 1);
        let pivot = &above[column];
        for (row, line) in below.iter_mut().enumerate() {
            let factor = line[column] / pivot[column];
            for (value, by) in line.iter_mut().zip(pivot).skip(column) {
                *value -= factor * by;
            }
            right[column + 1 + row] -= factor * right[column];
        }
    }
    for row in (0..count).rev() {
        let known: f64 = (row + 1..count).map(|k| matrix[row][k] * right[k]).sum();
        let pivot = matrix[row][row];
        right[row] = if pivot == 0.0 { 0.0 } else { (right[row] - known) / pivot };
    }
    right
}

fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) }
}

fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-9, "{found}, expected {expected}");
        }
    }

    #[test]
    fn two_competitors_stand_apart_by_the_logarithm_of_their_odds() {
        let found = scores(&[vec![0.0, 9.0], vec![3.0, 0.0]]).expect("identifiable");
        close(&found, &[3f64.ln() / 2.0, -(3f64.ln()) / 2.0]);
    }

    #[test]
    fn at_the_maximum_everyone_wins_as_often_as_expected() {
        let wins =
            [vec![0.0, 900.0, 5.0, 0.0], vec![1.0, 0.0, 4.5, 3.0], vec![4.0, 5.5, 0.0, 70.0], vec![0.0, 0.0, 2.0, 0.0]];
        let found = scores(&wins).expect("identifiable");
        close(&[found.iter().sum()], &[0.0]);
        for i in 0..4 {
            let won: f64 = wins[i].iter().sum();
            let expected: f64 =
                (0..4).filter(|j| *j != i).map(|j| (wins[i][j] + wins[j][i]) * sigmoid(found[i] - found[j])).sum();
            close(&[expected], &[won]);
        }
    }

    #[test]
    fn a_step_is_halved_for_a_fall_and_not_for_a_rounding() {
        let hill = |point: &[f64]| -(point[0] - 0.25).powi(2);
        assert_eq!(ascend(&[0.0], &[1.0], hill(&[0.0]), hill), Some((vec![0.5], hill(&[0.5]))));
        let top = |point: &[f64]| if point[0] == 0.0 { -1e6 } else { -1e6 - 1e-9 };
        assert_eq!(ascend(&[0.0], &[1.0], -1e6, top), Some((vec![1.0], -1e6 - 1e-9)));
        assert_eq!(ascend(&[0.0], &[1.0], 0.0, |_| -1.0), None);
    }

    #[test]
    fn who_never_met_the_others_is_named() {
        let mut wins = vec![vec![0.0; 4]; 4];
        (wins[0][2], wins[2][0], wins[1][3], wins[3][1]) = (1.0, 1.0, 2.0, 1.0);
        assert_eq!(scores(&wins), Err(BradleyTerryError::Disconnected { group: vec![0, 2] }));
    }

    #[test]
    fn those_whom_games_join_are_one_group() {
        let games = [(0, 3), (3, 5), (1, 4)];
        let met = |i: usize, j: usize| games.contains(&(i, j)) || games.contains(&(j, i));
        assert_eq!(groups(6, met), [vec![0, 3, 5], vec![1, 4], vec![2]]);
        assert!(groups(0, met).is_empty());
    }

    #[test]
    fn who_was_never_beaten_is_named() {
        let unbeaten = |wins: &[Vec<f64>]| match scores(wins) {
            Err(BradleyTerryError::Separable { unbeaten }) => unbeaten,
            other => panic!("{other:?}"),
        };
        assert_eq!(unbeaten(&[vec![0.0, 1.0], vec![0.0, 0.0]]), [0]);
        assert_eq!(unbeaten(&[vec![0.0, 0.0], vec![1.0, 0.0]]), [1]);
        // 1 and 2 beat each other, both beat 0.
        assert_eq!(unbeaten(&[vec![0.0; 3], vec![2.0, 0.0, 1.0], vec![1.0, 1.0, 0.0]]), [1, 2]);
    }

    #[test]
    fn with_a_prior_every_table_has_scores() {
        let found =
            scores_with_prior(&[vec![0.0, 8.0, 0.0], vec![0.0; 3], vec![0.0; 3]], 0.5).expect("a prior is enough");
        assert!(found[0] > found[2] && found[2] > found[1], "{found:?}");
        assert!(found.iter().all(|score| score.abs() < 10.0), "{found:?}");
        let many = [vec![0.0, 60_000.0], vec![40_000.0, 0.0]];
        let (free, held) = (scores(&many).expect("identifiable"), scores_with_prior(&many, 0.1).expect("a prior"));
        assert!((free[0] - held[0]).abs() < 1e-4);
    }

    #[test]
    fn what_is_no_table_of_wins_is_refused() {
        assert!(matches!(scores(&[vec![0.0, 1.0], vec![1.0]]), Err(BradleyTerryError::NotSquare { row: 1, .. })));
        let negative = scores(&[vec![0.0, 1.0], vec![-1.0, 0.0]]);
        assert!(matches!(negative, Err(BradleyTerryError::NotACount { winner: 1, loser: 0, .. })));
        assert_eq!(scores(&[]), Ok(vec![]));
    }
}
