//! Which tokens a truncated law (top-k, top-p) left to draw from.

use std::sync::Arc;

/// The tokens that could be drawn at one place of an answer: what is needed to compute, later and under another model, the
/// probability of the token that was drawn. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept(Form);

/// A nucleus may hold five tokens or most of the vocabulary: whichever form is smaller is held.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// The tokens.
    Few(Arc<[u32]>),
    /// One bit for each token of the vocabulary.
    Many(Arc<[u64]>),
}

impl Kept {
    /// The tokens whose weight, one for each token of the vocabulary, is above zero.
    pub(super) fn of(weights: &[f32]) -> Self {
        let bit = |(at, weight): (usize, &f32)| u64::from(*weight > 0.0) << at;
        let word = |weights: &[f32]| weights.iter().enumerate().map(bit).fold(0, |word, bit| word | bit);
        let bits: Vec<u64> = weights.chunks(64).map(word).collect();
        let count: usize = bits.iter().map(|word| word.count_ones() as usize).sum();
        if count * 32 > weights.len() {
            return Self(Form::Many(bits.into()));
        }
        let kept = (0u32..).zip(weights).filter(|(_, weight)| **weight > 0.0).map(|(token, _)| token);
        Self(Form::Few(kept.collect()))
    }

    /// Sets `removed`, which has a place for each token of the vocabulary, to whether the token was cut off.
    pub fn mark_removed(&self, removed: &mut [bool]) {
        match &self.0 {
            Form::Few(tokens) => {
                removed.fill(true);
                tokens.iter().for_each(|&token| removed[token as usize] = false);
            }
            Form::Many(bits) => {
                removed.iter_mut().enumerate().for_each(|(at, removed)| *removed = bits[at / 64] >> (at % 64) & 1 == 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_tokens_and_many_are_found_again() {
        for (vocabulary, every) in [(1000, 97), (1000, 3), (65, 64), (64, 1), (1, 1)] {
            let weights: Vec<f32> = (0..vocabulary).map(|at| if at % every == 0 { 0.5 } else { 0.0 }).collect();
            let mut removed = vec![true; vocabulary];
            removed[vocabulary - 1] = false;
            Kept::of(&weights).mark_removed(&mut removed);
            let expected: Vec<bool> = weights.iter().map(|weight| *weight == 0.0).collect();
            assert_eq!(removed, expected, "every {every} of {vocabulary}");
        }
    }
}
