//! The score of an answer, from what the reward model says of it to what a method learns from.

use serde::{Deserialize, Serialize};

use super::{
    super::reward::scores_of,
    episode::{Episode, Reading},
    rollout::{ScoreScale, mean_and_deviation},
};
use crate::model::RewardModel;

/// What becomes of the reward model's scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scoring {
    /// Shifted and scaled by the mean and the deviation of the reference policy's own scores.
    pub normalise: bool,
    /// Cut to within this distance of zero; 0 leaves them.
    pub clip: f64,
    pub missing_eos_penalty: f64,
    /// An answer without an end scores −`missing_eos_penalty`, whatever the reward model says; else that is taken off.
    pub missing_eos_replaces: bool,
}

/// Mean and deviation of the reference policy's scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scale([f64; 2]);

impl Scoring {
    /// The scores as a method sees them; `raw` with the zero of the reward model's scale taken off.
    ///
    /// The first call fixes `scale`, if scores are normalised: the first rollout is the reference policy's own (Ziegler et
    /// al. 2019, section 2.1). Cutting comes before the penalty, so that the penalty always counts in full.
    pub fn apply(&self, raw: &[f64], finished: &[bool], scale: &mut Option<Scale>) -> Vec<f64> {
        let mut scores = raw.to_vec();
        if self.normalise {
            let Scale([mean, deviation]) = *scale.get_or_insert_with(|| Scale(mean_and_deviation(raw)));
            scores.iter_mut().for_each(|score| *score = (*score - mean) / unit(deviation));
        }
        if self.clip > 0.0 {
            scores.iter_mut().for_each(|score| *score = score.clamp(-self.clip, self.clip));
        }
        for (score, finished) in scores.iter_mut().zip(finished) {
            match (finished, self.missing_eos_replaces) {
                (true, _) => {}
                // OpenAI's code (Ziegler et al. 2019) and Huang et al. 2024, with −1.
                (false, true) => *score = -self.missing_eos_penalty,
                // TRL.
                (false, false) => *score -= self.missing_eos_penalty,
            }
        }
        scores
    }
}

impl Scoring {
    /// What is to be said of a policy that has no token to end an answer with, whose answers are all cut.
    pub fn without_an_end(&self) -> String {
        let fined = match (self.missing_eos_penalty, self.missing_eos_replaces) {
            (_, true) => ", and scores minus missing_eos_penalty whatever it says",
            (0.0, false) => "",
            _ => ", and loses missing_eos_penalty of its score",
        };
        format!(
            "the policy's files name no end of text (eos_token), and its chat template ends no turn with a special token: \
             every answer is cut at max_new_tokens{fined}"
        )
    }

    /// How these scores follow from what the reward model's head gives, whose scale has its zero at `mean`.
    pub fn scale(&self, mean: f64, scale: Option<Scale>) -> ScoreScale {
        match scale.filter(|_| self.normalise) {
            Some(Scale([of_reference, deviation])) => ScoreScale { zero: mean + of_reference, unit: unit(deviation) },
            None => ScoreScale { zero: mean, unit: 1.0 },
        }
    }
}

/// What scores are divided by. Scores that are all the same, or of one answer alone, have no deviation: they are only shifted.
/// Divided by next to nothing, those of later rollouts would be a million times as large.
fn unit(deviation: f64) -> f64 {
    if deviation > 1e-6 { deviation } else { 1.0 }
}

/// What the reward model says of whole answers, at the last token of each, less the zero of its scale.
pub fn raw_scores(model: &RewardModel, episodes: &[Episode], reading: &Reading) -> Vec<f64> {
    let texts: Vec<Vec<u32>> = episodes.iter().map(Episode::text).collect();
    let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
    let mean = model.score_mean();
    let mut scores = scores_of(model, &texts, reading.pad_id, reading.tokens);
    scores.iter_mut().for_each(|score| *score -= mean);
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Scoring =
        Scoring { normalise: false, clip: 0.0, missing_eos_penalty: 1.0, missing_eos_replaces: false };

    #[test]
    fn an_answer_without_an_end_is_fined_or_gets_the_fine_for_its_score() {
        let finished = [true, false];
        assert_eq!(PLAIN.apply(&[2.0, 3.0], &finished, &mut None), [2.0, 2.0]);
        let replaced = Scoring { missing_eos_replaces: true, ..PLAIN };
        assert_eq!(replaced.apply(&[2.0, 3.0], &finished, &mut None), [2.0, -1.0]);
    }

    #[test]
    fn of_a_policy_without_an_end_it_is_said_what_its_answers_cost() {
        let said = |scoring: Scoring| scoring.without_an_end();
        assert!(said(PLAIN).ends_with("max_new_tokens, and loses missing_eos_penalty of its score"));
        assert!(said(Scoring { missing_eos_replaces: true, ..PLAIN }).ends_with("whatever it says"));
        assert!(said(Scoring { missing_eos_penalty: 0.0, ..PLAIN }).ends_with("is cut at max_new_tokens"));
    }

    #[test]
    fn scores_are_normalised_by_the_first_rollout_and_cut_before_the_fine() {
        let scoring = Scoring { normalise: true, clip: 1.5, ..PLAIN };
        let mut scale = None;
        // Mean 3, unbiased deviation 2.
        assert_eq!(scoring.apply(&[1.0, 3.0, 5.0], &[true; 3], &mut scale), [-1.0, 0.0, 1.0]);
        assert_eq!(scoring.apply(&[9.0, 4.0, 9.0], &[true, true, false], &mut scale), [1.5, 0.5, 0.5]);
    }

    #[test]
    fn scores_without_a_deviation_are_shifted_alone_and_so_are_values() {
        let scoring = Scoring { normalise: true, ..PLAIN };
        for first in [&[3.0][..], &[3.0, 3.0, 3.0]] {
            let mut scale = None;
            assert!(scoring.apply(first, &vec![true; first.len()], &mut scale).iter().all(|score| *score == 0.0));
            assert_eq!(scoring.apply(&[2.0, 5.0], &[true; 2], &mut scale), [-1.0, 2.0]);
            assert_eq!(scoring.scale(0.5, scale), ScoreScale { zero: 3.5, unit: 1.0 });
        }
    }
}
