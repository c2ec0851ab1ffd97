//! Whether the place of an answer on the page decides its rank: which place the best answer stood at, against chance.

use super::chi_square::{self, ChiSquare};

/// Where best answers stood, by how many answers a page had.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Places(Vec<Vec<u32>>);

impl Places {
    /// Notes that of `answers` answers the one at `place` (0 is the first shown) was ranked best. Rankings with several best
    /// answers say nothing of the place and are not noted.
    pub fn note(&mut self, answers: usize, place: usize) {
        if place >= answers {
            return;
        }
        if self.0.len() <= answers {
            self.0.resize(answers + 1, Vec::new());
        }
        let counts = &mut self.0[answers];
        counts.resize(answers, 0);
        counts[place] += 1;
    }

    /// Pages noted.
    pub fn total(&self) -> u32 {
        self.0.iter().flatten().sum()
    }

    /// How often the best answer stood at each place, over pages of any number of answers, and how often chance would have it
    /// there.
    pub fn by_place(&self) -> Vec<(u32, f64)> {
        let most = self.0.iter().map(Vec::len).max().unwrap_or(0);
        (0..most)
            .map(|place| {
                let pages = self.0.iter().filter(|counts| counts.len() > place);
                pages.fold((0, 0.0), |(count, expected), counts| {
                    let total: u32 = counts.iter().sum();
                    (count + counts[place], expected + f64::from(total) / counts.len() as f64)
                })
            })
            .collect()
    }

    /// Share of the pages on which the first answer was the best, and what chance gives. `None` where nothing was noted.
    pub fn first(&self) -> Option<(f64, f64)> {
        let total = f64::from(self.total());
        let (count, expected) = *self.by_place().first()?;
        Some((f64::from(count) / total, expected / total))
    }

    /// Pearson's test that every place is equally likely; pages with as many answers make one test, and the tests are added.
    /// `None` where pages are too few.
    pub fn test(&self) -> Option<ChiSquare> {
        chi_square::sum(self.0.iter().filter_map(|counts| {
            let counts: Vec<f64> = counts.iter().copied().map(f64::from).collect();
            chi_square::uniform(&counts)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn always_the_first_is_seen_and_every_place_alike_is_not() {
        let (mut always, mut even) = (Places::default(), Places::default());
        for page in 0..40 {
            always.note(4, 0);
            even.note(4, page % 4);
        }
        assert_eq!(always.first(), Some((1.0, 0.25)));
        // 40 pages: (30² + 3·10²) / 10.
        let test = always.test().expect("enough pages");
        assert_eq!((test.statistic, test.degrees), (120.0, 3));
        assert!(test.p < 1e-20);
        assert_eq!(even.test().expect("enough pages").p, 1.0);
    }

    #[test]
    fn pages_of_different_lengths_are_tested_apart_and_added() {
        let mut places = Places::default();
        for _ in 0..15 {
            places.note(2, 0);
            places.note(3, 2);
        }
        let test = places.test().expect("enough pages");
        // (7.5² · 2) / 7.5 and (5² · 2 + 10²) / 5.
        assert_eq!((test.statistic, test.degrees), (45.0, 3));
        assert_eq!(places.by_place(), [(15, 12.5), (0, 12.5), (15, 5.0)]);
    }

    #[test]
    fn few_pages_are_no_evidence() {
        let mut places = Places::default();
        places.note(4, 0);
        places.note(4, 9);
        assert_eq!((places.total(), places.test()), (1, None));
        assert_eq!(Places::default().first(), None);
    }
}
