//! `evaluate`: two models against each other on prompts that neither learned from.

mod figure;
mod folder;
mod kept;
mod report;

use std::path::{Path, PathBuf};

use anyhow::Context;
use burn::tensor::Device;
use clap::Args;
use laurel_records::{DemonstrationRecord, PromptRecord, Split};
use serde_json::json;

use super::{
    Common, WrongInput, generate::model_name, kept_lines::ResumeArgs, numbers, output, precision::PrecisionArgs,
    sampling::SamplingArgs, training::blame,
};
use crate::{
    data::{ModelTokenizer, records},
    evaluate::{self, Answering, Answers, WinRate},
    generate::{SamplingSettings, row_seed},
    model::{Decoder, ModelDirectory, Precision, hf::ModelKind},
    terminal::{self, counted},
    train::{TrainError, same_tokens},
};
use kept::Kept;
use report::{Demonstrations, Kl, Report, Rewards, Side, by_prompt, read_of_both};

/// Compare two models: answers to prompts, win rate by a reward model, divergence, likelihood of demonstrations
///
/// Both answer every prompt with random numbers of their own. DIRECTORY holds what they said as records of responses, model.jsonl
/// and against.jsonl, so that anybody can judge it; report.json; and with a reward model report.svg. Without --reward, judge
/// the records yourself. Intervals are of 95 %: win rates by Wilson's score interval with a prompt as one contest and a tie
/// as half a win, means by Student's t, all paired by prompt.
#[derive(Debug, Clone, Args)]
pub struct Evaluate {
    /// The model that is judged
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// The model that it is judged against
    #[arg(long, value_name = "MODEL")]
    against: PathBuf,
    /// Prompts (JSONL); - is standard input
    #[arg(long, value_name = "FILE")]
    prompts: PathBuf,
    /// Only the prompts and demonstrations of this split: train, validation or test; by default all
    #[arg(long, value_name = "SPLIT", value_parser = split)]
    split: Option<Split>,
    /// A reward model that judges the answers
    #[arg(long, value_name = "MODEL")]
    reward: Option<PathBuf>,
    /// Demonstrations (JSONL) whose likelihood under both models is measured
    #[arg(long, value_name = "FILE")]
    demonstrations: Option<PathBuf>,
    /// Where answers and report go; must not exist. What is finished lies in DIRECTORY.partial until all is
    #[arg(long, value_name = "DIRECTORY")]
    out: PathBuf,
    /// Answers of each model to each prompt
    #[arg(long, default_value_t = 1, value_name = "K", value_parser = numbers::within(1..=1024))]
    samples: u32,
    #[command(flatten)]
    sampling: SamplingArgs,
    /// Answers that go through a model together
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = numbers::whole::<usize>)]
    batch: usize,
    #[command(flatten)]
    precision: PrecisionArgs,
    #[command(flatten)]
    resume: ResumeArgs,
}

fn split(text: &str) -> Result<Split, String> {
    serde_json::from_value(json!(text)).map_err(|_| "one of train, validation and test".to_owned())
}

/// Which of the two models.
#[derive(Debug, Clone, Copy)]
enum Which {
    Model,
    Against,
}

/// The evaluation under way.
struct Evaluation<'a> {
    command: &'a Evaluate,
    common: &'a Common,
    device: Device,
    precision: Precision,
    sampling: SamplingSettings,
    /// Each as often as it is answered, side by side.
    prompts: Vec<PromptRecord>,
    demonstrations: Vec<DemonstrationRecord>,
}

/// What is known of one model.
struct Measured {
    answers: Answers,
    /// Prompts that were too long for the model and lost their beginning.
    prompts_cut: usize,
    demonstrations: Option<Demonstrations>,
    /// A list a prompt; none of an answer without a token.
    rewards: Option<Vec<Vec<Option<f64>>>>,
}

impl Evaluate {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let sampling = self.sampling.settings()?;
        let device = common.device.open()?;
        let precision = self.precision.on(&device)?;
        // A link that leads nowhere is something, too: no directory takes its place.
        if self.out.symlink_metadata().is_ok() {
            return Err(WrongInput(format!("{} is there already", self.out.display())).into());
        }
        if output::is_stdout(&self.out) {
            return Err(WrongInput("--out names a folder, and - is standard output; name another".into()).into());
        }
        output::prepare(&self.out)?;
        let prompts = of_split(records::prompts(&self.prompts)?, self.split, |record| record.split);
        if prompts.is_empty() {
            return Err(WrongInput(format!("{} holds no prompt of that split", self.prompts.display())).into());
        }
        let demonstrations = match &self.demonstrations {
            None => vec![],
            Some(file) => {
                let found = of_split(records::demonstrations(file)?, self.split, |record| record.split);
                // Else the report would lack their likelihood without a word.
                if found.is_empty() {
                    return Err(WrongInput(format!("{} holds no demonstration of that split", file.display())).into());
                }
                found
            }
        };
        let samples = self.samples as usize;
        let prompts = prompts.into_iter().flat_map(|prompt| vec![prompt; samples]).collect();
        let evaluation = Evaluation { command: &self, common, device, precision, sampling, prompts, demonstrations };
        let report = evaluation.run()?;
        common.result(&report.table(), json!(report))
    }

    fn samples(&self) -> usize {
        self.samples as usize
    }

    fn path(&self, which: Which) -> &Path {
        match which {
            Which::Model => &self.model,
            Which::Against => &self.against,
        }
    }

    /// What the model is called, in the records and in the report.
    fn name(&self, which: Which) -> String {
        model_name(self.path(which))
    }
}

impl Evaluation<'_> {
    fn run(&self) -> anyhow::Result<Report> {
        self.check()?;
        let mut kept = Kept::open(self, self.command.resume)?;
        let mut ours = self.measure(Which::Model, &mut kept)?;
        let mut theirs = self.measure(Which::Against, &mut kept)?;
        let kl = self.divergence(&ours.answers)?;
        if let Some(reward) = &self.command.reward {
            for (which, measured) in [(Which::Model, &mut ours), (Which::Against, &mut theirs)] {
                measured.rewards = Some(self.rewards(reward, which, &measured.answers, &mut kept)?);
            }
        }
        let both = ours.rewards.as_ref().zip(theirs.rewards.as_ref());
        let rewards = both.map(|(ours, theirs)| read_of_both(ours, theirs));
        let report = Report {
            model: self.side(Which::Model, &ours),
            against: self.side(Which::Against, &theirs),
            prompts: self.prompts.len() / self.command.samples(),
            samples: self.command.samples(),
            sampling: self.sampling,
            seed: self.common.seed,
            win_rate: rewards.as_ref().and_then(|[ours, theirs]| WinRate::of_groups(ours, theirs)),
            reward: rewards.as_ref().and_then(|[ours, theirs]| Rewards::of(ours, theirs)),
            kl,
        };
        self.write(&report, [&ours, &theirs], rewards.as_ref())?;
        kept.discard();
        Ok(report)
    }

    /// Refuses models that can't do what is asked of them before the first one answers: they are loaded one after the other.
    fn check(&self) -> anyhow::Result<()> {
        for which in [Which::Model, Which::Against] {
            let directory = of_kind(self.command.path(which), ModelKind::LanguageModel)?;
            let tokenizer = ModelTokenizer::open(&directory)?;
            let limit = tokenizer.context_length();
            if self.sampling.max_new_tokens >= limit {
                let why = format!("max-new-tokens must be below {limit}, the context of {}", self.command.name(which));
                return Err(WrongInput(why).into());
            }
            self.check_prompts(which, &tokenizer)?;
        }
        if let Some(reward) = &self.command.reward {
            ModelTokenizer::open(&of_kind(reward, ModelKind::RewardModel)?)?;
        }
        Ok(())
    }

    /// Refuses prompts that the tokenizer of a model makes no token of: to nothing there is nothing to answer.
    fn check_prompts(&self, which: Which, tokenizer: &ModelTokenizer) -> anyhow::Result<()> {
        let mut empty = vec![];
        for prompt in self.prompts.iter().step_by(self.command.samples()) {
            if tokenizer.prompt(&prompt.prompt)?.is_empty() {
                empty.push(&prompt.id);
            }
        }
        let Some(first) = empty.first() else { return Ok(()) };
        let (tokenizer, nothing) = (self.command.name(which), "there is nothing to answer to");
        let why = match empty.len() {
            1 => format!("{nothing} the prompt {first:?}: the tokenizer of {tokenizer} makes no token of it"),
            count => {
                let of_them = format!("the tokenizer of {tokenizer} makes no token of them, the first {first:?}");
                format!("{nothing} {count} prompts: {of_them}")
            }
        };
        Err(WrongInput(why).into())
    }

    fn open(&self, which: Which) -> anyhow::Result<(ModelDirectory, Decoder, ModelTokenizer)> {
        let directory = ModelDirectory::open(self.command.path(which))?;
        let tokenizer = ModelTokenizer::open(&directory)?;
        let decoder = directory.load_decoder(&self.device)?.with_precision(self.precision);
        Ok((directory, decoder, tokenizer))
    }

    /// What one model says, and what it makes of the demonstrations. One model at a time is in memory.
    fn measure(&self, which: Which, kept: &mut Kept) -> anyhow::Result<Measured> {
        let (_, decoder, tokenizer) = self.open(which)?;
        let answers = self.answers(which, &decoder, &tokenizer, kept)?;
        let cut = tokenizer.cuts();
        let prompts_cut = cut / self.command.samples();
        let (count, batch) = (self.demonstrations.len() as u64, self.command.batch);
        let progress = self.common.progress(count, &format!("Demonstrations by {}", self.command.name(which)));
        let nll = evaluate::nll(&decoder, &tokenizer, &self.demonstrations, batch, &mut |done| {
            progress.reached(done as u64);
        })?;
        progress.finish();
        let demonstrations = nll.map(|nll| Demonstrations {
            nll: nll.mean,
            perplexity: nll.perplexity(),
            tokens: nll.tokens,
            demonstrations: nll.answers,
            cut: tokenizer.cuts() - cut,
        });
        Ok(Measured { answers, prompts_cut, demonstrations, rewards: None })
    }

    /// What one model says to all prompts; what an earlier run has of it is kept.
    fn answers(
        &self,
        which: Which,
        decoder: &Decoder,
        tokenizer: &ModelTokenizer,
        kept: &mut Kept,
    ) -> anyhow::Result<Answers> {
        let (name, count) = (self.command.name(which), self.prompts.len());
        let mut answers = kept.answers(count);
        let there = answers.ids.len();
        let progress = self.common.progress(count as u64, &format!("Answers of {name}"));
        if there > 0 {
            progress.resumed_at(there as u64);
        }
        // Random numbers of its own: with the same ones two like models would say the same too often.
        let seed = row_seed(self.common.seed, which as u64, 0);
        let (prompts, settings, batch) = (&self.prompts, &self.sampling, self.command.batch);
        let answering = Answering { decoder, tokenizer, prompts, settings, seed, batch };
        let sampled = answering.run(there, &mut |answer| {
            kept.add_answer(&name, &answer)?;
            answers.push(answer);
            progress.reached(answers.ids.len() as u64);
            anyhow::Ok(())
        });
        progress.finish();
        sampled.context(name)?;
        Ok(answers)
    }

    /// Of the model from the other, on the model's answers; `None` where they read different tokens, or one has no law for all of them.
    fn divergence(&self, answers: &Answers) -> anyhow::Result<Option<Kl>> {
        if self.sampling.temperature == 0.0 {
            return Ok(None);
        }
        let (directory, policy, _) = self.open(Which::Model)?;
        let (other, reference, _) = self.open(Which::Against)?;
        // Laws over different tokens, or over more tokens the one than the other, have no divergence.
        let widths = [&directory, &other].map(|model| model.config().vocabulary_size);
        if same_tokens(&directory, &other).is_err() || widths[0] != widths[1] {
            return Ok(None);
        }
        let (longest, reads) = (answers.ids.iter().map(Vec::len).max().unwrap_or(0), other.config().context_length);
        if longest > reads {
            if !self.common.quiet {
                let against = self.command.name(Which::Against);
                let why = format!("{against} reads {reads} tokens, and a prompt with its answer has {longest}");
                terminal::say(format!("laurel-trainer: no divergence is measured: {why}"));
            }
            return Ok(None);
        }
        let progress = self.common.progress(answers.ids.len() as u64, "Divergence");
        let (temperature, batch) = (self.sampling.temperature, self.command.batch);
        let found = evaluate::divergences(&policy, &reference, answers, temperature, batch, &mut |done| {
            progress.reached(done as u64);
        });
        progress.finish();
        let truncated = self.sampling.top_k != 0 || self.sampling.top_p < 1.0;
        Ok(Kl::of(&found, self.command.samples(), truncated))
    }

    /// The rewards of one model's answers, a list a prompt, less the zero of the reward model's scale.
    fn rewards(
        &self,
        reward: &Path,
        which: Which,
        answers: &Answers,
        kept: &mut Kept,
    ) -> anyhow::Result<Vec<Vec<Option<f64>>>> {
        let name = self.command.name(which);
        let mut found = kept.rewards(answers.ids.len());
        if found.len() < answers.ids.len() {
            // All are judged together, so where some are missing those that are there save only their lines.
            let (there, all) = (found.len(), self.judge(reward, which, answers)?);
            for reward in &all[there..] {
                kept.add_reward(&name, *reward)?;
            }
            found = all;
        }
        let unread = found.iter().filter(|score| score.is_none()).count();
        if unread > 0 && !self.common.quiet {
            let of = counted(found.len(), "answer");
            terminal::say(format!(
                "laurel-trainer: {unread} of {of} of {name} left out, without a token to be scored by"
            ));
        }
        Ok(found.chunks(self.command.samples()).map(<[Option<f64>]>::to_vec).collect())
    }

    /// As [`Self::rewards`], of the reward model.
    fn judge(&self, reward: &Path, which: Which, answers: &Answers) -> anyhow::Result<Vec<Option<f64>>> {
        let directory = ModelDirectory::open(reward)?;
        let same_tokens = same_tokens(&ModelDirectory::open(self.command.path(which))?, &directory).is_ok();
        let tokenizer = ModelTokenizer::open(&directory)?;
        let model = directory.load_reward_model(&self.device)?.with_precision(self.precision);
        let progress = self.common.progress(self.prompts.len() as u64, "Rewards");
        let (prompts, batch) = (&self.prompts, self.command.batch);
        let found =
            evaluate::rewards_of_answers(&model, &tokenizer, prompts, answers, same_tokens, batch, &mut |done| {
                progress.reached(done as u64);
            });
        progress.finish();
        let zero = model.score_mean();
        let found = found.map_err(|error| blame(error.into()))?.into_iter();
        let found: Vec<Option<f64>> = found.map(|score| Some(score? - zero)).collect();
        if found.iter().flatten().any(|score| !score.is_finite()) {
            return Err(TrainError::NotFinite { what: "score of an answer" }.into());
        }
        Ok(found)
    }

    fn side(&self, which: Which, measured: &Measured) -> Side {
        let Answers { ids, starts, finished, .. } = &measured.answers;
        let lengths: Vec<f64> = ids.iter().zip(starts).map(|(ids, start)| (ids.len() - start) as f64).collect();
        let ended = finished.iter().filter(|finished| **finished).count();
        Side {
            name: self.command.name(which),
            path: self.command.path(which).display().to_string(),
            tokens: by_prompt(&lengths, self.command.samples()),
            finished: ended as f64 / finished.len().max(1) as f64,
            prompts_cut: measured.prompts_cut,
            demonstrations: measured.demonstrations,
        }
    }
}

/// A model, if it is of this kind.
fn of_kind(path: &Path, wanted: ModelKind) -> anyhow::Result<ModelDirectory> {
    let directory = ModelDirectory::open(path)?;
    if directory.kind() == wanted {
        return Ok(directory);
    }
    let (is, needed) = match wanted {
        ModelKind::LanguageModel => ("a reward model", "a language model"),
        ModelKind::RewardModel => ("a language model", "a reward model"),
    };
    Err(WrongInput(format!("{} is {is}; {needed} is needed here", path.display())).into())
}

fn of_split<T>(records: Vec<T>, wanted: Option<Split>, split: impl Fn(&T) -> Option<Split>) -> Vec<T> {
    records.into_iter().filter(|record| wanted.is_none() || split(record) == wanted).collect()
}
