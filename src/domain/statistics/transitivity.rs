//! Whether preferences fit one order: circular triads, where A beats B, B beats C, and C beats A.

/// The triads of a table of preferences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Triads {
    pub circular: usize,
    /// Triads in which all three pairs are decided.
    pub complete: usize,
}

impl Triads {
    /// Share of circular triads: 0 is one order, 1/4 what coin tosses give (Kendall & Babington Smith 1940). `None` without a
    /// complete triad.
    pub fn share(&self) -> Option<f64> {
        (self.complete > 0).then(|| self.circular as f64 / self.complete as f64)
    }
}

/// Counts triads among `count` things; `beats(a, b)` says whether a was preferred to b in most comparisons of the two.
pub fn triads(count: usize, beats: impl Fn(usize, usize) -> bool) -> Triads {
    let mut triads = Triads::default();
    for a in 0..count {
        for b in a + 1..count {
            for c in b + 1..count {
                if [(a, b), (b, c), (a, c)].iter().any(|(x, y)| beats(*x, *y) == beats(*y, *x)) {
                    continue;
                }
                triads.complete += 1;
                // In one order somebody beats both others; in a circle everybody beats one.
                triads.circular += usize::from(beats(a, b) == beats(b, c) && beats(b, c) == beats(c, a));
            }
        }
    }
    triads
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_none_and_a_circle_is_one() {
        assert_eq!(triads(5, |a, b| a < b), Triads { circular: 0, complete: 10 });
        assert_eq!(triads(3, |a, b| (a + 1) % 3 == b), Triads { circular: 1, complete: 1 });
    }

    #[test]
    fn as_many_as_there_can_be() {
        // Kendall & Babington Smith 1940: at most (n³ − n)/24 for odd n, reached where everybody beats half of the others.
        for n in [5, 7, 9] {
            let found = triads(n, |a, b| (1..=n / 2).contains(&((b + n - a) % n)));
            assert_eq!(found.circular, (n * n * n - n) / 24);
        }
    }

    #[test]
    fn the_count_of_kendall_and_babington_smith() {
        // d = n(n−1)(2n−1)/12 − ½ Σ aᵢ², aᵢ how many the i-th beats; here of an order with two reversals.
        let beats = |a: usize, b: usize| (a < b) != matches!((a, b), (0, 5) | (5, 0) | (1, 3) | (3, 1));
        let scores: Vec<usize> = (0..6).map(|a| (0..6).filter(|b| a != *b && beats(a, *b)).count()).collect();
        let expected = 6.0 * 5.0 * 11.0 / 12.0 - scores.iter().map(|score| (score * score) as f64).sum::<f64>() / 2.0;
        assert_eq!(triads(6, beats).circular as f64, expected);
    }

    #[test]
    fn undecided_pairs_make_no_triad() {
        let found = triads(4, |a, b| a < b && (a, b) != (0, 1));
        assert_eq!(found, Triads { circular: 0, complete: 2 });
        assert_eq!(triads(2, |a, b| a < b).share(), None);
    }
}
