//! What labels say of the people who gave them, one by one and two by two.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{
    Label, Reliability, Sums,
    pace::{is_too_fast, median},
};
use crate::domain::statistics::{
    agreement::PairCounts,
    position_bias::Places,
    proportion::{self, Proportion},
};

/// Share of hasty rankings, and their least number, that mark a person.
const HASTY_SHARE: f64 = 0.2;
const HASTY_LEAST: usize = 5;
/// How unlikely a preference for places must be, and how far beyond chance, to mark a person: many people are tested.
const BIAS_P: f64 = 0.001;
const BIAS_TIMES: f64 = 1.5;

/// One annotator.
#[derive(Debug, Clone)]
pub struct Person {
    pub annotator: usize,
    pub rankings: usize,
    /// With everyone else who ranked the same answers.
    pub agreement: Option<Proportion>,
    pub tau: Option<f64>,
    /// Prompts that somebody else ranked too.
    pub shared_prompts: usize,
    pub reliability: Reliability,
    pub median_seconds: Option<f64>,
    /// Rankings whose time is known, and those of them given faster than the answers can be read.
    pub timed: usize,
    pub too_fast: usize,
    pub places: Places,
}

impl Person {
    /// Often far too fast.
    pub fn is_hasty(&self) -> bool {
        self.too_fast >= HASTY_LEAST && self.too_fast as f64 > HASTY_SHARE * self.timed as f64
    }

    /// Prefers the place that is shown first, well beyond chance.
    pub fn favours_the_first(&self) -> bool {
        let far = self.places.first().is_some_and(|(share, chance)| share > BIAS_TIMES * chance);
        far && self.places.test().is_some_and(|test| test.p < BIAS_P)
    }

    pub fn is_suspicious(&self) -> bool {
        self.is_hasty() || self.favours_the_first()
    }
}

/// Two annotators who ranked the same answers.
#[derive(Debug, Clone)]
pub struct Pair {
    pub first: usize,
    pub second: usize,
    pub agreement: Option<Proportion>,
    pub tau: Option<f64>,
    pub prompts: usize,
}

/// Meetings of people over prompts.
pub struct Ledger {
    alone: Vec<BTreeMap<Uuid, Sums>>,
    together: BTreeMap<(usize, usize), BTreeMap<Uuid, Sums>>,
}

impl Ledger {
    pub fn new(annotators: usize) -> Self {
        Ledger { alone: vec![BTreeMap::new(); annotators], together: BTreeMap::new() }
    }

    pub fn meet(&mut self, prompt: Uuid, one: Option<usize>, other: Option<usize>, pairs: PairCounts) {
        for annotator in [one, other].into_iter().flatten() {
            self.alone[annotator].entry(prompt).or_default().add(pairs);
        }
        if let (Some(one), Some(other)) = (one, other) {
            let key = (one.min(other), one.max(other));
            self.together.entry(key).or_default().entry(prompt).or_default().add(pairs);
        }
    }

    /// Those who met most come first.
    pub fn pairs(&self) -> Vec<Pair> {
        let mut pairs: Vec<Pair> = self
            .together
            .iter()
            .map(|((first, second), prompts)| Pair {
                first: *first,
                second: *second,
                agreement: proportion::clustered(prompts.values().map(Sums::decided)),
                tau: mean_tau(prompts),
                prompts: prompts.len(),
            })
            .collect();
        pairs.sort_by_key(|pair| std::cmp::Reverse(pair.prompts));
        pairs
    }

    pub fn people(&self, labels: &[Label], reliability: &[Reliability]) -> Vec<Person> {
        let mut people: Vec<Person> = self
            .alone
            .iter()
            .zip(reliability)
            .enumerate()
            .map(|(annotator, (prompts, reliability))| Person {
                annotator,
                rankings: 0,
                agreement: proportion::clustered(prompts.values().map(Sums::decided)),
                tau: mean_tau(prompts),
                shared_prompts: prompts.len(),
                reliability: *reliability,
                median_seconds: None,
                timed: 0,
                too_fast: 0,
                places: Places::default(),
            })
            .collect();
        let mut times = vec![Vec::new(); people.len()];
        for label in labels {
            let Some(annotator) = label.annotator else { continue };
            let person = &mut people[annotator];
            person.rankings += 1;
            if let Some((answers, place)) = best_place(label) {
                person.places.note(answers, place);
            }
            if let Some(seconds) = label.seconds {
                times[annotator].push(seconds);
                person.timed += 1;
                person.too_fast += usize::from(is_too_fast(seconds, label.bytes));
            }
        }
        for (person, times) in people.iter_mut().zip(times) {
            person.median_seconds = median(times);
        }
        people
    }
}

fn mean_tau(prompts: &BTreeMap<Uuid, Sums>) -> Option<f64> {
    proportion::clustered_mean(prompts.values().map(Sums::taus)).map(|(mean, _)| mean)
}

/// How many answers the page showed, and at which place the best one stood; `None` where several were best, or where the
/// order of the page is not known.
pub fn best_place(label: &Label) -> Option<(usize, usize)> {
    let mut best = label.ranks.iter().enumerate().filter(|(_, rank)| **rank == 1).map(|(position, _)| position);
    let position = best.next().filter(|_| best.next().is_none())?;
    let place = label.shown_order.iter().position(|shown| *shown == position)?;
    (label.shown_order.len() == label.ranks.len()).then_some((label.ranks.len(), place))
}
