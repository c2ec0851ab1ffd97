//! Two answers head to head: how sure somebody is that one is better, on nine points.

/// Nine points between two answers: 1 says that the first is far better, 9 that the second is, 5 that they are about the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confidence(u8);

/// A number that is none of the nine points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not from 1 to 9")]
pub struct NotAPoint(pub i64);

impl Confidence {
    /// The middle: about the same.
    const EVEN: u8 = 5;

    /// # Errors
    /// Not a number from 1 to 9.
    pub fn new(point: i64) -> Result<Self, NotAPoint> {
        u8::try_from(point).ok().filter(|point| (1..=9).contains(point)).map(Confidence).ok_or(NotAPoint(point))
    }

    /// 1 to 9.
    pub fn point(self) -> u8 {
        self.0
    }

    /// What is meant where only a side was chosen: that it is better, plainly; or neither.
    pub fn of_ranks([first, second]: [u32; 2]) -> Self {
        Confidence(match first.cmp(&second) {
            std::cmp::Ordering::Less => 3,
            std::cmp::Ordering::Equal => Self::EVEN,
            std::cmp::Ordering::Greater => 7,
        })
    }

    /// The same said of the two answers the other way round.
    #[must_use]
    pub fn turned(self) -> Self {
        Confidence(2 * Self::EVEN - self.0)
    }

    /// How much better the better one is: 0 (about the same) to 4.
    pub fn margin(self) -> u8 {
        self.0.abs_diff(Self::EVEN)
    }

    /// The ranks that follow: (1, 2), (2, 1) or a tie.
    pub fn ranks(self) -> [u32; 2] {
        match self.0.cmp(&Self::EVEN) {
            std::cmp::Ordering::Less => [1, 2],
            std::cmp::Ordering::Equal => [1, 1],
            std::cmp::Ordering::Greater => [2, 1],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confidence(point: i64) -> Confidence {
        Confidence::new(point).expect("a point")
    }

    #[test]
    fn there_are_nine_points() {
        assert_eq!((0..=10).filter(|point| Confidence::new(*point).is_ok()).count(), 9);
        assert_eq!(Confidence::new(300), Err(NotAPoint(300)));
    }

    #[test]
    fn a_side_alone_says_that_it_is_better() {
        for ranks in [[1, 2], [1, 1], [2, 1]] {
            assert_eq!(Confidence::of_ranks(ranks).ranks(), ranks);
        }
        assert_eq!([[1, 2], [2, 1]].map(|ranks| Confidence::of_ranks(ranks).margin()), [2, 2]);
    }

    #[test]
    fn turning_the_answers_round_turns_the_ranks_and_keeps_the_margin() {
        for point in 1..=9 {
            let (one, other) = (confidence(point), confidence(point).turned());
            assert_eq!(one.ranks(), {
                let [first, second] = other.ranks();
                [second, first]
            });
            assert_eq!(one.margin(), other.margin());
            assert_eq!(other.turned(), one);
        }
    }

    #[test]
    fn the_ends_are_four_points_from_the_middle() {
        let said: Vec<([u32; 2], u8)> = [1, 4, 5, 6, 9].map(confidence).map(|one| (one.ranks(), one.margin())).into();
        assert_eq!(said, [([1, 2], 4), ([1, 2], 1), ([1, 1], 0), ([2, 1], 1), ([2, 1], 4)]);
    }
}
