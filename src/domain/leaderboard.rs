//! The models against each other: strengths with intervals, win rates, whether they fit one order.

use std::{cmp::Ordering, collections::BTreeMap};

use uuid::Uuid;

use super::{
    bradley_terry,
    statistics::{
        bootstrap::{self, Bootstrap},
        davidson::{self, Davidson, Information},
        transitivity::{self, Triads},
    },
};

/// Wins and defeats of everyone against one imagined model of average strength: keeps the scores of models with few comparisons finite
/// and near the middle.
const PRIOR: f64 = 0.5;
/// The bootstrap's seed: the same labels give the same intervals.
const SEED: u64 = 1952;
/// Rounds of the bootstrap, and the additions and multiplications that all of them may take together.
const ROUNDS: std::ops::RangeInclusive<usize> = 100..=1000;
const WORK: usize = 60_000_000;
/// Standard errors to either side of a 95 % interval.
const NORMAL: f64 = 1.96;

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
    /// Number of its group, from 1: comparisons join the models of a group, and none joins two groups.
    pub group: usize,
    /// Its place in the group, from 1.
    pub place: usize,
    /// Natural logarithm of its strength; those of a group sum to zero. Between groups they say nothing.
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
    /// Models that were compared with another one: group by group, the largest first; in a group the strongest first.
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

    /// The standings of each group.
    pub fn groups(&self) -> Vec<&[Standing]> {
        self.standings.chunk_by(|one, other| one.group == other.group).collect()
    }

    /// Whether there are several groups, whose scores can't be compared.
    pub fn is_parted(&self) -> bool {
        self.standings.last().is_some_and(|last| last.group > 1)
    }
}

/// Comparisons of one prompt: (first, second, [first won, second won, tied]).
type Games = Vec<(usize, usize, [f64; 3])>;

/// The board of `models` models. Answers of the same model say nothing of it and are not compared.
pub fn board(judged: &[Judged], models: usize) -> Board {
    let prompts = games_by_prompt(judged);
    let (wins, ties) = totals(&prompts, &vec![1; prompts.len()], models);
    let groups = groups(&wins, &ties);
    let (Davidson { scores, tie }, information) = davidson::fit_with_information(&wins, &ties, PRIOR);
    let scores = centred(scores, &groups);
    let games: usize = prompts.iter().map(Vec::len).sum();
    let work = games + models.pow(3) * 10;
    let rounds = (WORK / work.max(1)).clamp(*ROUNDS.start(), *ROUNDS.end());
    let drawn = bootstrap::intervals(prompts.len(), Bootstrap { rounds, seed: SEED }, |drawn| {
        let (wins, ties) = totals(&prompts, drawn, models);
        centred(davidson::fit(&wins, &ties, PRIOR).scores, &groups)
    });
    let ties = both_halves(&ties);
    let mut standings = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let mut order = group.clone();
        order.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
        for (place, model) in order.into_iter().enumerate() {
            let score = scores[model];
            let (low, high) = interval(score, error(&information, model, group, models), drawn[model]);
            standings.push(Standing {
                model,
                group: number + 1,
                place: place + 1,
                score,
                low,
                high,
                wins: wins[model].iter().sum(),
                ties: ties[model].iter().sum(),
                losses: wins.iter().map(|row| row[model]).sum(),
            });
        }
    }
    let rate = |one: usize, other: usize| wins[one][other] > wins[other][one];
    let triads = transitivity::triads(models, rate);
    Board {
        comparisons: standings.iter().map(Standing::comparisons).sum::<f64>() / 2.0,
        standings,
        prompts: prompts.len(),
        tie_chance: tie / (2.0 + tie),
        triads,
        rounds,
        wins,
        ties,
    }
}

/// Models that comparisons join, the largest group first; a model that was compared with no other is in none.
fn groups(wins: &[Vec<f64>], ties: &[Vec<f64>]) -> Vec<Vec<usize>> {
    let said = |one: usize, other: usize| wins[one][other] + ties[one][other];
    let mut groups = bradley_terry::groups(wins.len(), |one, other| said(one, other) + said(other, one) > 0.0);
    groups.retain(|group| group.len() > 1);
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    groups
}

/// The scores of each group around their own mean: how two groups stand to each other only the prior says.
fn centred(mut scores: Vec<f64>, groups: &[Vec<usize>]) -> Vec<f64> {
    for group in groups {
        let mean = group.iter().map(|model| scores[*model]).sum::<f64>() / group.len() as f64;
        for model in group {
            scores[*model] -= mean;
        }
    }
    scores
}

/// Standard error of a model's score, which is its lead over the mean of its group.
fn error(information: &Information, model: usize, group: &[usize], models: usize) -> f64 {
    let mut weights = vec![0.0; models];
    for other in group {
        weights[*other] = -1.0 / group.len() as f64;
    }
    weights[model] += 1.0;
    information.variance(&weights).sqrt()
}

/// The bootstrap's interval (Efron 1979), or, where it is wider, the normal approximation with the inverse of the observed
/// information (Efron & Hinkley 1978; [`Information::variance`]).
///
/// Where there is one prompt, or all say the same, every draw is the same and the bootstrap finds no doubt at all. It finds too
/// little with few prompts, and, however many there are, of a model that won every time beside others with mixed results: so the
/// wider one counts everywhere.
fn interval(score: f64, error: f64, drawn: (f64, f64)) -> (f64, f64) {
    let (low, high) = (score - NORMAL * error, score + NORMAL * error);
    if drawn.1 - drawn.0 > high - low { drawn } else { (low, high) }
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

/// Wins and ties of prompts that were drawn so often; a tie stands at the model with the smaller index.
fn totals(prompts: &[Games], drawn: &[u32], models: usize) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let (mut wins, mut ties) = (vec![vec![0.0; models]; models], vec![vec![0.0; models]; models]);
    for (games, times) in prompts.iter().zip(drawn).filter(|(_, times)| **times > 0) {
        let times = f64::from(*times);
        for (first, second, [won, lost, tied]) in games {
            wins[*first][*second] += times * won;
            wins[*second][*first] += times * lost;
            ties[*first][*second] += times * tied;
        }
    }
    (wins, ties)
}

/// Ties with each of the two models.
fn both_halves(ties: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let all = 0..ties.len();
    all.clone().map(|i| all.clone().map(|j| ties[i.min(j)][i.max(j)]).collect()).collect()
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

    #[track_caller]
    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
    }

    #[test]
    fn one_prompt_proves_nothing() {
        let found = board(&[judged(1, &[(0, 1), (1, 2)])], 2);
        // The maximum, and 1.96 roots of the inverse of its second differences.
        let (better, worse) = (&found.standings[0], &found.standings[1]);
        close(better.score, 0.75631);
        close(better.low, -1.17812);
        close(better.high, 2.69074);
        close(worse.low, -better.high);
    }

    #[test]
    fn prompts_that_all_say_the_same_leave_a_doubt() {
        let labels: Vec<Judged> = (0..60).map(|prompt| judged(prompt, &[(0, 1), (1, 2)])).collect();
        let found = board(&labels, 2);
        close(found.standings[0].low, 1.02205);
        close(found.standings[0].high, 3.92717);
        // Two people who contradict each other on every prompt.
        let labels: Vec<Judged> =
            (0..30).flat_map(|prompt| [judged(prompt, &[(0, 1), (1, 2)]), judged(prompt, &[(0, 2), (1, 1)])]).collect();
        let found = board(&labels, 2);
        assert!(found.standings[0].low < -0.2 && found.standings[0].high > 0.2, "{found:?}");
    }

    #[test]
    fn a_tie_is_one_comparison() {
        let said: [&[(usize, u32)]; 3] = [&[(0, 1), (1, 2)], &[(0, 2), (1, 1)], &[(0, 1), (1, 1)]];
        let labels: Vec<Judged> = (0..60_usize).map(|prompt| judged(prompt as u128, said[prompt % 3])).collect();
        // 20 of 60, and the prior's half a tie of one.
        close(board(&labels, 2).tie_chance, 20.5 / 61.0);
    }

    #[test]
    fn models_that_no_comparison_joins_stand_in_groups() {
        let mut labels: Vec<Judged> = (0..20).map(|prompt| judged(prompt, &[(1, 1), (3, 2)])).collect();
        labels.extend((20..24).map(|prompt| judged(prompt, &[(2, 2), (0, 1), (4, 3)])));
        // A tie joins too.
        labels.push(judged(24, &[(5, 1), (4, 1)]));
        let found = board(&labels, 6);
        assert!(found.is_parted());
        let groups: Vec<Vec<usize>> =
            found.groups().into_iter().map(|group| group.iter().map(|standing| standing.model).collect()).collect();
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].len(), groups[0][0]), (4, 0));
        assert_eq!(groups[1], [1, 3]);
        let places: Vec<(usize, usize)> =
            found.standings.iter().map(|standing| (standing.group, standing.place)).collect();
        assert_eq!(places, [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2)]);
        for group in found.groups() {
            close(group.iter().map(|standing| standing.score).sum(), 0.0);
        }
        // Without the tie, whose chance is the same for all, another group changes nothing between two models.
        let (alone, beside) = (board(&labels[..20], 4), board(&labels[..24], 5));
        assert!(!alone.is_parted() && beside.is_parted());
        let (alone, beside) = (&alone.standings[0], &beside.standings[3]);
        assert_eq!((alone.model, beside.model), (1, 1));
        close(alone.score, beside.score);
        close(alone.low, beside.low);
    }

    #[test]
    fn a_circle_of_three_is_seen() {
        let labels = [judged(1, &[(0, 1), (1, 2)]), judged(2, &[(1, 1), (2, 2)]), judged(3, &[(2, 1), (0, 2)])];
        assert_eq!(board(&labels, 3).triads, Triads { circular: 1, complete: 1 });
    }
}
