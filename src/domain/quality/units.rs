//! Which rankings can be compared: those of the same answers to the same prompt.

use std::{cmp::Ordering, collections::HashMap};

use time::Date;
use uuid::Uuid;

use super::Label;

/// One person's ranking of a unit's answers.
#[derive(Debug, Clone)]
pub struct Opinion {
    pub annotator: Option<usize>,
    /// In the unit's order of the answers.
    pub ranks: Vec<u32>,
    pub week: Date,
}

/// A set of answers that two people or more ranked.
#[derive(Debug, Clone)]
pub struct Unit {
    pub prompt: Uuid,
    pub opinions: Vec<Opinion>,
}

impl Unit {
    /// Every two opinions of different people.
    pub fn meetings(&self) -> impl Iterator<Item = (&Opinion, &Opinion)> {
        self.opinions.iter().enumerate().flat_map(move |(place, one)| {
            self.opinions[place + 1..]
                .iter()
                .filter(|other| one.annotator.is_none() || one.annotator != other.annotator)
                .map(move |other| (one, other))
        })
    }

    /// One opinion a person: their last one, where they were asked about the same answers twice. Measures that take everyone for
    /// another person would count agreement with oneself. Whoever has no name is somebody else each time.
    pub fn voices(&self) -> impl Iterator<Item = &Opinion> {
        self.opinions.iter().enumerate().filter_map(move |(place, one)| {
            let later = &self.opinions[place + 1..];
            let is_last = one.annotator.is_none() || later.iter().all(|other| other.annotator != one.annotator);
            is_last.then_some(one)
        })
    }

    /// Every two answers, by position.
    pub fn answer_pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let answers = self.opinions.first().map_or(0, |opinion| opinion.ranks.len());
        (0..answers).flat_map(move |left| (left + 1..answers).map(move |right| (left, right)))
    }
}

/// The units that two rankings or more are of.
///
/// The answers of a unit stand in an order by chance: by the random half of their ids. In the order of the record one model's
/// answers might always come first, and which answer of a pair is called the first must mean nothing.
pub fn shared(labels: &[Label]) -> Vec<Unit> {
    let mut places: HashMap<(Uuid, Vec<Uuid>), usize> = HashMap::with_capacity(labels.len());
    let mut units: Vec<Unit> = Vec::new();
    for label in labels {
        let mut order: Vec<usize> = (0..label.answers.len().min(label.ranks.len())).collect();
        order.sort_unstable_by_key(|position| {
            let (time, chance) = label.answers[*position].as_u64_pair();
            (chance, time)
        });
        let answers = order.iter().map(|position| label.answers[*position]).collect();
        let ranks = order.iter().map(|position| label.ranks[*position]).collect();
        let place = *places.entry((label.prompt, answers)).or_insert_with(|| {
            units.push(Unit { prompt: label.prompt, opinions: Vec::new() });
            units.len() - 1
        });
        units[place].opinions.push(Opinion { annotator: label.annotator, ranks, week: label.week });
    }
    units.retain(|unit| unit.meetings().next().is_some());
    units
}

/// What each person says of each pair of answers: which is better, or neither.
pub fn pair_labels(units: &[Unit]) -> Vec<Vec<Option<Ordering>>> {
    let of_pair = |unit: &Unit, (left, right): (usize, usize)| {
        unit.voices().map(|opinion| Some(opinion.ranks[left].cmp(&opinion.ranks[right]))).collect()
    };
    units.iter().flat_map(|unit| unit.answer_pairs().map(move |pair| of_pair(unit, pair))).collect()
}

/// The ranks that each answer got.
pub fn rank_labels(units: &[Unit]) -> Vec<Vec<Option<u32>>> {
    let answers = |unit: &Unit| 0..unit.opinions.first().map_or(0, |opinion| opinion.ranks.len());
    let of_answer = |unit: &Unit, answer: usize| unit.voices().map(|opinion| Some(opinion.ranks[answer])).collect();
    units.iter().flat_map(|unit| answers(unit).map(move |answer| of_answer(unit, answer))).collect()
}
