//! The models against each other: strengths with intervals, win rates, whether they fit one order.

use std::{cmp::Ordering, collections::BTreeMap};

use uuid::Uuid;

use super::statistics::{
    bootstrap::{self, Bootstrap},
    davidson::{self, Davidson},
    transitivity::{self, Triads},
};

/// Wins and defeats of everyone against one imagined model of average strength: keeps the scores of models with few comparisons finite
/// and near the middle.
const PRIOR: f64 = 0.5;
/// The bootstrap's seed: the same labels give the same intervals.
const SEED: u64 = 1952;
/// Rounds of the bootstrap, and the additions and multiplications that all of them may take together.
const ROUNDS: std::ops::RangeInclusive<usize> = 100..=1000;
const WORK: usize = 60_000_000;

/// One ranking's models (by index) with the ranks of their answers.
#[derive(Debug, Clone)]
pub struct Judged {
    pub prompt: Uuid,
    pub entries: Vec<(usize, u32)>,
}

/// A model's place on the board.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub model: usize,
    /// Natural logarithm of its strength; all sum to zero.
    pub score: f64,
    /// Ends of the 95 % interval.
    pub low: f64,
    pub high: f64,
    pub wins: f64,
    pub ties: f64,
    pub losses: f64,
}

impl Standing {
    pub fn comparisons(&self) -> f64 {
        self.wins + self.ties + self.losses
    }

    /// Wins, a tie counting as half of one.
    pub fn win_rate(&self) -> f64 {
        (self.wins + self.ties / 2.0) / self.comparisons()
    }
}

/// The board.
#[derive(Debug, Clone, Default)]
pub struct Board {
    /// Models that were compared with another one, the strongest first.
    pub standings: Vec<Standing>,
    /// Comparisons won, tied, by model indices.
    pub wins: Vec<Vec<f64>>,
    pub ties: Vec<Vec<f64>>,
    pub prompts: usize,
    pub comparisons: f64,
    /// Chance that two equal models tie.
    pub tie_chance: f64,
    pub triads: Triads,
    /// Rounds of the bootstrap.
    pub rounds: usize,
}

impl Board {
    /// Share of comparisons that `first` won against `second`, ties as halves; with their number.
    pub fn win_rate(&self, first: usize, second: usize) -> Option<(f64, f64)> {
        let ties = self.ties[first][second];
        let all = self.wins[first][second] + self.wins[second][first] + ties;
        (all > 0.0).then(|| ((self.wins[first][second] + ties / 2.0) / all, all))
    }
}

/// Comparisons of one prompt: (first, second, [first won, second won, tied]).
type Games = Vec<(usize, usize, [f64; 3])>;

/// The board of `models` models. Answers of the same model say nothing of it and are not compared.
pub fn board(judged: &[Judged], models: usize) -> Board {
    let prompts = games_by_prompt(judged);
    let (wins, ties) = totals(&prompts, &vec![1; prompts.len()], models);
    let fitted = davidson::fit(&wins, &ties, PRIOR);
    let games: usize = prompts.iter().map(Vec::len).sum();
    let work = games + models.pow(3) * 10;
    let rounds = (WORK / work.max(1)).clamp(*ROUNDS.start(), *ROUNDS.end());
    let intervals = bootstrap::intervals(prompts.len(), Bootstrap { rounds, seed: SEED }, |drawn| {
        let (wins, ties) = totals(&prompts, drawn, models);
        davidson::fit(&wins, &ties, PRIOR).scores
    });
    let mut standings: Vec<Standing> =
        (0..models).filter_map(|model| standing(model, &wins, &ties, &fitted, &intervals)).collect();
    standings.sort_by(|one, other| other.score.total_cmp(&one.score));
    let rate = |one: usize, other: usize| wins[one][other] > wins[other][one];
    let triads = transitivity::triads(models, rate);
    Board {
        comparisons: standings.iter().map(Standing::comparisons).sum::<f64>() / 2.0,
        standings,
        prompts: prompts.len(),
        tie_chance: fitted.tie / (2.0 + fitted.tie),
        triads,
        rounds,
        wins,
        ties,
    }
}

fn standing(
    model: usize,
    wins: &[Vec<f64>],
    ties: &[Vec<f64>],
    fitted: &Davidson,
    intervals: &[(f64, f64)],
) -> Option<Standing> {
    let (low, high) = *intervals.get(model)?;
    let standing = Standing {
        model,
        score: fitted.scores[model],
        low,
        high,
        wins: wins[model].iter().sum(),
        ties: ties[model].iter().sum(),
        losses: wins.iter().map(|row| row[model]).sum(),
    };
    (standing.comparisons() > 0.0).then_some(standing)
}

fn games_by_prompt(judged: &[Judged]) -> Vec<Games> {
    let mut prompts: BTreeMap<Uuid, BTreeMap<(usize, usize), [f64; 3]>> = BTreeMap::new();
    for Judged { prompt, entries } in judged {
        for (place, (model, rank)) in entries.iter().enumerate() {
            for (other, other_rank) in &entries[place + 1..] {
                // The first of a pair is the one with the smaller index.
                let (pair, order) = match model.cmp(other) {
                    Ordering::Less => ((*model, *other), rank.cmp(other_rank)),
                    Ordering::Greater => ((*other, *model), other_rank.cmp(rank)),
                    Ordering::Equal => continue,
                };
                let outcome = match order {
                    Ordering::Less => 0,
                    Ordering::Greater => 1,
                    Ordering::Equal => 2,
                };
                prompts.entry(*prompt).or_default().entry(pair).or_default()[outcome] += 1.0;
            }
        }
    }
    prompts
        .into_values()
        .map(|games| games.into_iter().map(|((first, second), said)| (first, second, said)).collect())
        .collect()
}

/// Wins and ties of prompts that were drawn so often; ties stand in both halves of their table.
fn totals(prompts: &[Games], drawn: &[u32], models: usize) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let (mut wins, mut ties) = (vec![vec![0.0; models]; models], vec![vec![0.0; models]; models]);
    for (games, times) in prompts.iter().zip(drawn).filter(|(_, times)| **times > 0) {
        let times = f64::from(*times);
        for (first, second, [won, lost, tied]) in games {
            wins[*first][*second] += times * won;
            wins[*second][*first] += times * lost;
            ties[*first][*second] += times * tied;
            ties[*second][*first] += times * tied;
        }
    }
    (wins, ties)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(prompt: u128, entries: &[(usize, u32)]) -> Judged {
        Judged { prompt: Uuid::from_u128(prompt), entries: entries.to_vec() }
    }

    #[test]
    fn wins_and_ties_are_counted_once_a_pair() {
        let found = board(&[judged(1, &[(0, 1), (1, 2), (2, 2)]), judged(2, &[(1, 1), (0, 2)])], 4);
        assert_eq!((found.prompts, found.comparisons), (2, 4.0));
        assert_eq!(found.win_rate(0, 1), Some((0.5, 2.0)));
        assert_eq!(found.win_rate(2, 1), Some((0.5, 1.0)));
        assert_eq!(found.win_rate(0, 3), None);
        // Nobody was compared with the fourth.
        assert_eq!(found.standings.len(), 3);
        assert_eq!(found.standings[0].model, 0);
        let third = found.standings.iter().find(|standing| standing.model == 2).expect("on the board");
        assert_eq!((third.wins, third.ties, third.losses, third.win_rate()), (0.0, 1.0, 1.0, 0.25));
    }

    #[test]
    fn answers_of_one_model_are_not_compared_with_each_other() {
        assert_eq!(board(&[judged(1, &[(0, 1), (0, 2)])], 1).comparisons, 0.0);
        assert!(board(&[], 0).standings.is_empty());
    }

    #[test]
    fn a_model_that_is_clearly_better_has_an_interval_above_the_other() {
        let labels: Vec<Judged> = (0..60)
            .map(|prompt| judged(prompt, if prompt % 6 == 0 { &[(0, 2), (1, 1)] } else { &[(0, 1), (1, 2)] }))
            .collect();
        let found = board(&labels, 2);
        let (better, worse) = (&found.standings[0], &found.standings[1]);
        assert_eq!(better.model, 0);
        // 50 of 60: a lead of ln 5, drawn a little to the middle.
        assert!((better.score - worse.score - 5_f64.ln()).abs() < 0.1, "{found:?}");
        assert!(better.low > worse.high && better.low < better.score && better.score < better.high, "{found:?}");
        assert_eq!(board(&labels, 2).standings, found.standings, "the same labels give the same intervals");
    }

    #[test]
    fn a_circle_of_three_is_seen() {
        let labels = [judged(1, &[(0, 1), (1, 2)]), judged(2, &[(1, 1), (2, 2)]), judged(3, &[(2, 1), (0, 2)])];
        assert_eq!(board(&labels, 3).triads, Triads { circular: 1, complete: 1 });
    }
}
