//! `generate`: candidate answers to prompts.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use laurel_records::{PromptRecord, ResponseRecord, ResponsesRecord};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Common, Progress, WrongInput,
    kept_lines::{KeptLines, ResumeArgs},
    numbers, output,
    precision::PrecisionArgs,
    profiling::ProfileArgs,
    sampling::SamplingArgs,
};
use crate::{
    data::{DataError, ModelTokenizer, records},
    generate::{Generated, NO_LAW, SamplingSettings, generate_in_batches, ready_to_write, row_seed},
    model::{Decoder, ModelDirectory, Precision},
    terminal::{self, counted},
    train::{Identity, digest_of_data},
};

/// Batches that are made of the same prompts, those of like length together; then their lines are written. More would leave less
/// padding, and a run that is killed loses at most the answers of so many.
const BATCHES_TOGETHER: usize = 8;

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
    /// Where the answers go (JSONL, one line a prompt); - is standard output. What is finished lies in FILE.partial until all is
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
    #[command(flatten)]
    resume: ResumeArgs,
}

/// The answering under way.
struct Answering<'a> {
    command: &'a Generate,
    common: &'a Common,
    settings: SamplingSettings,
    /// The name that the answers carry as their model.
    name: String,
    tokenizer: ModelTokenizer,
    prompts: Vec<PromptRecord>,
    /// Each prompt's tokens.
    ids: Vec<Vec<u32>>,
}

/// What is told at the end, of the answers to one prompt or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    answers: usize,
    unfinished: usize,
    tokens: usize,
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
        let name = self.name.clone().unwrap_or_else(|| model_name(&self.model));
        let answering = Answering { command: &self, common, settings, name, tokenizer, prompts, ids };
        let identity = || answering.identity(&model, precision);
        let (mut lines, kept) = KeptLines::open::<Counts>(&self.out, self.resume, identity)?;
        // The float32 weights are not needed beside those that it answers with.
        let decoder = model.load_decoder(&device)?.with_precision(precision).to_answer();

        let progress = common.progress((answering.prompts.len() * answering.samples()) as u64, "Answers");
        let start = Instant::now();
        let written = answering.run(&decoder, &mut lines, kept.len(), &progress);
        progress.finish();
        let written = written?;
        let seconds = start.elapsed().as_secs_f64();
        lines.finish()?;
        self.profile.tell(common.json);
        answering.report(Counts::of_all(&kept), written, seconds)
    }
}

impl Answering<'_> {
    fn samples(&self) -> usize {
        self.command.samples as usize
    }

    /// What decides the answers. Not `--batch`: what a row gets depends on its prompt and its seed.
    fn identity(&self, model: &ModelDirectory, precision: Precision) -> anyhow::Result<Identity> {
        let inputs = [
            ("model".to_owned(), model.digest()?),
            ("prompts".to_owned(), digest_of_data(&self.command.prompts, &self.prompts)?),
        ];
        let mut settings = sampling_map(&self.settings);
        settings.insert("samples".into(), json!(self.command.samples));
        settings.insert("precision".into(), json!(precision));
        settings.insert("name".into(), json!(self.name));
        Ok(Identity { stage: "generate".into(), inputs: inputs.into(), seed: self.common.seed, settings })
    }

    /// Answers all prompts but the first `kept`, and writes the records in the order of the prompts as they come.
    ///
    /// A resumed run makes the same batches as one that was let be, so that every answer is the same, to the last digit of a logit.
    fn run(
        &self,
        decoder: &Decoder,
        lines: &mut KeptLines,
        kept: usize,
        progress: &Progress,
    ) -> anyhow::Result<Counts> {
        let (samples, batch) = (self.samples(), self.command.batch.max(1));
        let rows = (self.prompts.len() * samples).min(batch);
        let decoder = &ready_to_write(decoder, rows, self.settings.max_new_tokens);
        let together = (batch * BATCHES_TOGETHER / samples).max(1);
        let mut written = Counts::default();
        if kept > 0 {
            progress.resumed_at((kept * samples) as u64);
        }
        for (number, group) in self.ids.chunks(together).enumerate() {
            let first = number * together;
            // Those of its prompts whose lines are there.
            let there = kept.saturating_sub(first).min(group.len());
            if there == group.len() {
                continue;
            }
            let reached = &mut |ended: usize| progress.reached((first * samples + ended).max(kept * samples) as u64);
            let answers = self.answers(decoder, first, group, reached);
            if answers.iter().any(Generated::means_nothing) {
                anyhow::bail!("{NO_LAW}");
            }
            for (at, answers) in answers.chunks(samples).enumerate().skip(there) {
                let counts = Counts::of(answers);
                lines.add(&self.record(&self.prompts[first + at], answers), &counts)?;
                written.add(counts);
            }
        }
        Ok(written)
    }

    /// The answers to a group of prompts, which begins with the prompt of number `first`.
    fn answers(
        &self,
        decoder: &Decoder,
        first: usize,
        group: &[Vec<u32>],
        reached: &mut dyn FnMut(usize),
    ) -> Vec<Generated> {
        let samples = self.samples();
        let rows: Vec<Vec<u32>> = group.iter().flat_map(|ids| vec![ids.clone(); samples]).collect();
        let seeds: Vec<u64> = (0..rows.len())
            .map(|row| row_seed(self.common.seed, (first + row / samples) as u64, (row % samples) as u64))
            .collect();
        let (stop, pad) = (self.tokenizer.stop_ids(), self.tokenizer.pad_id());
        generate_in_batches(decoder, &rows, &self.settings, stop, pad, &seeds, self.command.batch, false, reached)
    }

    fn record(&self, prompt: &PromptRecord, answers: &[Generated]) -> ResponsesRecord {
        let (name, seed) = (&self.name, self.common.seed);
        let response = |answer: &Generated| response(answer, &self.tokenizer, name, &self.settings, seed);
        ResponsesRecord {
            prompt_id: records::given_id(prompt),
            prompt: prompt.prompt.clone(),
            responses: answers.iter().map(response).collect(),
            extra: Map::new(),
        }
    }

    /// `kept`: of an earlier run; `written`: in `seconds` of this one.
    fn report(&self, kept: Counts, written: Counts, seconds: f64) -> anyhow::Result<()> {
        let (command, common) = (self.command, self.common);
        let (cut, empty) = (self.tokenizer.cuts(), self.ids.iter().filter(|ids| ids.is_empty()).count());
        if output::is_stdout(&command.out) {
            // Standard output is the answers'.
            for text in odd_prompts(cut, empty).filter(|_| !common.quiet) {
                terminal::say(format!("laurel-trainer: {text}"));
            }
            return Ok(());
        }
        let rate = written.tokens as f64 / seconds.max(1e-9);
        let all = Counts::of_all(&[kept, written]);
        let mut summary = format!(
            "{} to {} in {} ({}, {rate:.0} a second)",
            counted(all.answers, "answer"),
            counted(self.prompts.len(), "prompt"),
            command.out.display(),
            counted(all.tokens, "token"),
        );
        if kept.answers > 0 {
            summary += &format!("\n{} of an earlier run among them", counted(kept.answers, "answer"));
        }
        if all.unfinished > 0 {
            summary += &format!("\n{}", stopped(all.unfinished, all.answers, command.sampling.max_new_tokens));
        }
        for text in odd_prompts(cut, empty) {
            summary += &format!("\n{text}");
        }
        let fields = json!({"out": command.out.to_string_lossy(), "answers": all.answers, "unfinished": all.unfinished,
            "prompts_cut": cut, "prompts_empty": empty, "tokens": all.tokens, "tokens_per_second": rate,
            "seconds": seconds});
        common.result(&summary, fields)
    }
}

impl Counts {
    fn of(answers: &[Generated]) -> Self {
        // To a prompt without a token nothing was begun.
        let unfinished = answers.iter().filter(|answer| !answer.finished && !answer.tokens.is_empty()).count();
        Self { answers: answers.len(), unfinished, tokens: answers.iter().map(|answer| answer.tokens.len()).sum() }
    }

    fn of_all(counts: &[Self]) -> Self {
        let mut all = Self::default();
        counts.iter().for_each(|one| all.add(*one));
        all
    }

    fn add(&mut self, other: Self) {
        self.answers += other.answers;
        self.unfinished += other.unfinished;
        self.tokens += other.tokens;
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

/// The settings of sampling by their names.
pub(super) fn sampling_map(settings: &SamplingSettings) -> Map<String, Value> {
    json!(settings).as_object().cloned().unwrap_or_default()
}

/// The name of a model that was given none: the last part of its path.
pub(super) fn model_name(path: &Path) -> String {
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
