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
    model::{Decoder, ModelDirectory, Precision, RewardModel},
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

/// Prompts on their way to being answered: models and prompts that nothing more is to be refused of.
pub struct Answering {
    method: BestOfN,
    seed: u64,
    tokenizer: ModelTokenizer,
    decoder: Decoder,
    reward: RewardModel,
    reading: Reading,
    scoring: Scoring,
    prompts: Vec<PromptRecord>,
    /// Each prompt's tokens.
    ids: Vec<Vec<u32>>,
    /// Prompts that were too long for the policy or the reward model and lost their beginning.
    pub prompts_cut: usize,
}

impl BestOfN {
    /// Reads models and prompts, of which all are answered, whatever their split. Refuses prompts without a token before anything
    /// is answered.
    pub fn open(&self, inputs: &OnlineInputs, device: &Device, seed: u64) -> Result<Answering, TrainError> {
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
        let rows = (self.together() * self.n).min(self.batch).min(ids.len() * self.n);
        let decoder = ready_to_write(&decoder, rows, self.sampling.max_new_tokens);
        Ok(Answering { method: *self, seed, tokenizer, decoder, reward, reading, scoring, prompts, ids, prompts_cut })
    }

    /// Prompts that are answered at once.
    fn together(&self) -> usize {
        (self.batch / self.n).max(1)
    }
}

impl Answering {
    pub fn prompts(&self) -> &[PromptRecord] {
        &self.prompts
    }

    /// What is to be said of a policy that has no token to end an answer with.
    pub fn without_an_end(&self) -> Option<String> {
        self.tokenizer.stop_ids().is_empty().then(|| self.scoring.without_an_end())
    }

    /// Answers all prompts but the first `kept` and gives each to `done`, in their order, as soon as it is answered. `progress` gets
    /// the number of answers that there are, those to the first `kept` among them.
    ///
    /// An answer is a function of model, prompt, its place in the file, settings and seed: it is what `generate` gives for them,
    /// unless the reward model reads less than the policy, so that a long prompt is cut shorter. The last digits of a logit may
    /// depend on how many rows are written together (`batch`), and where two tokens are alike to that degree, the choice between
    /// them; a run that goes on after `kept` prompts writes the same rows together as one from the beginning.
    ///
    /// # Errors
    /// What `done` gives ends the work, and so does a score or a logit of the policy that is no number.
    pub fn run<E: From<TrainError>>(
        &self,
        kept: usize,
        progress: &mut dyn FnMut(usize),
        mut done: impl FnMut(Answered) -> Result<(), E>,
    ) -> Result<(), E> {
        let (n, together) = (self.method.n, self.method.together());
        for (number, group) in self.ids.chunks(together).enumerate() {
            let first = number * together;
            // Those of its prompts that were answered before.
            let there = kept.saturating_sub(first).min(group.len());
            if there == group.len() {
                continue;
            }
            let mut told = |ended: usize| progress((first * n + ended).max(kept * n));
            let candidates = self.candidates(first, group, &mut told)?;
            for (at, candidates) in candidates.chunks(n).enumerate().skip(there) {
                let (prompt, best) = (self.prompts[first + at].clone(), best(candidates)?);
                done(Answered { prompt, best, candidates: candidates.to_vec() })?;
            }
        }
        Ok(())
    }

    /// The answers to a group of prompts, which begins with the prompt of number `first`, and their scores.
    fn candidates(
        &self,
        first: usize,
        group: &[Vec<u32>],
        told: &mut dyn FnMut(usize),
    ) -> Result<Vec<Candidate>, TrainError> {
        let BestOfN { n, sampling, batch, .. } = self.method;
        let rows: Vec<Vec<u32>> = group.iter().flat_map(|ids| vec![ids.clone(); n]).collect();
        let seeds: Vec<u64> =
            (0..rows.len()).map(|row| row_seed(self.seed, (first + row / n) as u64, (row % n) as u64)).collect();
        let (stop, pad) = (self.tokenizer.stop_ids(), self.tokenizer.pad_id());
        let drawn = generate_in_batches(&self.decoder, &rows, &sampling, stop, pad, &seeds, batch, false, told);
        // A reward model may well give a number to what means nothing.
        if drawn.iter().any(Generated::means_nothing) {
            return Err(DataError::NoLaw(NO_LAW).into());
        }
        let episodes: Vec<Episode> =
            rows.into_iter().zip(drawn).map(|(prompt, answer)| Episode::new(prompt, answer)).collect();
        let finished: Vec<bool> = episodes.iter().map(|episode| episode.finished).collect();
        let scores = self.scoring.apply(&raw_scores(&self.reward, &episodes, &self.reading), &finished, &mut None);
        let candidate = |(episode, score): (&Episode, f64)| Candidate {
            text: self.tokenizer.decode(&episode.answer, true).trim().to_owned(),
            tokens: episode.answer.len(),
            finished: episode.finished,
            score,
        };
        Ok(episodes.iter().zip(scores).map(candidate).collect())
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
