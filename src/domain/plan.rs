//! The plan of a project: in which shares its kinds of task are handed out, and which is next for somebody.

/// A kind of task in a project, as one person could be given it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    /// Weight of the kind in its project's plan.
    pub weight: i32,
    /// Sum of the weights of the project's plan.
    pub total: i32,
    /// Tasks of it among the last that the person was given.
    pub recent: i64,
}

impl Portion {
    /// How much it is owed: its share over the odd number that comes after what was given (the method of Sainte-Laguë, which
    /// deals seats out in proportion, the largest quotient first).
    fn quotient(self) -> f64 {
        f64::from(self.weight) / f64::from(self.total.max(1)) / (2.0 * self.recent as f64 + 1.0)
    }
}

/// Puts portions in the order in which to look for a task: the one that is owed most comes first, equal ones stay as they are.
/// What has no weight is left out.
pub fn in_turn<T>(mut offers: Vec<T>, portion: impl Fn(&T) -> Portion) -> Vec<T> {
    offers.retain(|offer| portion(offer).weight > 0);
    offers.sort_by(|one, other| portion(other).quotient().total_cmp(&portion(one).quotient()));
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is handed out in `rounds` rounds, by kind, when there is enough of everything.
    fn dealt(weights: [i32; 3], rounds: usize) -> [i64; 3] {
        let mut given = [0; 3];
        for _ in 0..rounds {
            let order = in_turn(vec![0, 1, 2], |kind: &usize| Portion {
                weight: weights[*kind],
                total: weights.iter().sum(),
                recent: given[*kind],
            });
            given[order[0]] += 1;
        }
        given
    }

    #[test]
    fn kinds_are_handed_out_in_proportion_to_their_weights() {
        assert_eq!(dealt([1, 1, 1], 24), [8, 8, 8]);
        assert_eq!(dealt([6, 3, 1], 20), [12, 6, 2]);
        assert_eq!(dealt([0, 1, 0], 5), [0, 5, 0]);
    }

    #[test]
    fn seats_are_dealt_out_as_in_the_textbook() {
        // The worked example of the Sainte-Laguë method: 53, 24 and 23 thousand votes, 7 seats.
        assert_eq!(dealt([53, 24, 23], 7), [3, 2, 2]);
    }

    #[test]
    fn equal_weights_take_turns() {
        let mut given = [0; 2];
        let turns: Vec<usize> = (0..6)
            .map(|_| {
                let portion = |kind: &usize| Portion { weight: 5, total: 10, recent: given[*kind] };
                let next = in_turn(vec![0, 1], portion)[0];
                given[next] += 1;
                next
            })
            .collect();
        assert_eq!(turns, [0, 1, 0, 1, 0, 1]);
    }
}
