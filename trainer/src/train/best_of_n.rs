//! Best of n: a policy answers n times and a reward model chooses, with nothing learned (Stiennon et al. 2020, appendix G.3;
//! Nakano et al. 2021). Answers, scores and the fine for answers without an end are those of the methods that learn.

use burn::tensor::Device;
use laurel_records::PromptRecord;

use super::{
    OnlineInputs, TrainError,
    online::{Episode, Reading, Scoring, raw_scores, same_tokens},
};
use crate::{
    data::{DataError, ModelTokenizer, records},
    generate::{Generated, NO_LAW, SamplingSettings, generate_in_batches, ready_to_write, row_seed},
    model::{ModelDirectory, Precision},
};

/// Tokens that go through the reward model at once.
const TOKENS_AT_ONCE: usize = 4096;

/// How answers are drawn and chosen.
#[derive(Debug, Clone, Copy)]
pub struct BestOfN {
    /// Answers to each prompt.
    pub n: usize,
    pub sampling: SamplingSettings,
    /// What the matrix products of policy and reward model are computed in.
    pub precision: Precision,
    /// Taken off the score of an answer that does not end within `max_new_tokens`.
    pub missing_eos_penalty: f64,
    /// Answers written at once.
    pub batch: usize,
}

/// One of the n answers to a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub text: String,
    /// Tokens, with the end of text.
    pub tokens: usize,
    /// It ended by itself.
    pub finished: bool,
    pub score: f64,
}

/// A prompt with its answers in the order that they were drawn.
#[derive(Debug, Clone)]
pub struct Answered {
    pub prompt: PromptRecord,
    pub candidates: Vec<Candidate>,
    /// Which scores highest; the first of several.
    pub best: usize,
}

/// What became of all prompts.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    pub answered: Vec<Answered>,
    /// Prompts that were too long for the policy or the reward model and lost their beginning.
    pub prompts_cut: usize,
    /// What is to be said of a policy that has no token to end an answer with.
    pub without_an_end: Option<String>,
}

impl BestOfN {
    /// Answers all prompts of the inputs, whatever their split. An answer is a function of model, prompt, its place in the
    /// file, settings and seed: it is what `generate` gives for them, unless the reward model reads less than the policy, so that
    /// a long prompt is cut shorter. The last digits of a logit may depend on how many rows are written together (`batch`), and
    /// where two tokens are alike to that degree, the choice between them. `progress` gets the number of answers done and of all.
    /// Fails where a score or the policy's logits are no numbers, and refuses prompts without a token before anything is
    /// answered.
    pub fn run(
        &self,
        inputs: &OnlineInputs,
        device: &Device,
        seed: u64,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Chosen, TrainError> {
        let OnlineInputs { policy, reward, prompts } = inputs;
        let directory = ModelDirectory::open(policy)?;
        let judge = ModelDirectory::open(reward)?;
        same_tokens(&directory, &judge)?;
        // Answers are drawn by the one and read by the other: both must have room.
        let tokenizer = ModelTokenizer::open(&directory)?.with_context_length(judge.config().context_length);
        let prompts = records::prompts(prompts)?;
        let room = tokenizer.room_beside(self.sampling.max_new_tokens)?;
        let ids: Vec<Vec<u32>> = prompts
            .iter()
            .map(|prompt| tokenizer.prompt_within(&prompt.prompt, room))
            .collect::<Result<_, DataError>>()?;
        let prompts_cut = tokenizer.cuts();
        if let Some(first) = ids.iter().position(Vec::is_empty) {
            let (id, nothing) = (&prompts[first].id, "there is nothing to answer to");
            return Err(TrainError::Input(match ids.iter().filter(|ids| ids.is_empty()).count() {
                1 => format!("{nothing} the prompt {id:?}: the tokenizer makes no token of it"),
                count => {
                    format!("{nothing} {count} prompts: the tokenizer makes no token of them, the first {id:?}")
                }
            }));
        }
        let decoder = directory.load_decoder(device)?.with_precision(self.precision);
        let reward = judge.load_reward_model(device)?.with_precision(self.precision);
        let reading = Reading {
            device: device.clone(),
            pad_id: tokenizer.pad_id(),
            tokens: TOKENS_AT_ONCE,
            temperature: self.sampling.temperature,
        };
        let scoring = Scoring {
            normalise: false,
            clip: 0.0,
            missing_eos_penalty: self.missing_eos_penalty,
            missing_eos_replaces: false,
        };
        let total = ids.len() * self.n;
        let together = (self.batch / self.n).max(1);
        let rows = (together * self.n).min(self.batch).min(total);
        let decoder = ready_to_write(&decoder, rows, self.sampling.max_new_tokens);
        let mut answered = Vec::with_capacity(prompts.len());
        let mut prompts = prompts.into_iter();
        for (number, group) in ids.chunks(together).enumerate() {
            let rows: Vec<Vec<u32>> = group.iter().flat_map(|ids| vec![ids.clone(); self.n]).collect();
            let first = number * together;
            let seeds: Vec<u64> = (0..rows.len())
                .map(|row| row_seed(seed, (first + row / self.n) as u64, (row % self.n) as u64))
                .collect();
            let mut told = |ended: usize| progress(first * self.n + ended, total);
            let (stop, pad) = (tokenizer.stop_ids(), tokenizer.pad_id());
            let drawn =
                generate_in_batches(&decoder, &rows, &self.sampling, stop, pad, &seeds, self.batch, false, &mut told);
            // A reward model may well give a number to what means nothing.
            if drawn.iter().any(Generated::means_nothing) {
                return Err(DataError::NoLaw(NO_LAW).into());
            }
            let episodes: Vec<Episode> =
                rows.into_iter().zip(drawn).map(|(prompt, answer)| Episode::new(prompt, answer)).collect();
            let finished: Vec<bool> = episodes.iter().map(|episode| episode.finished).collect();
            let scores = scoring.apply(&raw_scores(&reward, &episodes, &reading), &finished, &mut None);
            let candidates: Vec<Candidate> = episodes
                .iter()
                .zip(scores)
                .map(|(episode, score)| Candidate {
                    text: tokenizer.decode(&episode.answer, true).trim().to_owned(),
                    tokens: episode.answer.len(),
                    finished: episode.finished,
                    score,
                })
                .collect();
            for (candidates, prompt) in candidates.chunks(self.n).zip(prompts.by_ref()) {
                answered.push(Answered { prompt, best: best(candidates)?, candidates: candidates.to_vec() });
            }
        }
        let without_an_end = tokenizer.stop_ids().is_empty().then(|| scoring.without_an_end());
        Ok(Chosen { answered, prompts_cut, without_an_end })
    }
}

/// Which scores highest; the first of several. Nothing is higher than NaN, so that the first answer would stay the best with it,
/// whatever the others are worth.
fn best(candidates: &[Candidate]) -> Result<usize, TrainError> {
    if candidates.iter().any(|candidate| !candidate.score.is_finite()) {
        return Err(TrainError::NotFinite { what: "score of an answer" });
    }
    let mut best = 0;
    for (at, candidate) in candidates.iter().enumerate() {
        if candidate.score > candidates[best].score {
            best = at;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_highest_is_the_best_and_none_is_where_a_score_is_no_number() {
        let of = |scores: [f64; 4]| {
            let candidate = |score| Candidate { text: String::new(), tokens: 1, finished: true, score };
            best(&scores.map(candidate)).map_err(|error| error.to_string())
        };
        assert_eq!(of([0.5, 2.0, -1.0, 2.0]), Ok(1));
        for scores in [[f64::NAN, 2.0, -1.0, 2.0], [0.5, 2.0, f64::INFINITY, 2.0]] {
            assert_eq!(of(scores), Err("the score of an answer is not a finite number".into()));
        }
    }
}
