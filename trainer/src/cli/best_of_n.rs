//! `best-of-n`: the answer that a reward model likes best among n.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use laurel_records::{ResponseRecord, ResponsesRecord};
use serde_json::{Map, Value, json};

use super::{
    Common, WrongInput,
    generate::{cut_prompts, model_name},
    numbers, output,
    precision::PrecisionArgs,
    sampling::SamplingArgs,
    training::blame,
};
use crate::{
    data::records,
    rlhf::best_of_n,
    terminal::{self, counted, each_of},
    train::{
        OnlineInputs,
        best_of_n::{Answered, BestOfN, Chosen},
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
    /// Where the best answers go (JSONL, one line a prompt); - is standard output
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
        let inputs = OnlineInputs { policy: self.policy, reward: self.reward, prompts: self.prompts };
        // How many prompts there are shows when they are read.
        let progress = common.progress(0, "Answers");
        let Chosen { answered, prompts_cut, without_an_end } = method
            .run(&inputs, &device, common.seed, &mut |done, total| progress.reached_of(done as u64, total as u64))
            .map_err(blame)?;
        progress.finish();
        if let Some(text) = without_an_end {
            // As the methods that learn warn of it, with --quiet too.
            terminal::say(format!("warning: {text}"));
        }
        let lines = answered.iter().map(|answered| record(answered, self.all, &name, &method, common.seed));
        output::write_lines(&self.out, lines)?;
        let cut = cut_prompts(prompts_cut, "the policy or the reward model");
        if output::is_stdout(&self.out) {
            // Standard output is the answers'.
            if prompts_cut > 0 && !common.quiet {
                terminal::say(format!("laurel-trainer: {cut}"));
            }
            return Ok(());
        }
        let (kl, by_n) = (best_of_n::kl(n), expected(&answered, n));
        let asked = each_of(answered.len(), "prompt");
        let mut summary = format!("the best of {} to {asked} in {}", counted(n, "answer"), self.out.display());
        summary += &format!("\nKL from the policy: at most {kl:.3} nats an answer (log n − (n−1)/n)");
        summary += "\nscore of the best of";
        for (n, score) in &by_n {
            summary += &format!("\n  {n:5} {score:8.3}");
        }
        if prompts_cut > 0 {
            summary += &format!("\n{cut}");
        }
        let by_n: Map<String, Value> = by_n.into_iter().map(|(n, score)| (n.to_string(), json!(score))).collect();
        let mean = |of: fn(&Answered) -> f64| answered.iter().map(of).sum::<f64>() / answered.len().max(1) as f64;
        let fields = json!({"out": self.out.to_string_lossy(), "prompts": answered.len(), "prompts_cut": prompts_cut,
            "n": n, "kl": kl, "score": mean(|one| one.candidates[one.best].score), "expected_score": by_n,
            "tokens": mean(|one| one.candidates[one.best].tokens as f64),
            "finished": mean(|one| f64::from(u8::from(one.candidates[one.best].finished)))});
        common.result(&summary, fields)
    }
}

/// The expected score of the best of 1, 2, 4 … and n answers, a mean over the prompts.
fn expected(answered: &[Answered], n: usize) -> BTreeMap<usize, f64> {
    let counts = std::iter::successors(Some(1), |count| Some(count * 2)).take_while(|count| *count < n).chain([n]);
    counts
        .map(|count| {
            let of_prompts = answered.iter().filter_map(|one| {
                let scores: Vec<f64> = one.candidates.iter().map(|candidate| candidate.score).collect();
                best_of_n::expected(&scores, &scores, count)
            });
            (count, of_prompts.sum::<f64>() / answered.len().max(1) as f64)
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
