//! What a policy answers to prompts that are only for measuring.

use laurel_records::PromptRecord;
use serde::{Deserialize, Serialize};

use crate::{
    data::{DataError, ModelTokenizer},
    generate::{Generated, NO_LAW, SamplingSettings, generate, ready_to_write},
    model::Decoder,
};

/// One sampled answer to each prompt, with the tokens that it was sampled as.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Tokens of prompt and answer together.
    pub ids: Vec<Vec<u32>>,
    /// Where each answer begins.
    pub starts: Vec<usize>,
    /// The answers as people read them.
    pub texts: Vec<String>,
    /// Which ended by themselves.
    pub finished: Vec<bool>,
}

/// One of [`Answers`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    pub ids: Vec<u32>,
    pub start: usize,
    pub text: String,
    pub finished: bool,
}

impl Answers {
    pub fn push(&mut self, answer: Answer) {
        let Answer { ids, start, text, finished } = answer;
        self.ids.push(ids);
        self.starts.push(start);
        self.texts.push(text);
        self.finished.push(finished);
    }
}

/// What decides the answers to prompts.
#[derive(Debug, Clone, Copy)]
pub struct Answering<'a> {
    pub decoder: &'a Decoder,
    pub tokenizer: &'a ModelTokenizer,
    pub prompts: &'a [PromptRecord],
    pub settings: &'a SamplingSettings,
    pub seed: u64,
    /// Prompts that are answered together.
    pub batch: usize,
}

impl Answering<'_> {
    /// Samples one answer to each prompt but the first `kept`, in their order. The answer to a prompt is a function of model,
    /// prompt, settings and seed; the last digits of a logit may depend on how many rows are written together, and where two tokens
    /// are alike to that degree, the choice between them: so the batches are the same, however many answers are `kept`. Refuses
    /// answers that leave no room for a prompt, and fails where the model's logits are no finite numbers: nobody is to judge or
    /// compare what it writes then.
    pub fn run<E: From<DataError>>(&self, kept: usize, each: &mut dyn FnMut(Answer) -> Result<(), E>) -> Result<(), E> {
        let Self { tokenizer, settings, .. } = *self;
        let room = tokenizer.room_beside(settings.max_new_tokens)?;
        // Also those with an answer: which of them are too long is told at the end.
        let prompts = self.prompts.iter().map(|prompt| tokenizer.prompt_within(&prompt.prompt, room));
        let prompts = prompts.collect::<Result<Vec<_>, _>>()?;
        let batch = self.batch.max(1);
        let decoder = ready_to_write(self.decoder, batch.min(prompts.len()), settings.max_new_tokens);
        let (stop, pad) = (tokenizer.stop_ids(), tokenizer.pad_id());
        for (number, group) in prompts.chunks(batch).enumerate() {
            let first = number * batch;
            if kept >= first + group.len() {
                continue;
            }
            let seeds: Vec<u64> = (0..group.len()).map(|row| self.seed.wrapping_add((first + row) as u64)).collect();
            let generated = generate(&decoder, group, settings, stop, pad, &seeds, &mut |_| {});
            if generated.iter().any(Generated::means_nothing) {
                return Err(DataError::NoLaw(NO_LAW).into());
            }
            for (prompt, generated) in group.iter().zip(generated).skip(kept.saturating_sub(first)) {
                each(Answer {
                    start: prompt.len(),
                    text: tokenizer.decode(&generated.tokens, true).trim().to_owned(),
                    finished: generated.finished,
                    ids: [prompt.as_slice(), &generated.tokens].concat(),
                })?;
            }
        }
        Ok(())
    }
}

/// All answers of [`Answering`], `batch` at a time. `progress` gets the number of prompts done.
pub fn sample_answers(
    decoder: &Decoder,
    tokenizer: &ModelTokenizer,
    prompts: &[PromptRecord],
    settings: &SamplingSettings,
    seed: u64,
    batch: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Answers, DataError> {
    let mut answers = Answers::default();
    Answering { decoder, tokenizer, prompts, settings, seed, batch }.run(0, &mut |answer| {
        answers.push(answer);
        progress(answers.ids.len());
        Ok::<_, DataError>(())
    })?;
    Ok(answers)
}
