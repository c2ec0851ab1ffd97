//! Supervised fine-tuning: a policy learns the answers that people wrote (Ouyang et al. 2022, section 3.5).

use std::path::PathBuf;

use burn::module::Module;
use laurel_records::{DemonstrationRecord, LogLevel, Stage};
use rayon::prelude::*;

use super::{
    Run, Schedule, SettingsError, StageOutcome, StageSettings, TrainError,
    completion::{Completions, packed_row},
    judge::{BestBy, Judge, Judging},
    language_model::{LanguageModelStage, say_what_is_learned},
    metrics::{Reporter, warn_of_empty_answers},
    provenance::digest_of_data,
    settings::{at_least_one, stage_settings},
    split::divide,
    supervised::plan_of,
    tokenizer_of,
};
use crate::{
    data::{DataError, Example, records},
    model::ModelDirectory,
};

stage_settings! {
    /// Settings of supervised fine-tuning.
    pub struct SftSettings {
        learning rate 5e-5, with adapters 2e-4, schedule Schedule::Cosine;
        #[doc = "Passes over the demonstrations"]
        epochs: usize = 2,
        #[doc = "Steps at most, whatever the epochs; 0 leaves it to them"]
        steps: usize = 0,
        #[doc = "Demonstrations in one step of the optimiser"]
        batch_size: usize = 16,
        #[doc = "Several short demonstrations share a row, without seeing each other: less padding, the same numbers"]
        packing: bool = false,
        #[doc = "The held-out demonstrations are judged after every so many steps; 0: after each epoch"]
        eval_steps: usize = 0,
        #[doc = "By what the best weights are told: nll (of the held-out demonstrations) or reward (of answers to their prompts, by the model of --reward)"]
        best_by: BestBy = BestBy::Nll,
        #[doc = "Held-out prompts that are answered for the reward model at each evaluation"]
        eval_prompts: usize = 64,
        #[doc = "Longest answer to one of them, tokens; with the prompt at most max_length"]
        eval_max_new_tokens: usize = 128,
        #[doc = "The run ends after so many evaluations in a row without a better one; 0: never before its last step"]
        patience: usize = 0,
    }
}

impl SftSettings {
    fn check_own(&self) -> Result<(), SettingsError> {
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)?;
        at_least_one("eval_prompts", self.eval_prompts)?;
        at_least_one("eval_max_new_tokens", self.eval_max_new_tokens)
    }
}

/// Where the stage starts from, and what it learns.
#[derive(Debug, Clone)]
pub struct SftInputs {
    pub model: PathBuf,
    /// Demonstrations, JSONL.
    pub data: PathBuf,
    /// A reward model that judges answers to the held-out prompts at each evaluation.
    pub reward: Option<PathBuf>,
}

/// Learns the demonstrations and writes the policy to `run.out`.
///
/// The loss is over the tokens of the answers alone, a mean over the whole batch; the weights that are written are those
/// that were best on the held-out demonstrations, or on their prompts by a reward model. Metrics: `eval/nll`, `eval/perplexity`,
/// with a reward model `eval/reward` (mean reward of sampled answers), all also `…_before`.
pub fn run(
    settings: &SftSettings,
    inputs: &SftInputs,
    run: &Run,
    reporter: &mut dyn Reporter,
) -> Result<StageOutcome, TrainError> {
    run.ensure_possible(settings.precision)?;
    let directory = ModelDirectory::open(&inputs.model)?;
    // Before the weights: what is wrong with the records is said at once.
    let records = records::demonstrations(&inputs.data)?;
    let data = digest_of_data(&inputs.data, &records)?;
    let decoder = directory.load_decoder_to_learn(&run.device)?.with_precision(settings.precision);
    let settings = settings.clone().resolved(decoder.num_params());
    settings.check()?;
    let plan = plan_of!(settings);
    let tokenizer = tokenizer_of(&directory, plan.shared.max_length)?;

    let (learned, held_out) = divide(records, run.seed);
    let examples = |records: &[DemonstrationRecord]| -> Result<Vec<Example>, TrainError> {
        // On all cores; of several conversations that the template refuses, the first is told.
        let all: Vec<_> = records.par_iter().map(|record| tokenizer.example(&record.prompt, answer(record))).collect();
        Ok(all.into_iter().collect::<Result<_, DataError>>()?)
    };
    let judge = judge(&settings, inputs, &directory, &held_out, run)?;
    if let Some(text) = judge.as_ref().and_then(|judge| judge.bounded.as_ref()) {
        reporter.log(LogLevel::Info, text);
    }
    if let Some(empty) = judge.as_ref().map(|judge| judge.prompts_empty).filter(|empty| *empty > 0) {
        let text = match empty {
            1 => "1 held-out prompt is not answered: the tokenizer makes no token of it".to_owned(),
            _ => format!("{empty} held-out prompts are not answered: the tokenizer makes no token of them"),
        };
        reporter.log(LogLevel::Warning, &text);
    }
    if let Some(cut) = judge.as_ref().map(|judge| judge.prompts_cut).filter(|cut| *cut > 0) {
        let text = match cut {
            1 => "1 prompt that the reward model judges leaves no room for an answer and was cut".to_owned(),
            _ => format!("{cut} prompts that the reward model judges leave no room for an answer and were cut"),
        };
        reporter.log(LogLevel::Warning, &text);
    }
    let (mut learned, mut held_out) = (examples(&learned)?, examples(&held_out)?);
    let (all, to_learn) = (learned.len() + held_out.len(), learned.len());
    // An empty text that no end of text follows may have no token.
    for examples in [&mut learned, &mut held_out] {
        examples.retain(Example::teaches);
    }
    warn_of_empty_answers(all - learned.len() - held_out.len(), "learned", reporter);
    let longest = learned.iter().chain(&held_out).map(|example| example.ids.len()).max().unwrap_or(0);
    let most = plan.shared.micro_batch_tokens.min(tokenizer.context_length());
    let objective = Completions {
        stage: Stage::Sft,
        learned,
        held_out,
        pad_id: tokenizer.pad_id(),
        packed_row: settings.packing.then(|| packed_row(longest, most)),
        micro_batch_tokens: plan.shared.micro_batch_tokens,
        judge,
    };
    if objective.learned.is_empty() {
        let file = inputs.data.display();
        let why = if to_learn > 0 { "none has a token" } else { "all are of the validation or test split" };
        let text = format!("{file} holds no demonstration to learn from: {why}");
        return Err(TrainError::Input(text));
    }
    say_what_is_learned(&objective, &tokenizer, "demonstration", reporter);
    if !tokenizer.has_chat_template() {
        let text = "the model has no chat template: conversations are learned as plain text, a line a message whoever speaks, and \
                    serve will continue texts with the policy but answer no conversations; to have that, give the model a \
                    chat_template.jinja first";
        reporter.log(LogLevel::Info, text);
    }
    if tokenizer.end_of_answer().is_none() {
        let judged = if objective.judge.is_some() {
            "; every answer that the reward model judges is cut at eval_max_new_tokens"
        } else {
            ""
        };
        let text = format!(
            "the model's files name no end of text (eos_token), and its chat template ends no turn with a special token: answers \
             are learned without an end, and the policy will write until it is cut{judged}"
        );
        reporter.log(LogLevel::Warning, &text);
    }

    let stage = LanguageModelStage {
        name: "sft",
        settings: &settings,
        plan: &plan,
        directory: &directory,
        tokenizer: &tokenizer,
        data: ("data", data),
        judge: inputs.reward.as_ref().map(|path| ModelDirectory::open(path)?.digest()).transpose()?,
    };
    stage.run(decoder, &objective, run, reporter)
}

/// The reward model that judges, where one is given. Fails where weights are to be told by a reward that can't be had.
fn judge(
    settings: &SftSettings,
    inputs: &SftInputs,
    directory: &ModelDirectory,
    held_out: &[DemonstrationRecord],
    run: &Run,
) -> Result<Option<Judge>, TrainError> {
    let by_reward = settings.best_by == BestBy::Reward;
    let Some(reward) = &inputs.reward else {
        if by_reward {
            return Err(SettingsError::value("best_by", "reward needs a reward model: give one with --reward").into());
        }
        return Ok(None);
    };
    if by_reward && held_out.is_empty() {
        let reason = "reward needs held-out demonstrations, whose prompts are answered; none is held out";
        return Err(SettingsError::value("best_by", reason).into());
    }
    let judging = Judging {
        prompts: settings.eval_prompts,
        max_new_tokens: settings.eval_max_new_tokens,
        max_length: settings.max_length,
        micro_batch_tokens: settings.micro_batch_tokens,
        precision: settings.precision,
        best_by: settings.best_by,
    };
    let prompts = held_out.iter().map(|record| record.prompt.as_slice());
    Judge::open(reward, directory, prompts, &judging, run).map(Some)
}

/// The text of the answer.
fn answer(record: &DemonstrationRecord) -> &str {
    record.completion.last().map_or("", |message| &message.content)
}
