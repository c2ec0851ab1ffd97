//! What a policy answers to prompts that are only for measuring.

use laurel_records::PromptRecord;

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

/// Samples one answer to each prompt, `batch` at a time. The answer to a prompt is a function of model, prompt, settings
/// and seed; the last digits of a logit may depend on how many rows are written together, and where two tokens are alike to that
/// degree, the choice between them. `progress` gets the number of prompts done. Refuses answers that leave no room for a prompt,
/// and fails where the model's logits are no finite numbers: nobody is to judge or compare what it writes then.
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
    let room = tokenizer.room_beside(settings.max_new_tokens)?;
    let decoder = ready_to_write(decoder, batch.min(prompts.len()), settings.max_new_tokens);
    for batch in prompts.chunks(batch.max(1)) {
        let start = answers.ids.len();
        let ids =
            batch.iter().map(|prompt| tokenizer.prompt_within(&prompt.prompt, room)).collect::<Result<Vec<_>, _>>()?;
        let seeds: Vec<u64> = (0..batch.len()).map(|row| seed.wrapping_add((start + row) as u64)).collect();
        let (stop, pad) = (tokenizer.stop_ids(), tokenizer.pad_id());
        let generated = generate(&decoder, &ids, settings, stop, pad, &seeds, &mut |_| {});
        if generated.iter().any(Generated::means_nothing) {
            return Err(DataError::NoLaw(NO_LAW));
        }
        for (prompt, generated) in ids.into_iter().zip(generated) {
            answers.texts.push(tokenizer.decode(&generated.tokens, true).trim().to_owned());
            answers.starts.push(prompt.len());
            answers.finished.push(generated.finished);
            answers.ids.push([prompt, generated.tokens].concat());
        }
        progress(answers.ids.len());
    }
    Ok(answers)
}
