//! `generate`: candidate answers to prompts.

use std::{path::PathBuf, time::Instant};

use laurel_records::{PromptRecord, ResponseRecord, ResponsesRecord};
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use super::{
    Common, WrongInput, numbers, output, precision::PrecisionArgs, profiling::ProfileArgs, sampling::SamplingArgs,
};
use crate::{
    data::{DataError, ModelTokenizer, records},
    generate::{Generated, NO_LAW, SamplingSettings, generate_in_batches, row_seed},
    model::ModelDirectory,
    terminal::{self, counted},
};

/// Sample candidate answers to prompts
#[derive(Debug, clap::Args)]
pub struct Generate {
    /// A language model with a tokenizer
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Prompts (JSONL); - is standard input
    #[arg(long, value_name = "FILE")]
    prompts: PathBuf,
    /// Answers to each prompt
    #[arg(long, default_value_t = 4, value_name = "K", value_parser = numbers::within(1..=u32::MAX))]
    samples: u32,
    /// Where the answers go (JSONL, one line a prompt); - is standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The name that the answers carry as their model; by default the last part of MODEL
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Answers written at once: more are faster and need more memory
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = numbers::whole::<usize>)]
    batch: usize,
    #[command(flatten)]
    precision: PrecisionArgs,
    #[command(flatten)]
    profile: ProfileArgs,
}

impl Generate {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let common = &common.writing_to(&self.out);
        let settings = self.sampling.settings()?;
        output::ensure_other_file(&self.out, "--prompts", &self.prompts)?;
        output::prepare(&self.out)?;
        let device = common.device.open()?;
        self.profile.start(&device);
        let precision = self.precision.on(&device)?;
        let model = ModelDirectory::open(&self.model)?;
        let tokenizer = ModelTokenizer::open(&model)?;
        let prompts = records::prompts(&self.prompts)?;
        let ids = prompt_ids(&prompts, &tokenizer, &settings)?;
        let empty = ids.iter().filter(|ids| ids.is_empty()).count();
        // The float32 weights are not needed beside those that it answers with.
        let decoder = model.load_decoder(&device)?.with_precision(precision).to_answer();

        let samples = self.samples as usize;
        let rows: Vec<Vec<u32>> = ids.iter().flat_map(|ids| vec![ids.clone(); samples]).collect();
        let seeds: Vec<u64> =
            (0..rows.len()).map(|row| row_seed(common.seed, (row / samples) as u64, (row % samples) as u64)).collect();
        let progress = common.progress(rows.len() as u64, "Answers");
        let start = Instant::now();
        let answers = generate_in_batches(
            &decoder,
            &rows,
            &settings,
            tokenizer.stop_ids(),
            tokenizer.pad_id(),
            &seeds,
            self.batch,
            false,
            &mut |ended| progress.reached(ended as u64),
        );
        progress.finish();
        let seconds = start.elapsed().as_secs_f64();
        if answers.iter().any(Generated::means_nothing) {
            anyhow::bail!("{NO_LAW}");
        }

        let name = self.name.clone().unwrap_or_else(|| model_name(&self.model));
        let lines = prompts.into_iter().zip(answers.chunks(samples)).map(|(prompt, answers)| {
            let responses =
                answers.iter().map(|answer| response(answer, &tokenizer, &name, &settings, common.seed)).collect();
            let prompt_id = records::given_id(&prompt);
            ResponsesRecord { prompt_id, prompt: prompt.prompt, responses, extra: Map::new() }
        });
        output::write_lines(&self.out, lines)?;
        self.profile.tell(common.json);
        if output::is_stdout(&self.out) {
            // Standard output is the answers'.
            for text in odd_prompts(tokenizer.cuts(), empty).filter(|_| !common.quiet) {
                terminal::say(format!("laurel-trainer: {text}"));
            }
            return Ok(());
        }
        let tokens: usize = answers.iter().map(|answer| answer.tokens.len()).sum();
        self.report(common, &answers, tokens, [tokenizer.cuts(), empty], seconds)
    }

    fn report(
        &self,
        common: &Common,
        answers: &[Generated],
        tokens: usize,
        [cut, empty]: [usize; 2],
        seconds: f64,
    ) -> anyhow::Result<()> {
        // To a prompt without a token nothing was begun.
        let unfinished = answers.iter().filter(|answer| !answer.finished && !answer.tokens.is_empty()).count();
        let rate = tokens as f64 / seconds.max(1e-9);
        let mut summary = format!(
            "{} to {} in {} ({}, {rate:.0} a second)",
            counted(answers.len(), "answer"),
            counted(answers.len() / self.samples as usize, "prompt"),
            self.out.display(),
            counted(tokens, "token"),
        );
        if unfinished > 0 {
            summary += &format!("\n{}", stopped(unfinished, answers.len(), self.sampling.max_new_tokens));
        }
        for text in odd_prompts(cut, empty) {
            summary += &format!("\n{text}");
        }
        let fields = json!({"out": self.out.to_string_lossy(), "answers": answers.len(), "unfinished": unfinished,
            "prompts_cut": cut, "prompts_empty": empty, "tokens": tokens, "tokens_per_second": rate,
            "seconds": seconds});
        common.result(&summary, fields)
    }
}

/// What is to be said of answers, `cut` of all, that have as many tokens as they may have.
fn stopped(cut: usize, all: usize, tokens: usize) -> String {
    let tokens = counted(tokens, "token");
    match (cut, all) {
        (1, 1) => format!("it stopped at {tokens}, before its end"),
        (1, _) => format!("1 of them stopped at {tokens}, before its end"),
        _ => format!("{cut} of them stopped at {tokens}, before their end"),
    }
}

/// What is to be said of prompts that were cut, and of those that have no token.
fn odd_prompts(cut: usize, empty: usize) -> impl Iterator<Item = String> {
    let cut = (cut > 0).then(|| cut_prompts(cut, "the model"));
    let empty = (empty > 0).then(|| match empty {
        1 => "the answers to 1 prompt are empty: the tokenizer makes no token of it".to_owned(),
        _ => format!("the answers to {empty} prompts are empty: the tokenizer makes no token of these prompts"),
    });
    cut.into_iter().chain(empty)
}

/// What is to be said of prompts that were longer than what reads them.
pub(super) fn cut_prompts(count: usize, reader: &str) -> String {
    match count {
        1 => format!("1 prompt was too long for {reader} and lost its beginning"),
        _ => format!("{count} prompts were too long for {reader} and lost their beginning"),
    }
}

/// Prompts as tokens, cut so that the context has room for the answer.
fn prompt_ids(
    prompts: &[PromptRecord],
    tokenizer: &ModelTokenizer,
    settings: &SamplingSettings,
) -> anyhow::Result<Vec<Vec<u32>>> {
    let context = tokenizer.context_length();
    if settings.max_new_tokens >= context {
        let why = format!("max-new-tokens must be below {context}, the model's context: the prompt needs room too");
        return Err(WrongInput(why).into());
    }
    let limit = context - settings.max_new_tokens;
    // On all cores; of several conversations that the template refuses, the first is told.
    let ids: Vec<_> = prompts.par_iter().map(|prompt| tokenizer.prompt_within(&prompt.prompt, limit)).collect();
    Ok(ids.into_iter().collect::<Result<_, DataError>>()?)
}

fn response(
    answer: &Generated,
    tokenizer: &ModelTokenizer,
    model: &str,
    settings: &SamplingSettings,
    seed: u64,
) -> ResponseRecord {
    let mut sampling = json!(settings);
    sampling["seed"] = json!(seed);
    // An answer that was cut off reads as a bad one; whoever looks at the record can tell.
    sampling["finished"] = Value::Bool(answer.finished);
    ResponseRecord {
        id: None,
        content: tokenizer.decode(&answer.tokens, true).trim().to_string(),
        model: Some(model.into()),
        sampling: Some(sampling),
    }
}

/// The name of a model that was given none: the last part of its path.
pub(super) fn model_name(path: &std::path::Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    whole.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_and_one_prompt_are_told_of_in_the_singular() {
        assert_eq!(stopped(1, 1, 1), "it stopped at 1 token, before its end");
        assert_eq!(stopped(1, 4, 8), "1 of them stopped at 8 tokens, before its end");
        assert_eq!(stopped(2, 4, 8), "2 of them stopped at 8 tokens, before their end");
        let said: Vec<String> = odd_prompts(1, 1).chain(odd_prompts(2, 0)).collect();
        assert_eq!(
            said,
            [
                "1 prompt was too long for the model and lost its beginning",
                "the answers to 1 prompt are empty: the tokenizer makes no token of it",
                "2 prompts were too long for the model and lost their beginning",
            ]
        );
    }
}
