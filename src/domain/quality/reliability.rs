//! How reliable each annotator is, estimated together with what is true of each pair of answers.

use std::cmp::Ordering;

use super::units::Unit;
use crate::domain::statistics::dawid_skene::{self, Errors, Vote};

/// Votes below which an annotator's reliability is not told: about five rankings of four answers that others ranked too.
pub const ENOUGH_VOTES: usize = 30;
/// What is assumed of somebody of whom nothing is known: right on four pairs of five. Two such people agree on
/// 0.8² + 0.2² = 68 % of the pairs, near what is usual.
pub const PRIOR: f64 = 0.8;
/// Weight of that, in votes.
const PRIOR_VOTES: f64 = 5.0;

/// An annotator's chance to put a pair of answers in the right order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reliability {
    /// Between 0 and 1; 1/2 is a coin toss. [`PRIOR`] of somebody whose pairs nobody else judged.
    pub right: f64,
    /// Pairs of answers that somebody else judged too, ties left out.
    pub votes: usize,
}

impl Reliability {
    pub const UNKNOWN: Reliability = Reliability { right: PRIOR, votes: 0 };

    /// Whether there are enough votes to go by.
    pub fn is_known(&self) -> bool {
        self.votes >= ENOUGH_VOTES
    }

    /// What a label counts for: 2·right − 1, which is 1 of somebody always right, 0 of a coin toss or worse. Somebody not known
    /// yet counts as [`PRIOR`] says.
    pub fn weight(&self) -> f64 {
        let right = if self.is_known() { self.right } else { PRIOR };
        (2.0 * right - 1.0).max(0.0)
    }
}

/// Dawid & Skene (1979) on pairs with symmetric errors: each pair of answers has a right order, both equally likely; each
/// annotator states it with a chance of their own. A tie states nothing.
pub fn estimate(units: &[Unit], annotators: usize) -> Vec<Reliability> {
    let mut votes = Vec::new();
    let mut counts = vec![0; annotators];
    let mut item = 0;
    for unit in units {
        for (left, right) in unit.answer_pairs() {
            let before = votes.len();
            for opinion in unit.voices() {
                let class = match opinion.ranks[left].cmp(&opinion.ranks[right]) {
                    Ordering::Less => 0,
                    Ordering::Greater => 1,
                    Ordering::Equal => continue,
                };
                if let Some(annotator) = opinion.annotator {
                    votes.push(Vote { item, annotator, class });
                }
            }
            // One vote alone tells nothing of its maker.
            if votes.len() < before + 2 {
                votes.truncate(before);
                continue;
            }
            votes[before..].iter().for_each(|vote| counts[vote.annotator] += 1);
            item += 1;
        }
    }
    let errors = Errors::Symmetric { right: PRIOR * PRIOR_VOTES, wrong: (1.0 - PRIOR) * PRIOR_VOTES };
    let found = dawid_skene::fit(&votes, 2, errors);
    let right = |annotator: usize| found.errors.get(annotator).map_or(PRIOR, |rates| rates[0][0]);
    counts.into_iter().enumerate().map(|(who, votes)| Reliability { right: right(who), votes }).collect()
}
