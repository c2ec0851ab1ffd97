//! A sampling job: K answers of one model to each prompt, brought to the server as they come.

use anyhow::Context;
use laurel_records::{PromptRecord, ResponseRecord, ResponsesRecord, Stage};
use serde_json::{Map, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{stages, uncertainty::Doubter, work::Work, worker::Found};
use crate::{
    data::ModelTokenizer,
    generate::{Engine, EngineLimits, Generated, NO_LAW, Request, SamplingSettings, answer_all},
    model::ModelDirectory,
    terminal::{counted, each_of},
};

/// Answers that are sampled together, and about as many that go to the server together.
const BATCH: usize = 32;

/// Samples what the server still lacks. Taken up again after a break, it goes on with the prompts that have no answers yet,
/// and gives each the answers that it would have had.
pub fn run(work: &Work) -> anyhow::Result<Found> {
    let policy = work.job.policy.as_ref().context("the job names no model to sample from")?;
    let local = work.fetch(policy)?;
    let directory = ModelDirectory::open(&local.path)?;
    let tokenizer = ModelTokenizer::open(&directory)?;
    let decoder = work.decoder(&directory)?;
    let prompts = work.client.prompts_to_answer(work.job.id)?;
    let per_prompt = work.job.answers_per_prompt.max(1) as usize;
    let (answers, asked) = (counted(per_prompt, "answer"), each_of(prompts.len(), "prompt"));
    work.log(format!("{answers} of {} to {asked}.", policy.name));
    let total = prompts.len() as u64;
    work.reports.progress(Stage::Sample, 0, total);
    let mut counts = Counts::default();
    let doubter = match work.job.reward.as_ref().filter(|_| work.settings.evaluate.waiting > 0) {
        Some(reward) => Some(Doubter::open(work, &work.fetch(reward)?)?),
        None => None,
    };
    let mut engine = Engine::new(&decoder, tokenizer.stop_ids(), tokenizer.pad_id(), limits(per_prompt));
    // In low precision the engine keeps rounded weights of its own.
    drop(decoder);
    let requests = requests(work, &tokenizer, &prompts, per_prompt)?;
    let empty = requests.iter().filter(|request| request.prompt.is_empty()).count();
    if empty > 0 {
        let prompts = counted(empty, "prompt");
        work.warn(format!("The answers to {prompts} are empty: the tokenizer makes no token of what is asked."));
    }
    let seeds: Vec<Vec<u64>> = requests.iter().map(|request| request.seeds.clone()).collect();
    let mut ready: Vec<ResponsesRecord> = vec![];
    let done = |place: usize, answers: Vec<Generated>| {
        // Nobody is to rank them.
        if answers.iter().any(Generated::means_nothing) {
            anyhow::bail!("{NO_LAW}");
        }
        counts.add(&answers);
        ready.push(record(work, &tokenizer, &prompts[place], &answers, &seeds[place]));
        if ready.len() * per_prompt >= BATCH || counts.prompts == prompts.len() {
            work.client.responses(work.job.id, work.job.lease, &ready)?;
            if let Some(doubter) = &doubter {
                counts.told += doubter.tell(work, &ready)?;
            }
            ready.clear();
            work.reports.progress(Stage::Sample, counts.prompts as u64, total);
            work.reports.metric(Stage::Sample, counts.prompts as u64, "sample/length", counts.mean_length());
        }
        Ok(())
    };
    answer_all(&mut engine, requests, || work.check(), done)?;
    counts.tell(work, &tokenizer);
    let mut found = Found::default();
    found.summary.insert("prompts".to_owned(), json!(counts.prompts));
    found.summary.insert("answers".to_owned(), json!(counts.answers));
    if doubter.is_some() {
        found.summary.insert("prompts_scored".to_owned(), json!(counts.told));
    }
    Ok(found)
}

/// What was sampled so far.
#[derive(Debug, Default)]
struct Counts {
    prompts: usize,
    answers: usize,
    tokens: usize,
    unfinished: usize,
    /// Prompts of which the server knows how unsure the reward model is.
    told: usize,
}

impl Counts {
    /// Counts the answers to one prompt.
    fn add(&mut self, answers: &[Generated]) {
        self.prompts += 1;
        self.answers += answers.len();
        self.tokens += answers.iter().map(|answer| answer.tokens.len()).sum::<usize>();
        // To a prompt without a token nothing was begun.
        self.unfinished += answers.iter().filter(|answer| !answer.finished && !answer.tokens.is_empty()).count();
    }

    fn mean_length(&self) -> f64 {
        self.tokens as f64 / self.answers.max(1) as f64
    }

    fn tell(&self, work: &Work, tokenizer: &ModelTokenizer) {
        work.log(format!("{}, {:.0} tokens each.", counted(self.answers, "answer"), self.mean_length()));
        if self.unfinished > 0 {
            let were = if self.unfinished == 1 { "was" } else { "were" };
            let answers = counted(self.unfinished, "answer");
            let most = counted(work.settings.sampling.max_new_tokens, "token");
            work.warn(format!("{answers} {were} cut at {most} (sampling: max_new_tokens)."));
        }
        match tokenizer.cuts() {
            0 => {}
            1 => work.warn("1 conversation was longer than the context and lost its beginning."),
            cut => work.warn(format!("{cut} conversations were longer than the context and lost their beginning.")),
        }
    }
}

/// All answers to one prompt are written together, however many they are.
fn limits(per_prompt: usize) -> EngineLimits {
    EngineLimits { rows: BATCH.max(per_prompt), ..EngineLimits::default() }
}

/// What is asked of the model: each prompt, cut so that the context has room for the answer.
fn requests(
    work: &Work,
    tokenizer: &ModelTokenizer,
    prompts: &[PromptRecord],
    per_prompt: usize,
) -> anyhow::Result<Vec<Request>> {
    let settings = work.settings.sampling;
    let room = stages::room(work, tokenizer)?;
    let request = |prompt: &PromptRecord| {
        let seed = |number| seed_of(work.job.id, &prompt.id, number, work.settings.seed);
        let tokens = tokenizer.prompt_within(&prompt.prompt, room)?;
        Ok(Request::new(tokens, settings, (0..per_prompt).map(seed).collect()))
    };
    prompts.iter().map(request).collect()
}

/// The answers to one prompt as the server takes them.
fn record(
    work: &Work,
    tokenizer: &ModelTokenizer,
    prompt: &PromptRecord,
    answers: &[Generated],
    seeds: &[u64],
) -> ResponsesRecord {
    let settings = &work.settings.sampling;
    let model = work.job.policy.as_ref().map(|record| record.name.as_str()).unwrap_or_default();
    let responses = answers.iter().zip(seeds);
    ResponsesRecord {
        prompt_id: Some(prompt.id.clone()),
        prompt: prompt.prompt.clone(),
        responses: responses.map(|(answer, seed)| response(tokenizer, model, settings, answer, *seed)).collect(),
        extra: Map::new(),
    }
}

fn response(
    tokenizer: &ModelTokenizer,
    model: &str,
    settings: &SamplingSettings,
    answer: &Generated,
    seed: u64,
) -> ResponseRecord {
    ResponseRecord {
        id: None,
        content: tokenizer.decode(&answer.tokens, true).trim().to_owned(),
        model: Some(model.to_owned()),
        sampling: Some(json!({
            "temperature": settings.temperature,
            "top_k": settings.top_k,
            "top_p": settings.top_p,
            "max_new_tokens": settings.max_new_tokens,
            "seed": seed,
            "finished": answer.finished,
        })),
    }
}

/// Where the random numbers of one answer start: a function of job, prompt and number alone.
fn seed_of(job: Uuid, prompt: &str, number: usize, seed: u64) -> u64 {
    let digest = Sha256::digest(format!("{job}\n{prompt}\n{number}\n{seed}"));
    // 53 bits, so that JSON carries it exactly.
    digest[..8].iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte)) >> 11
}
