//! Who gets which task: whether there is room, in which order answers are shown.

use serde::{Deserialize, Serialize};

/// What a task asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Write the assistant's answer.
    Demonstration,
    /// Put answers in order.
    Ranking,
    /// Say which of two answers is better, and how sure that is.
    Comparison,
    /// Write a prompt.
    Prompt,
}

impl TaskKind {
    /// Every kind.
    pub const ALL: [TaskKind; 4] = [TaskKind::Ranking, TaskKind::Demonstration, TaskKind::Comparison, TaskKind::Prompt];

    /// The word that the database uses.
    pub fn as_str(self) -> &'static str {
        match self {
            TaskKind::Demonstration => "demonstration",
            TaskKind::Ranking => "ranking",
            TaskKind::Comparison => "comparison",
            TaskKind::Prompt => "prompt",
        }
    }
}

/// A word that names no kind of task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind of task “{0}”")]
pub struct UnknownKind(pub String);

impl std::str::FromStr for TaskKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        TaskKind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

/// Whether one more person can have a task: labels that count and running leases together stay within the overlap.
pub fn has_room(overlap: i32, labels: i32, live_leases: i64) -> bool {
    i64::from(labels) + live_leases < i64::from(overlap)
}

/// A random order of `answers` positions: place on the page → position in the task. `random` gives a number below its
/// argument (Fisher–Yates, every order equally likely).
pub fn shown_order(answers: usize, mut random: impl FnMut(usize) -> usize) -> Vec<i32> {
    let mut order: Vec<i32> = (0..).take(answers).collect();
    for last in (1..answers).rev() {
        order.swap(last, random(last + 1).min(last));
    }
    order
}

/// The letter of an answer by its place on the page: A to I.
pub fn letter(place: usize) -> char {
    (b'A'..=b'Z').nth(place).map_or('?', char::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_take_room_as_labels_do() {
        assert!(has_room(3, 1, 1));
        assert!(!has_room(3, 1, 2));
        assert!(!has_room(1, 1, 0));
    }

    #[test]
    fn every_order_of_three_comes_from_one_pair_of_numbers() {
        let mut orders = Vec::new();
        for first in 0..3 {
            for second in 0..2 {
                let mut numbers = [first, second].into_iter();
                orders.push(shown_order(3, |_| numbers.next().unwrap_or(0)));
            }
        }
        orders.sort();
        orders.dedup();
        assert_eq!(orders.len(), 6);
    }
}
