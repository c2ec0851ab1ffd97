//! Bradley–Terry with ties, after Davidson: a strength for each competitor, and how often equals tie.

use crate::domain::bradley_terry::{ascend, solve};

/// Newton's steps are few.
const STEPS: usize = 100;

/// Strengths and the weight of ties.
#[derive(Debug, Clone, PartialEq)]
pub struct Davidson {
    /// Natural logarithms of the strengths, summing to zero.
    pub scores: Vec<f64>,
    /// ν: two equal competitors tie with probability ν / (2 + ν).
    pub tie: f64,
}

impl Davidson {
    /// Probabilities that the first wins, that the second wins, that they tie.
    pub fn probabilities(&self, first: usize, second: usize) -> (f64, f64, f64) {
        probabilities(self.scores[first] - self.scores[second], self.tie)
    }
}

/// P(i beats j) = πᵢ / D, P(tie) = ν√(πᵢπⱼ) / D with D = πᵢ + πⱼ + ν√(πᵢπⱼ) (Davidson 1970); without a tie it is Bradley–Terry.
fn probabilities(lead: f64, tie: f64) -> (f64, f64, f64) {
    let (win, lose) = ((lead / 2.0).exp(), (-lead / 2.0).exp());
    let all = win + lose + tie;
    (win / all, lose / all, tie / all)
}

/// The maximum-likelihood fit. `wins[i][j]`: how often i beat j; `ties[i][j]`: how often they tied, counted in [i][j] or [j][i],
/// not in both. Both are square and as large as there are competitors.
///
/// `prior` wins and defeats of everyone against one imagined competitor of score 0, and as many ties and decisions of equals,
/// keep every score finite; 0 is the plain maximum, which needs competitors who have all met and beaten each other.
pub fn fit(wins: &[Vec<f64>], ties: &[Vec<f64>], prior: f64) -> Davidson {
    let table = Table::of(wins, ties, prior);
    table.fitted(table.maximum())
}

/// As [`fit`], with what the likelihood at its maximum says of how certain the scores are.
pub fn fit_with_information(wins: &[Vec<f64>], ties: &[Vec<f64>], prior: f64) -> (Davidson, Information) {
    let table = Table::of(wins, ties, prior);
    let point = table.maximum();
    let (_, curvature) = table.derivatives(&point);
    (table.fitted(point), Information(curvature))
}

/// The observed information: second derivatives of the log-likelihood, prior included, at its maximum, with the sign turned. The
/// scores come first, ln ν last.
#[derive(Debug, Clone, PartialEq)]
pub struct Information(Vec<Vec<f64>>);

impl Information {
    /// Variance of the scores' sum with these weights, which sum to zero themselves: only differences are known. The inverse of the
    /// observed information is the scores' covariance (Efron & Hinkley 1978; with a prior, the normal approximation at the mode:
    /// Gelman et al., Bayesian Data Analysis, section 4.1).
    pub fn variance(&self, weights: &[f64]) -> f64 {
        let mut right = weights.to_vec();
        right.resize(self.0.len(), 0.0);
        let solved = solve(self.0.clone(), right);
        weights.iter().zip(&solved).map(|(weight, solved)| weight * solved).sum::<f64>().max(0.0)
    }
}

/// Games of two: wins of the first, of the second, ties.
struct Table {
    count: usize,
    games: Vec<(usize, usize, [f64; 3])>,
    prior: f64,
    has_ties: bool,
}

impl Table {
    fn of(wins: &[Vec<f64>], ties: &[Vec<f64>], prior: f64) -> Self {
        let count = wins.len();
        let mut games = Vec::new();
        for i in 0..count {
            for j in i + 1..count {
                let said = [wins[i][j], wins[j][i], ties[i][j] + ties[j][i]];
                if said.iter().any(|number| *number > 0.0) {
                    games.push((i, j, said));
                }
            }
        }
        let has_ties = games.iter().any(|(_, _, said)| said[2] > 0.0);
        Table { count, games, prior, has_ties }
    }

    /// Newton's method. The parameters are the scores, and ln ν behind them.
    fn maximum(&self) -> Vec<f64> {
        let mut point = vec![0.0; self.count + 1];
        let mut best = self.log_likelihood(&point);
        for _ in 0..STEPS {
            let (gradient, curvature) = self.derivatives(&point);
            let step = solve(curvature, gradient);
            let longest = step.iter().fold(0.0_f64, |longest, x| longest.max(x.abs()));
            let next = ascend(&point, &step, best, |point| self.log_likelihood(point));
            let Some((next, likelihood)) = next else { break };
            (point, best) = (next, likelihood);
            if longest < 1e-12 {
                break;
            }
        }
        point
    }

    fn fitted(&self, mut point: Vec<f64>) -> Davidson {
        let tie = self.tie(&point);
        point.truncate(self.count);
        let mean = point.iter().sum::<f64>() / self.count.max(1) as f64;
        Davidson { scores: point.iter().map(|score| score - mean).collect(), tie }
    }

    fn tie(&self, point: &[f64]) -> f64 {
        if self.has_ties { point[self.count].exp() } else { 0.0 }
    }

    fn log_likelihood(&self, point: &[f64]) -> f64 {
        let tie = self.tie(point);
        let times = |number: f64, chance: f64| if number > 0.0 { number * chance.ln() } else { 0.0 };
        let mut sum = 0.0;
        for (i, j, [win, lose, tied]) in &self.games {
            let (p_win, p_lose, p_tie) = probabilities(point[*i] - point[*j], tie);
            sum += times(*win, p_win) + times(*lose, p_lose) + times(*tied, p_tie);
        }
        for score in &point[..self.count] {
            let (p_win, p_lose, _) = probabilities(*score, 0.0);
            sum += times(self.prior, p_win) + times(self.prior, p_lose);
        }
        if self.has_ties {
            let (_, _, p_tie) = probabilities(0.0, tie);
            sum += times(self.prior, p_tie) + times(self.prior, 1.0 - p_tie);
        }
        sum
    }

    /// The gradient, and the second derivatives with the sign turned: means and covariances of an exponential family whose
    /// statistics are half the lead in wins and the ties.
    fn derivatives(&self, point: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
        let (last, tie) = (self.count, self.tie(point));
        let mut gradient = vec![0.0; last + 1];
        let mut curvature = vec![vec![0.0; last + 1]; last + 1];
        for (i, j, [win, lose, tied]) in &self.games {
            let (i, j, games) = (*i, *j, win + lose + tied);
            let (p_win, p_lose, p_tie) = probabilities(point[i] - point[j], tie);
            let lead = (p_win - p_lose) / 2.0;
            let pull = (win - lose) / 2.0 - games * lead;
            gradient[i] += pull;
            gradient[j] -= pull;
            gradient[last] += tied - games * p_tie;
            let spread = games * ((p_win + p_lose) / 4.0 - lead * lead);
            curvature[i][i] += spread;
            curvature[j][j] += spread;
            curvature[i][j] -= spread;
            curvature[j][i] -= spread;
            for (place, covariance) in [(i, -games * lead * p_tie), (j, games * lead * p_tie)] {
                curvature[place][last] += covariance;
                curvature[last][place] += covariance;
            }
            curvature[last][last] += games * p_tie * (1.0 - p_tie);
        }
        for place in 0..last {
            let (p_win, p_lose, _) = probabilities(point[place], 0.0);
            gradient[place] += self.prior * (p_lose - p_win);
            curvature[place][place] += 2.0 * self.prior * p_win * p_lose;
        }
        if self.has_ties {
            let (_, _, p_tie) = probabilities(0.0, tie);
            gradient[last] += self.prior * (1.0 - 2.0 * p_tie);
            curvature[last][last] += 2.0 * self.prior * p_tie * (1.0 - p_tie);
        } else {
            curvature[last][last] = 1.0;
        }
        // The same added to every score changes nothing: given some curvature, that direction has one solution, none.
        let scale = (0..last).map(|place| curvature[place][place]).sum::<f64>() / (last * last).max(1) as f64;
        if self.prior < 1e-9 {
            curvature[..last].iter_mut().for_each(|row| row[..last].iter_mut().for_each(|x| *x += scale));
        }
        (gradient, curvature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bradley_terry;

    #[track_caller]
    fn close(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() <= tolerance, "{found}, expected {expected}");
    }

    /// Davidson (1970), table 2: chocolate puddings of six brands; (i, j, i preferred, j preferred, no preference).
    const PUDDINGS: [(usize, usize, f64, f64, f64); 15] = [
        (0, 1, 19.0, 22.0, 16.0),
        (0, 2, 16.0, 19.0, 12.0),
        (1, 2, 19.0, 19.0, 10.0),
        (0, 3, 18.0, 23.0, 13.0),
        (1, 3, 23.0, 19.0, 9.0),
        (2, 3, 19.0, 20.0, 15.0),
        (0, 4, 13.0, 19.0, 18.0),
        (1, 4, 16.0, 20.0, 12.0),
        (2, 4, 16.0, 15.0, 17.0),
        (3, 4, 17.0, 14.0, 16.0),
        (0, 5, 18.0, 21.0, 12.0),
        (1, 5, 22.0, 20.0, 12.0),
        (2, 5, 13.0, 18.0, 10.0),
        (3, 5, 14.0, 19.0, 18.0),
        (4, 5, 11.0, 21.0, 12.0),
    ];

    fn puddings() -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
        let (mut wins, mut ties) = (vec![vec![0.0; 6]; 6], vec![vec![0.0; 6]; 6]);
        for (i, j, first, second, tied) in PUDDINGS {
            (wins[i][j], wins[j][i], ties[i][j]) = (first, second, tied);
        }
        (wins, ties)
    }

    #[test]
    fn the_puddings_of_davidson_1970() {
        let (wins, ties) = puddings();
        let found = fit(&wins, &ties, 0.0);
        // Strengths that sum to one, as the R package PlackettLuce prints them for its data `pudding`.
        let sum: f64 = found.scores.iter().map(|score| score.exp()).sum();
        let expected = [0.1388, 0.1730, 0.1617, 0.1654, 0.1587, 0.2024];
        for (score, expected) in found.scores.iter().zip(expected) {
            close(score.exp() / sum, expected, 5e-5);
        }
        close(found.tie, 0.7468, 5e-5);
    }

    /// Agresti, Categorical Data Analysis, section 10.6.1: the American League East of 1987.
    fn baseball() -> Vec<Vec<f64>> {
        [
            [0, 7, 9, 7, 7, 9, 11],
            [6, 0, 7, 5, 11, 9, 9],
            [4, 6, 0, 7, 7, 8, 12],
            [6, 8, 6, 0, 6, 7, 10],
            [6, 2, 6, 7, 0, 7, 12],
            [4, 4, 5, 6, 6, 0, 6],
            [2, 4, 1, 3, 1, 7, 0],
        ]
        .iter()
        .map(|row| row.iter().map(|wins| f64::from(*wins)).collect())
        .collect()
    }

    #[test]
    fn without_ties_it_is_bradley_terry_on_agrestis_baseball() {
        let wins = baseball();
        let found = fit(&wins, &vec![vec![0.0; 7]; 7], 0.0);
        let published = [1.581, 1.436, 1.294, 1.248, 1.108, 0.684, 0.0];
        for (score, published) in found.scores.iter().zip(published) {
            close(score - found.scores[6], published, 5e-4);
        }
        assert_eq!(found.tie, 0.0);
        for (score, plain) in found.scores.iter().zip(bradley_terry::scores(&wins).expect("identifiable")) {
            close(*score, plain, 1e-9);
        }
    }

    #[test]
    fn at_the_maximum_wins_and_ties_are_as_often_as_expected() {
        let wins = [vec![0.0, 30.0, 9.0], vec![12.0, 0.0, 14.0], vec![5.0, 6.0, 0.0]];
        let ties = [vec![0.0, 8.0, 3.0], vec![0.0, 0.0, 11.0], vec![0.0; 3]];
        let found = fit(&wins, &ties, 0.0);
        let mut tied = 0.0;
        for i in 0..3 {
            let (mut points, mut expected) = (0.0, 0.0);
            for j in (0..3).filter(|j| *j != i) {
                let ties = ties[i][j] + ties[j][i];
                let (win, _, tie) = found.probabilities(i, j);
                points += wins[i][j] + ties / 2.0;
                expected += (wins[i][j] + wins[j][i] + ties) * (win + tie / 2.0);
                tied += (wins[i][j] + wins[j][i] + ties) * tie / 2.0;
            }
            close(expected, points, 1e-8);
        }
        close(tied, 22.0, 1e-8);
    }

    /// Standard error of the lead of `first` over `second`.
    fn error(information: &Information, count: usize, first: usize, second: usize) -> f64 {
        let mut weights = vec![0.0; count];
        (weights[first], weights[second]) = (1.0, -1.0);
        information.variance(&weights).sqrt()
    }

    #[test]
    fn the_curvature_gives_published_standard_errors() {
        // Leads over Baltimore, as the R package BradleyTerry2 prints their errors.
        let (_, information) = fit_with_information(&baseball(), &vec![vec![0.0; 7]; 7], 0.0);
        for (team, expected) in [0.3433, 0.3396, 0.3367, 0.3359, 0.3339, 0.3319].into_iter().enumerate() {
            close(error(&information, 7, team, 6), expected, 5e-5);
        }
        // With ties: leads over the first pudding, by second differences of the log-likelihood at its maximum.
        let (wins, ties) = puddings();
        let (found, information) = fit_with_information(&wins, &ties, 0.0);
        assert_eq!(found, fit(&wins, &ties, 0.0));
        for (brand, expected) in [(1, 0.18722), (2, 0.19352), (3, 0.18821), (4, 0.19270), (5, 0.19241)] {
            close(error(&information, 6, brand, 0), expected, 1e-5);
        }
    }

    #[test]
    fn a_prior_keeps_every_table_finite() {
        let unbeaten = fit(&[vec![0.0, 8.0], vec![0.0, 0.0]], &[vec![0.0; 2], vec![0.0; 2]], 0.5);
        assert!(unbeaten.scores[0] > 0.5 && unbeaten.scores[0] < 5.0, "{unbeaten:?}");
        let tied = fit(&[vec![0.0; 2], vec![0.0; 2]], &[vec![0.0, 9.0], vec![0.0; 2]], 0.5);
        assert!(tied.tie.is_finite() && tied.tie > 2.0, "{tied:?}");
        close(tied.scores[0], 0.0, 1e-9);
        let nobody = fit(&[vec![0.0]], &[vec![0.0]], 0.5);
        assert_eq!(nobody.scores, [0.0]);
        assert_eq!(fit(&[], &[], 0.5).scores, [] as [f64; 0]);
    }
}
