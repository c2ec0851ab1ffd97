//! Known answers: how far what somebody said agrees with what is known.

/// Pairs of a known answer, and those that were ordered the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Agreement {
    pub agreed: i32,
    pub pairs: i32,
}

impl Agreement {
    /// Compares ranks by position. A pair that the known answer ties says nothing; a tie where it has an order is not the same.
    pub fn of(known: &[i32], given: &[i32]) -> Self {
        let mut agreement = Agreement::default();
        let both: Vec<(i32, i32)> = known.iter().copied().zip(given.iter().copied()).collect();
        for (at, first) in both.iter().enumerate() {
            for second in both.iter().skip(at + 1).filter(|second| second.0 != first.0) {
                agreement.pairs += 1;
                if first.0.cmp(&second.0) == first.1.cmp(&second.1) {
                    agreement.agreed += 1;
                }
            }
        }
        agreement
    }

    /// Whether at least this share, in percent, was agreed with.
    pub fn reaches(self, percent: i32) -> bool {
        i64::from(self.agreed) * 100 >= i64::from(percent) * i64::from(self.pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(known: &[i32], given: &[i32]) -> (i32, i32) {
        let agreement = Agreement::of(known, given);
        (agreement.agreed, agreement.pairs)
    }

    #[test]
    fn the_share_of_known_pairs_is_counted() {
        assert_eq!(of(&[1, 2, 3, 4], &[1, 2, 3, 4]), (6, 6));
        assert_eq!(of(&[1, 2, 3, 4], &[4, 3, 2, 1]), (0, 6));
        assert_eq!(of(&[1, 2, 3, 4], &[2, 1, 3, 4]), (5, 6));
    }

    #[test]
    fn known_ties_say_nothing_and_given_ties_are_no_order() {
        assert_eq!(of(&[1, 2, 2], &[1, 2, 3]), (2, 2));
        assert_eq!(of(&[1, 2, 3], &[1, 1, 1]), (0, 3));
        assert_eq!(of(&[1, 1], &[1, 2]), (0, 0));
    }

    #[test]
    fn the_mark_is_reached_from_its_share_on() {
        assert!(Agreement { agreed: 4, pairs: 5 }.reaches(80));
        assert!(!Agreement { agreed: 3, pairs: 4 }.reaches(80));
        assert!(Agreement::default().reaches(80));
    }
}
