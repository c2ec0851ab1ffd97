//! Dawid & Skene: what is true and how reliable each person is, estimated together from labels alone.

use std::collections::HashMap;

/// One label: who said what of which item. All three count from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    pub item: usize,
    pub annotator: usize,
    pub class: usize,
}

/// What is assumed of errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Errors {
    /// As the paper has it: every person has a rate for each pair of true and stated class, and classes have their own shares.
    Free,
    /// The same chance to be right whatever is true, all errors and all classes alike: for pairs of answers, where which of
    /// them is called the first means nothing. `right` and `wrong` labels of everyone are imagined beforehand, so that few
    /// labels make no extreme (a Beta prior).
    Symmetric { right: f64, wrong: f64 },
}

/// What was estimated.
#[derive(Debug, Clone, PartialEq)]
pub struct DawidSkene {
    /// Share of each class.
    pub classes: Vec<f64>,
    /// `errors[annotator][true class][stated class]`.
    pub errors: Vec<Vec<Vec<f64>>>,
    /// Probability of each class, item by item.
    pub items: Vec<Vec<f64>>,
}

/// Rounds of EM at most; far fewer are usual.
const ROUNDS: usize = 1000;
/// EM ends when no probability of an item moves by more.
const STILL: f64 = 1e-9;

/// The EM algorithm of Dawid & Skene (1979), begun from the shares of the votes (their equation 3.1).
pub fn fit(votes: &[Vote], classes: usize, errors: Errors) -> DawidSkene {
    let alike = Alike::of(votes);
    let annotators = votes.iter().map(|vote| vote.annotator + 1).max().unwrap_or(0);
    let mut truth = vec![vec![0.0; classes]; alike.counts.len()];
    for vote in &alike.votes {
        truth[vote.item][vote.class] += 1.0;
    }
    truth.iter_mut().for_each(|item| normalise(item));
    let mut model = maximise(&alike, &truth, annotators, classes, errors);
    for _ in 0..ROUNDS {
        let next = expect(&alike, classes, &model);
        let moved =
            truth.iter().flatten().zip(next.iter().flatten()).fold(0.0_f64, |most, (a, b)| most.max((a - b).abs()));
        truth = next;
        model = maximise(&alike, &truth, annotators, classes, errors);
        if moved < STILL {
            break;
        }
    }
    let (classes, errors) = model;
    DawidSkene { classes, errors, items: alike.of_item.into_iter().map(|group| truth[group].clone()).collect() }
}

/// Items by groups of those about which the same people said the same: one such group is reckoned once. Many thousands of
/// pairs that two people of a team judged make a few hundred groups.
struct Alike {
    /// The votes of each group; their `item` is the group.
    votes: Vec<Vote>,
    /// How many items a group has.
    counts: Vec<f64>,
    /// The group of each item.
    of_item: Vec<usize>,
}

impl Alike {
    fn of(votes: &[Vote]) -> Self {
        let items = votes.iter().map(|vote| vote.item + 1).max().unwrap_or(0);
        let mut said = vec![Vec::new(); items];
        for vote in votes {
            said[vote.item].push((vote.annotator, vote.class));
        }
        let mut groups: HashMap<Vec<(usize, usize)>, usize> = HashMap::new();
        let mut alike = Self { votes: Vec::new(), counts: Vec::new(), of_item: Vec::with_capacity(items) };
        for mut said in said {
            said.sort_unstable();
            let next = groups.len();
            let group = *groups.entry(said).or_insert_with_key(|said| {
                alike.votes.extend(said.iter().map(|&(annotator, class)| Vote { item: next, annotator, class }));
                alike.counts.push(0.0);
                next
            });
            alike.counts[group] += 1.0;
            alike.of_item.push(group);
        }
        alike
    }
}

type Model = (Vec<f64>, Vec<Vec<Vec<f64>>>);

/// Shares of classes and rates of errors from what is thought to be true (equations 2.3 and 2.4).
fn maximise(alike: &Alike, truth: &[Vec<f64>], annotators: usize, classes: usize, errors: Errors) -> Model {
    let mut rates = vec![vec![vec![0.0; classes]; classes]; annotators];
    for vote in &alike.votes {
        for (class, chance) in truth[vote.item].iter().enumerate() {
            rates[vote.annotator][class][vote.class] += chance * alike.counts[vote.item];
        }
    }
    match errors {
        Errors::Free => {
            let mut shares = vec![0.0; classes];
            for (item, count) in truth.iter().zip(&alike.counts) {
                shares.iter_mut().zip(item).for_each(|(share, chance)| *share += chance * count);
            }
            normalise(&mut shares);
            rates.iter_mut().flatten().for_each(|row| normalise(row));
            (shares, rates)
        }
        Errors::Symmetric { right, wrong } => {
            let others = classes.saturating_sub(1).max(1) as f64;
            for of_one in &mut rates {
                let said: f64 = of_one.iter().flatten().sum();
                let correct: f64 = (0..classes).map(|class| of_one[class][class]).sum();
                let rate = (correct + right) / (said + right + wrong);
                for (class, row) in of_one.iter_mut().enumerate() {
                    for (stated, chance) in row.iter_mut().enumerate() {
                        *chance = if class == stated { rate } else { (1.0 - rate) / others };
                    }
                }
            }
            (vec![1.0 / classes as f64; classes], rates)
        }
    }
}

/// The probability of each class of each item (equation 2.5), by logarithms: items may have many votes.
fn expect(alike: &Alike, classes: usize, (shares, rates): &Model) -> Vec<Vec<f64>> {
    let start: Vec<f64> = shares.iter().map(|share| share.ln()).collect();
    let logs: Vec<Vec<Vec<f64>>> = rates
        .iter()
        .map(|of_one| of_one.iter().map(|row| row.iter().map(|rate| rate.ln()).collect()).collect())
        .collect();
    let mut truth = vec![start; alike.counts.len()];
    for vote in &alike.votes {
        for class in 0..classes {
            truth[vote.item][class] += logs[vote.annotator][class][vote.class];
        }
    }
    for item in &mut truth {
        let most = item.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        item.iter_mut().for_each(|x| *x = (*x - most).exp());
        normalise(item);
    }
    truth
}

fn normalise(values: &mut [f64]) {
    let sum: f64 = values.iter().sum();
    if sum > 0.0 {
        values.iter_mut().for_each(|value| *value /= sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dawid & Skene (1979), table 1: the fitness of 45 patients as five anaesthetists graded it, the first of them three times.
    const PATIENTS: [[&str; 5]; 45] = [
        ["111", "1", "1", "1", "1"],
        ["333", "4", "3", "3", "4"],
        ["112", "2", "1", "2", "2"],
        ["222", "3", "1", "2", "1"],
        ["222", "3", "2", "2", "2"],
        ["222", "3", "3", "2", "2"],
        ["122", "2", "1", "1", "1"],
        ["333", "3", "4", "3", "3"],
        ["222", "2", "2", "2", "3"],
        ["232", "2", "2", "2", "3"],
        ["444", "4", "4", "4", "4"],
        ["222", "3", "3", "4", "3"],
        ["111", "1", "1", "1", "1"],
        ["222", "3", "2", "1", "2"],
        ["121", "1", "1", "1", "1"],
        ["111", "2", "1", "1", "1"],
        ["111", "1", "1", "1", "1"],
        ["111", "1", "1", "1", "1"],
        ["222", "2", "2", "2", "1"],
        ["222", "1", "3", "2", "2"],
        ["222", "2", "2", "2", "2"],
        ["222", "2", "2", "2", "1"],
        ["222", "3", "2", "2", "2"],
        ["221", "2", "2", "2", "2"],
        ["111", "1", "1", "1", "1"],
        ["111", "1", "1", "1", "1"],
        ["232", "2", "2", "2", "2"],
        ["111", "1", "1", "1", "1"],
        ["111", "1", "1", "1", "1"],
        ["112", "1", "1", "2", "1"],
        ["111", "1", "1", "1", "1"],
        ["333", "3", "2", "3", "3"],
        ["111", "1", "1", "1", "1"],
        ["222", "2", "2", "2", "2"],
        ["222", "3", "2", "3", "2"],
        ["433", "4", "3", "4", "3"],
        ["221", "2", "2", "3", "2"],
        ["232", "3", "2", "3", "3"],
        ["333", "3", "4", "3", "2"],
        ["111", "1", "1", "1", "1"],
        ["111", "1", "1", "1", "1"],
        ["121", "2", "1", "1", "1"],
        ["232", "2", "2", "2", "2"],
        ["121", "1", "1", "1", "1"],
        ["222", "2", "2", "2", "2"],
    ];

    fn votes() -> Vec<Vote> {
        let mut votes = Vec::new();
        for (item, grades) in PATIENTS.iter().enumerate() {
            for (annotator, grades) in grades.iter().enumerate() {
                votes.extend(grades.bytes().map(|grade| Vote { item, annotator, class: usize::from(grade - b'1') }));
            }
        }
        votes
    }

    #[test]
    fn the_anaesthetists_of_dawid_and_skene_1979() {
        let found = fit(&votes(), 4, Errors::Free);
        // Table 2: the shares of the classes.
        for (share, published) in found.classes.iter().zip([0.40, 0.42, 0.11, 0.07]) {
            assert!((share - published).abs() < 0.005, "{:?}", found.classes);
        }
        // Table 2: the rates of the first anaesthetist for patients of the classes 1 and 2.
        for (class, published) in [(0, [0.89, 0.11, 0.0, 0.0]), (1, [0.07, 0.88, 0.05, 0.0])] {
            for (rate, published) in found.errors[0][class].iter().zip(published) {
                assert!((rate - published).abs() < 0.005, "{:?}", found.errors[0]);
            }
        }
        // Table 4: patient 1 is of class 1, patient 2 of class 4, patient 3 of class 2, all but certainly.
        for (patient, class) in [(0, 0), (1, 3), (2, 1), (10, 3)] {
            assert!(found.items[patient][class] > 0.97, "patient {}: {:?}", patient + 1, found.items[patient]);
        }
    }

    /// Votes on `items` two-way questions whose truth is 0, 1, 0, 1, …; the annotator errs on every `wrong[annotator]`-th.
    fn simulated(items: usize, wrong: &[usize]) -> Vec<Vote> {
        let said = |item: usize, annotator: usize, every: usize| {
            let errs = every > 0 && (item * 7 + annotator * 3).is_multiple_of(every);
            Vote { item, annotator, class: (item + usize::from(errs)) % 2 }
        };
        (0..items).flat_map(|item| wrong.iter().enumerate().map(move |(who, every)| said(item, who, *every))).collect()
    }

    #[test]
    fn who_errs_on_every_third_is_found_out() {
        let errors = Errors::Symmetric { right: 4.0, wrong: 1.0 };
        let found = fit(&simulated(600, &[10, 10, 3]), 2, errors);
        for (annotator, right) in [(0, 0.9), (1, 0.9), (2, 0.667)] {
            let rate = found.errors[annotator][0][0];
            assert!((rate - right).abs() < 0.03, "annotator {annotator}: {rate}");
            assert_eq!(found.errors[annotator][1][1], rate);
        }
    }

    #[test]
    fn the_names_of_the_classes_mean_nothing_to_symmetric_errors() {
        let errors = Errors::Symmetric { right: 4.0, wrong: 1.0 };
        let votes = simulated(60, &[7, 4, 3]);
        let turned: Vec<Vote> = votes
            .iter()
            .map(|vote| Vote { class: if vote.item.is_multiple_of(5) { 1 - vote.class } else { vote.class }, ..*vote })
            .collect();
        let (found, turned) = (fit(&votes, 2, errors), fit(&turned, 2, errors));
        for annotator in 0..3 {
            assert!((found.errors[annotator][0][0] - turned.errors[annotator][0][0]).abs() < 1e-9);
        }
    }

    #[test]
    fn nobody_has_no_rates() {
        let found = fit(&[], 2, Errors::Symmetric { right: 4.0, wrong: 1.0 });
        assert_eq!((found.errors.len(), found.items.len()), (0, 0));
    }
}
