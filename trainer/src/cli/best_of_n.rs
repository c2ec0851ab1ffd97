//! `best-of-n`: the answer that a reward model likes best among n.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use laurel_records::{ResponseRecord, ResponsesRecord};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Common, WrongInput,
    generate::{cut_prompts, model_name, sampling_map},
    kept_lines::{KeptLines, ResumeArgs},
    numbers, output,
    precision::PrecisionArgs,
    sampling::SamplingArgs,
    training::blame,
};
use crate::{
    data::records,
    model::ModelDirectory,
    rlhf::best_of_n,
    terminal::{self, counted, each_of},
    train::{
        Identity, OnlineInputs, TrainError,
        best_of_n::{Answered, Answering, BestOfN},
        digest_of_data,
    },
};

/// Answer prompts with the best of n answers by a reward model
///
/// Nothing is learned: it is what a policy gives that is steered only by choosing. As far as the n answers differ in score, the
/// divergence from the policy is log n − (n−1)/n nats an answer, and an upper bound of it otherwise. For every n' = 1, 2, 4 … up
/// to n the expected score of the best of n' is told too, from the same answers.
#[derive(Debug, Clone, Args)]
pub struct BestOfNCommand {
    /// The policy that answers
    #[arg(long, value_name = "MODEL")]
    policy: PathBuf,
    /// The reward model that chooses
    #[arg(long, value_name = "MODEL")]
    reward: PathBuf,
    /// Prompts (JSONL); - is standard input
    #[arg(long, value_name = "FILE")]
    prompts: PathBuf,
    /// Answers to each prompt, of which one is chosen
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = numbers::within(1..=65_536))]
    n: u32,
    /// Where the best answers go (JSONL, one line a prompt); - is standard output. What is finished lies in FILE.partial until all is
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write all n answers with their scores, the best one first
    #[arg(long)]
    all: bool,
    /// The name that the answers carry as their model; by default the last part of the policy's path
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Taken off the score of an answer that does not end within max-new-tokens
    #[arg(long, default_value_t = 0.0, value_name = "X", value_parser = numbers::number)]
    missing_eos_penalty: f64,
    /// Answers written at once: more are faster and need more memory
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = numbers::whole::<usize>)]
    batch: usize,
    #[command(flatten)]
    precision: PrecisionArgs,
    #[command(flatten)]
    resume: ResumeArgs,
}

/// What is told at the end of a prompt's answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Scores {
    /// Of all its answers.
    all: Vec<f64>,
    /// That of the best of them.
    best: f64,
    /// Tokens of the best answer.
    tokens: usize,
    /// It ended by itself.
    finished: bool,
}

impl BestOfNCommand {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let common = &common.writing_to(&self.out);
        let sampling = self.sampling.settings()?;
        if sampling.temperature == 0.0 && self.n > 1 {
            return Err(WrongInput("--temperature must be above 0: at 0 all n answers are the same".into()).into());
        }
        // As in the methods that learn: what is less would be a prize for never coming to an end.
        if !(self.missing_eos_penalty >= 0.0 && self.missing_eos_penalty.is_finite()) {
            return Err(WrongInput("--missing-eos-penalty must be a number of at least 0".into()).into());
        }
        output::ensure_other_file(&self.out, "--prompts", &self.prompts)?;
        output::prepare(&self.out)?;
        let device = common.device.open()?;
        let precision = self.precision.on(&device)?;
        let (n, missing_eos_penalty) = (self.n as usize, self.missing_eos_penalty);
        let method = BestOfN { n, sampling, precision, missing_eos_penalty, batch: self.batch.max(1) };
        let name = self.name.clone().unwrap_or_else(|| model_name(&self.policy));
        let inputs =
            OnlineInputs { policy: self.policy.clone(), reward: self.reward.clone(), prompts: self.prompts.clone() };
        let answering = method.open(&inputs, &device, common.seed).map_err(blame)?;
        let identity = || self.identity(&answering, &method, &name, common.seed);
        let (mut lines, mut scores) = KeptLines::open::<Scores>(&self.out, self.resume, identity)?;
        let kept = scores.len();
        let progress = common.progress((answering.prompts().len() * n) as u64, "Answers");
        if kept > 0 {
            progress.resumed_at((kept * n) as u64);
        }
        let mut reached = |done: usize| progress.reached(done as u64);
        let ended = answering.run(kept, &mut reached, |answered| {
            let noted = Scores::of(&answered);
            lines.add(&record(&answered, self.all, &name, &method, common.seed), &noted)?;
            scores.push(noted);
            anyhow::Ok(())
        });
        progress.finish();
        ended.map_err(|error| error.downcast::<TrainError>().map_or_else(|error| error, blame))?;
        lines.finish()?;
        if let Some(text) = answering.without_an_end() {
            // As the methods that learn warn of it, with --quiet too.
            terminal::say(format!("warning: {text}"));
        }
        self.report(common, &scores, kept, answering.prompts_cut)
    }

    /// What decides the answers and the choice among them. Not `--batch`: what a row gets depends on its prompt and its seed.
    fn identity(&self, answering: &Answering, method: &BestOfN, name: &str, seed: u64) -> anyhow::Result<Identity> {
        let inputs = [
            ("policy".to_owned(), ModelDirectory::open(&self.policy)?.digest()?),
            ("reward model".to_owned(), ModelDirectory::open(&self.reward)?.digest()?),
            ("prompts".to_owned(), digest_of_data(&self.prompts, answering.prompts())?),
        ];
        let mut settings = sampling_map(&method.sampling);
        for (setting, value) in [
            ("n", json!(method.n)),
            ("all", json!(self.all)),
            ("missing_eos_penalty", json!(method.missing_eos_penalty)),
            ("precision", json!(method.precision)),
            ("name", json!(name)),
        ] {
            settings.insert(setting.to_owned(), value);
        }
        Ok(Identity { stage: "best-of-n".into(), inputs: inputs.into(), seed, settings })
    }

    /// `kept`: prompts that an earlier run had answered.
    fn report(&self, common: &Common, scores: &[Scores], kept: usize, prompts_cut: usize) -> anyhow::Result<()> {
        let n = self.n as usize;
        let cut = cut_prompts(prompts_cut, "the policy or the reward model");
        if output::is_stdout(&self.out) {
            // Standard output is the answers'.
            if prompts_cut > 0 && !common.quiet {
                terminal::say(format!("laurel-trainer: {cut}"));
            }
            return Ok(());
        }
        let (kl, by_n) = (best_of_n::kl(n), expected(scores, n));
        let asked = each_of(scores.len(), "prompt");
        let mut summary = format!("the best of {} to {asked} in {}", counted(n, "answer"), self.out.display());
        if kept > 0 {
            summary += &format!("\nthose to {} are of an earlier run", counted(kept, "prompt"));
        }
        summary += &format!("\nKL from the policy: at most {kl:.3} nats an answer (log n − (n−1)/n)");
        summary += "\nscore of the best of";
        for (n, score) in &by_n {
            summary += &format!("\n  {n:5} {score:8.3}");
        }
        if prompts_cut > 0 {
            summary += &format!("\n{cut}");
        }
        let by_n: Map<String, Value> = by_n.into_iter().map(|(n, score)| (n.to_string(), json!(score))).collect();
        let mean = |of: fn(&Scores) -> f64| scores.iter().map(of).sum::<f64>() / scores.len().max(1) as f64;
        let fields = json!({"out": self.out.to_string_lossy(), "prompts": scores.len(), "prompts_cut": prompts_cut,
            "n": n, "kl": kl, "score": mean(|one| one.best), "expected_score": by_n,
            "tokens": mean(|one| one.tokens as f64), "finished": mean(|one| f64::from(u8::from(one.finished)))});
        common.result(&summary, fields)
    }
}

impl Scores {
    fn of(answered: &Answered) -> Self {
        let best = &answered.candidates[answered.best];
        Self {
            all: answered.candidates.iter().map(|candidate| candidate.score).collect(),
            best: best.score,
            tokens: best.tokens,
            finished: best.finished,
        }
    }
}

/// The expected score of the best of 1, 2, 4 … and n answers, a mean over the prompts.
fn expected(scores: &[Scores], n: usize) -> BTreeMap<usize, f64> {
    let counts = std::iter::successors(Some(1), |count| Some(count * 2)).take_while(|count| *count < n).chain([n]);
    counts
        .map(|count| {
            let of_prompts = scores.iter().filter_map(|one| best_of_n::expected(&one.all, &one.all, count));
            (count, of_prompts.sum::<f64>() / scores.len().max(1) as f64)
        })
        .collect()
}

/// The record of a prompt. Scores stand among the settings of sampling, which may hold anything.
fn record(answered: &Answered, all: bool, name: &str, method: &BestOfN, seed: u64) -> ResponsesRecord {
    let mut order: Vec<usize> = vec![answered.best];
    if all {
        order.extend((0..answered.candidates.len()).filter(|at| *at != answered.best));
    }
    let responses = order.into_iter().map(|at| {
        let candidate = &answered.candidates[at];
        let mut sampling = json!(method.sampling);
        sampling["seed"] = json!(seed);
        sampling["finished"] = json!(candidate.finished);
        sampling["tokens"] = json!(candidate.tokens);
        sampling["best_of"] = json!(method.n);
        sampling["score"] = json!(candidate.score);
        ResponseRecord { id: None, content: candidate.text.clone(), model: Some(name.into()), sampling: Some(sampling) }
    });
    ResponsesRecord {
        prompt_id: records::given_id(&answered.prompt),
        prompt: answered.prompt.prompt.clone(),
        responses: responses.collect(),
        extra: Map::new(),
    }
}
