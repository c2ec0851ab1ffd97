//! What a ranking with ties is, and which pairs (better, worse) it says.

use super::comparison::Confidence;

/// Why numbers are not a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RankingError {
    #[error("a ranking needs at least two answers, here there are {answers}")]
    TooFew { answers: usize },
    /// `position` counts from 0.
    #[error("rank 0 of answer {position}: ranks begin with 1")]
    Zero { position: usize },
    /// Neither competition ranking (1, 2, 2, 4) nor dense ranking (1, 2, 2, 3).
    #[error("rank {rank} of answer {position} leaves a gap: {expected} would come next")]
    Gap { position: usize, rank: u32, expected: u32 },
}

/// An order of K ≥ 2 answers, ties included, as competition ranks (1, 2, 2, 4): 1 is best, an answer's rank is one more than
/// the number of answers that are better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranking {
    ranks: Vec<u32>,
}

/// Two answers, by position, of which the first was ranked better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    pub better: usize,
    pub worse: usize,
    /// The difference of the two ranks, at least 1.
    pub margin: u32,
}

impl Ranking {
    /// One rank an answer. Takes competition ranking (1, 2, 2, 4), and dense ranking (1, 2, 2, 3), which it makes the former.
    ///
    /// # Errors
    /// Fewer than two answers, a rank of zero, or a gap that neither way of counting explains; the error names the answer.
    pub fn from_ranks(ranks: &[u32]) -> Result<Self, RankingError> {
        if ranks.len() < 2 {
            return Err(RankingError::TooFew { answers: ranks.len() });
        }
        if let Some(position) = ranks.iter().position(|rank| *rank == 0) {
            return Err(RankingError::Zero { position });
        }
        let competition: Vec<u32> =
            ranks.iter().map(|rank| 1 + count(ranks.iter().filter(|other| *other < rank))).collect();
        let mut tiers = ranks.to_vec();
        tiers.sort_unstable();
        tiers.dedup();
        let dense = tiers.iter().zip(1..).all(|(rank, place)| *rank == place);
        if dense || competition == ranks {
            return Ok(Ranking { ranks: competition });
        }
        // The best answer that is out of place in both ways of counting.
        let (position, rank, expected) = ranks
            .iter()
            .zip(&competition)
            .enumerate()
            .filter(|(_, (rank, right))| rank != right)
            .map(|(position, (rank, right))| (position, *rank, *right))
            .min_by_key(|(_, rank, _)| *rank)
            .unwrap_or((0, 0, 1));
        Err(RankingError::Gap { position, rank, expected })
    }

    /// From groups of positions, best first; the answers of a group are tied. Every position 0..K must stand in one group.
    pub fn from_tiers(tiers: &[Vec<usize>]) -> Result<Self, RankingError> {
        let answers: usize = tiers.iter().map(Vec::len).sum();
        let mut ranks = vec![0; answers];
        let mut better = 0;
        for tier in tiers {
            for position in tier {
                if let Some(rank) = ranks.get_mut(*position) {
                    *rank = better + 1;
                }
            }
            better += count(tier.iter());
        }
        Self::from_ranks(&ranks)
    }

    /// Competition ranks, one an answer, by position.
    pub fn ranks(&self) -> &[u32] {
        &self.ranks
    }

    /// Groups of tied positions, best first.
    pub fn tiers(&self) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.ranks.len()).collect();
        order.sort_by_key(|position| self.ranks[*position]);
        order.chunk_by(|left, right| self.ranks[*left] == self.ranks[*right]).map(<[usize]>::to_vec).collect()
    }

    /// Every pair (better, worse): K(K−1)/2 without ties; answers tied with each other make none.
    pub fn pairs(&self) -> impl Iterator<Item = Pair> + '_ {
        pairs(&self.ranks)
    }
}

impl From<Confidence> for Ranking {
    fn from(confidence: Confidence) -> Self {
        Ranking { ranks: confidence.ranks().to_vec() }
    }
}

/// Every pair (better, worse) of a ranking with ties. K answers without ties give K(K−1)/2; tied answers give none.
pub fn pairs(ranks: &[u32]) -> impl Iterator<Item = Pair> + '_ {
    ranks.iter().enumerate().flat_map(move |(better, high)| {
        ranks.iter().enumerate().filter(move |(_, low)| *low > high).map(move |(worse, low)| Pair {
            better,
            worse,
            margin: low - high,
        })
    })
}

fn count<I: Iterator>(items: I) -> u32 {
    items.fold(0, |sum, _| sum + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranking(ranks: &[u32]) -> Ranking {
        Ranking::from_ranks(ranks).expect("a ranking")
    }

    #[test]
    fn four_answers_without_ties_make_six_pairs() {
        let pairs: Vec<(usize, usize, u32)> =
            ranking(&[2, 1, 4, 3]).pairs().map(|pair| (pair.better, pair.worse, pair.margin)).collect();
        assert_eq!(pairs, [(0, 2, 2), (0, 3, 1), (1, 0, 1), (1, 2, 3), (1, 3, 2), (3, 2, 1)]);
    }

    #[test]
    fn tied_answers_make_no_pair_with_each_other() {
        let pairs: Vec<(usize, usize)> = ranking(&[1, 2, 2, 4]).pairs().map(|pair| (pair.better, pair.worse)).collect();
        assert_eq!(pairs, [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)]);
        assert_eq!(ranking(&[1, 1, 1]).pairs().count(), 0);
    }

    #[test]
    fn dense_ranks_become_competition_ranks() {
        assert_eq!(ranking(&[1, 2, 2, 3]).ranks(), [1, 2, 2, 4]);
        assert_eq!(ranking(&[3, 1, 1, 2]).ranks(), [4, 1, 1, 3]);
        assert_eq!(ranking(&[1, 2, 2, 4]).ranks(), [1, 2, 2, 4]);
    }

    #[test]
    fn what_is_no_ranking_is_refused_by_name() {
        assert_eq!(Ranking::from_ranks(&[1]), Err(RankingError::TooFew { answers: 1 }));
        assert_eq!(Ranking::from_ranks(&[1, 0]), Err(RankingError::Zero { position: 1 }));
        assert_eq!(Ranking::from_ranks(&[1, 3]), Err(RankingError::Gap { position: 1, rank: 3, expected: 2 }));
        assert_eq!(Ranking::from_ranks(&[2, 2]), Err(RankingError::Gap { position: 0, rank: 2, expected: 1 }));
        assert_eq!(Ranking::from_ranks(&[1, 2, 2, 5]), Err(RankingError::Gap { position: 3, rank: 5, expected: 4 }));
    }

    #[test]
    fn tiers_and_ranks_say_the_same() {
        let tiers = vec![vec![3], vec![0, 2], vec![1]];
        let ranking = Ranking::from_tiers(&tiers).expect("a ranking");
        assert_eq!(ranking.ranks(), [2, 4, 2, 1]);
        assert_eq!(ranking.tiers(), tiers);
    }
}
