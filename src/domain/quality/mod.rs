//! The quality of a project's rankings: how far people agree, how reliable each is, whose work looks hasty.

mod pace;
mod people;
mod reliability;
mod units;

use std::collections::BTreeMap;

use time::Date;
use uuid::Uuid;

pub use pace::{LEAST_SECONDS_A_BYTE, is_too_fast};
pub use people::{Pair, Person};
pub use reliability::{ENOUGH_VOTES, PRIOR, Reliability};

use super::{
    krippendorff::{self, Distance},
    statistics::{
        agreement::{self, PairCounts},
        kendall,
        position_bias::Places,
        proportion::{self, Proportion},
    },
};

/// Prompts below which an estimate is called one of few.
pub const ENOUGH_PROMPTS: usize = 10;

/// A ranking that stands.
#[derive(Debug, Clone)]
pub struct Label {
    pub prompt: Uuid,
    /// Index of its maker in the list of annotators; nobody's where a file named none.
    pub annotator: Option<usize>,
    /// The answers with their ranks, in the order of the record.
    pub answers: Vec<Uuid>,
    pub ranks: Vec<u32>,
    /// Monday of the week (UTC) in which it was given.
    pub week: Date,
    /// That its first version took; of a choice in a conversation that was corrected, none.
    pub seconds: Option<f64>,
    /// Size of the answers' texts.
    pub bytes: u64,
    /// Place on the page → position in `answers`, where the page was ours.
    pub shown_order: Vec<usize>,
}

/// A week's agreement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Week {
    pub monday: Date,
    pub agreement: Proportion,
    pub prompts: usize,
}

/// What a project's labels say of their quality. Nothing where too little is known to say it.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub rankings: usize,
    /// Sets of answers that two people or more ranked, and the prompts that they belong to.
    pub shared: usize,
    pub shared_prompts: usize,
    /// Pairs of answers that two people both decided: the share in which they chose the same one. The interval is clustered by
    /// prompt.
    pub agreement: Option<Proportion>,
    /// The same over all pairs, a tie being an outcome of its own.
    pub agreement_with_ties: Option<Proportion>,
    /// Mean τ-b of two people's rankings, with its interval.
    pub tau: Option<(f64, Option<(f64, f64)>)>,
    /// Krippendorff's α of pairs (first better, second better, tied) and of ranks.
    pub alpha_nominal: Option<f64>,
    pub alpha_ordinal: Option<f64>,
    pub weeks: Vec<Week>,
    pub pairs: Vec<Pair>,
    /// One entry an annotator, in the order of their indices.
    pub people: Vec<Person>,
    pub places: Places,
}

/// Sums of one cluster.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    pairs: PairCounts,
    tau: f64,
    taus: u32,
}

impl Sums {
    fn add(&mut self, pairs: PairCounts) {
        self.pairs += pairs;
        if let Some(tau) = kendall::tau_b(&pairs) {
            self.tau += tau;
            self.taus += 1;
        }
    }

    fn decided(&self) -> (f64, f64) {
        (f64::from(self.pairs.same), f64::from(self.pairs.decided()))
    }

    fn with_ties(&self) -> (f64, f64) {
        (f64::from(self.pairs.same + self.pairs.tied_by_both), f64::from(self.pairs.all()))
    }

    fn taus(&self) -> (f64, f64) {
        (self.tau, f64::from(self.taus))
    }
}

/// Everything that the quality page shows, of `annotators` people.
pub fn report(labels: &[Label], annotators: usize) -> Report {
    let units = units::shared(labels);
    let mut by_prompt: BTreeMap<Uuid, Sums> = BTreeMap::new();
    let mut by_week: BTreeMap<(Date, Uuid), Sums> = BTreeMap::new();
    let mut ledger = people::Ledger::new(annotators);
    for unit in &units {
        for (one, other) in unit.meetings() {
            let pairs = agreement::compare(&one.ranks, &other.ranks);
            by_prompt.entry(unit.prompt).or_default().add(pairs);
            by_week.entry((one.week.max(other.week), unit.prompt)).or_default().add(pairs);
            ledger.meet(unit.prompt, one.annotator, other.annotator, pairs);
        }
    }
    let reliability = reliability::estimate(&units, annotators);
    let mut places = Places::default();
    for label in labels {
        if let Some((answers, place)) = people::best_place(label) {
            places.note(answers, place);
        }
    }
    Report {
        rankings: labels.len(),
        shared: units.len(),
        shared_prompts: by_prompt.len(),
        agreement: proportion::clustered(by_prompt.values().map(Sums::decided)),
        agreement_with_ties: proportion::clustered(by_prompt.values().map(Sums::with_ties)),
        tau: proportion::clustered_mean(by_prompt.values().map(Sums::taus)),
        alpha_nominal: krippendorff::alpha(&units::pair_labels(&units), Distance::Nominal),
        alpha_ordinal: krippendorff::alpha(&units::rank_labels(&units), Distance::Ordinal),
        weeks: weeks(&by_week),
        pairs: ledger.pairs(),
        people: ledger.people(labels, &reliability),
        places,
    }
}

/// Reliability of each annotator by index, without the rest of the report.
pub fn reliabilities(labels: &[Label], annotators: usize) -> Vec<Reliability> {
    reliability::estimate(&units::shared(labels), annotators)
}

fn weeks(by_week: &BTreeMap<(Date, Uuid), Sums>) -> Vec<Week> {
    let mut weeks: BTreeMap<Date, Vec<(f64, f64)>> = BTreeMap::new();
    for ((monday, _), sums) in by_week {
        weeks.entry(*monday).or_default().push(sums.decided());
    }
    weeks
        .into_iter()
        .filter_map(|(monday, clusters)| {
            let prompts = clusters.len();
            Some(Week { monday, prompts, agreement: proportion::clustered(clusters)? })
        })
        .collect()
}

#[cfg(test)]
mod tests;
