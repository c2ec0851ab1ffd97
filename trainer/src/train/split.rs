//! Which records are learned from and which are held out.

use std::collections::BTreeMap;

use laurel_records::{DemonstrationRecord, Message, RankingRecord, Split};

use crate::data::Order;

/// Share of the prompts held out when the records do not say.
const HELD_OUT: f64 = 0.1;

/// A record that belongs to a prompt, and by it to a side.
pub(super) trait OfPrompt {
    fn prompt(&self) -> &[Message];
    fn split(&self) -> Option<Split>;

    /// Whether a model can be judged by it.
    fn can_judge(&self) -> bool {
        true
    }
}

impl OfPrompt for DemonstrationRecord {
    fn prompt(&self) -> &[Message] {
        &self.prompt
    }
    fn split(&self) -> Option<Split> {
        self.split
    }
}

impl OfPrompt for RankingRecord {
    fn prompt(&self) -> &[Message] {
        &self.prompt
    }
    fn split(&self) -> Option<Split> {
        self.split
    }
    /// Ties alone put no two answers apart.
    fn can_judge(&self) -> bool {
        self.ranks.iter().any(|rank| *rank != self.ranks[0])
    }
}

/// Records to learn from, and records to judge by.
///
/// Those of the validation split are held out and those of the test split left alone. Where none is of the validation
/// split, a tenth of the prompts that a model can be judged by is held out by the seed: whole prompts, so that none is on both
/// sides.
pub(super) fn divide<R: OfPrompt>(records: Vec<R>, seed: u64) -> (Vec<R>, Vec<R>) {
    let usable: Vec<R> = records.into_iter().filter(|record| record.split() != Some(Split::Test)).collect();
    if usable.iter().any(|record| record.split() == Some(Split::Validation)) {
        return usable.into_iter().partition(|record| record.split() != Some(Split::Validation));
    }
    let prompt_of = prompt_numbers(&usable);
    let prompts = count_of(&prompt_of);
    let mut can_judge = vec![false; prompts];
    usable.iter().zip(&prompt_of).for_each(|(record, &prompt)| can_judge[prompt] |= record.can_judge());
    let judges = can_judge.iter().filter(|can| **can).count();
    if judges < 2 {
        return (usable, vec![]);
    }
    let count = ((judges as f64 * HELD_OUT).round() as usize).max(1);
    let order = Order::new(prompts, seed).epoch(u64::MAX);
    let mut held_out = vec![false; prompts];
    order.iter().filter(|&&prompt| can_judge[prompt]).take(count).for_each(|&prompt| held_out[prompt] = true);
    let mut side = prompt_of.into_iter().map(|prompt| held_out[prompt]);
    usable.into_iter().partition(|_| !side.next().unwrap_or(false))
}

/// Which prompt each record belongs to; the prompts are numbered as they come.
pub(super) fn prompt_numbers<'a, R: OfPrompt + 'a>(records: impl IntoIterator<Item = &'a R>) -> Vec<usize> {
    let mut numbers = BTreeMap::new();
    let number_of = |record: &R| {
        let next = numbers.len();
        *numbers.entry(serde_json::to_string(record.prompt()).unwrap_or_default()).or_insert(next)
    };
    records.into_iter().map(number_of).collect()
}

/// How many prompts those of [`prompt_numbers`] are.
pub(super) fn count_of(prompt_numbers: &[usize]) -> usize {
    prompt_numbers.iter().max().map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use laurel_records::{ResponseRecord, Role};
    use serde_json::Map;

    use super::*;

    fn record(prompt: usize, split: Option<Split>) -> DemonstrationRecord {
        let message = |role, content: String| Message { role, content };
        DemonstrationRecord {
            id: String::new(),
            prompt: vec![message(Role::User, format!("question {prompt}"))],
            completion: vec![message(Role::Assistant, "answer".into())],
            prompt_id: None,
            annotator: None,
            created_at: None,
            split,
            extra: Map::new(),
        }
    }

    #[test]
    fn the_split_of_the_records_is_kept_and_the_test_split_left_alone() {
        let splits = [Some(Split::Train), Some(Split::Validation), Some(Split::Test), None];
        let records = (0..8).map(|number| record(number, splits[number % 4])).collect();
        let (learned, held_out) = divide(records, 0);
        assert_eq!((learned.len(), held_out.len()), (4, 2));
        assert!(held_out.iter().all(|record| record.split == Some(Split::Validation)));
    }

    #[test]
    fn without_a_split_a_tenth_of_the_prompts_is_held_out_whole() {
        // Three answers to each of forty prompts.
        let records: Vec<_> = (0..120).map(|number| record(number % 40, None)).collect();
        let (learned, held_out) = divide(records.clone(), 5);
        assert_eq!((learned.len(), held_out.len()), (108, 12));
        assert!(held_out.iter().all(|held| learned.iter().all(|other| other.prompt != held.prompt)));
        assert_eq!(divide(records.clone(), 5).1, held_out);
        assert_ne!(divide(records, 6).1, held_out);
    }

    /// Two answers to a prompt of its own.
    fn ranking(number: usize, ranks: [u32; 2]) -> RankingRecord {
        let response =
            |content: &str| ResponseRecord { id: None, content: content.into(), model: None, sampling: None };
        RankingRecord {
            id: String::new(),
            prompt: record(number, None).prompt,
            responses: ["a", "b"].map(response).into(),
            ranks: ranks.into(),
            ratings: None,
            rating_scale: None,
            confidence: None,
            margin: None,
            annotator: None,
            seconds: None,
            created_at: None,
            split: None,
            extra: Map::new(),
        }
    }

    #[test]
    fn ties_alone_are_not_held_out_since_nothing_is_judged_by_them() {
        let ranks = |number: usize| if number.is_multiple_of(4) { [1, 2] } else { [1, 1] };
        let records: Vec<_> = (0..12).map(|number| ranking(number, ranks(number))).collect();
        for seed in 0..9 {
            let (learned, held_out) = divide(records.clone(), seed);
            assert_eq!((learned.len(), held_out.len()), (11, 1));
            assert_eq!(held_out[0].ranks, [1, 2], "seed {seed}");
        }
        // The only one that says something is there to learn from.
        let (learned, held_out) = divide(records[..4].to_vec(), 0);
        assert_eq!((learned.len(), held_out.len()), (4, 0));
    }
}
