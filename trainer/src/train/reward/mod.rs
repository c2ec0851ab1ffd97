//! Reward modelling: a scalar head over a policy learns the order in which people put answers (Ouyang et al. 2022, eq. 1).

mod rankings;
mod scores;

use std::path::{Path, PathBuf};

use burn::module::Module;
use laurel_records::{LogLevel, Split};

use super::{
    Run, Schedule, SettingsError, StageOutcome, StageSettings, TrainError, derived_seed,
    learning::to_learn,
    metrics::{Reporter, warn_of_empty_answers},
    provenance::{digest_of_data, identity_of, lineage_of},
    settings::{at_least_one, stage_settings},
    supervised::{Learned, Plan, learn, plan_of},
    tokenizer_of,
    written::write_reward,
};
use crate::{
    data::{Example, ModelTokenizer, records},
    model::{
        Members, ModelDirectory, Precision, RewardEnsemble, RewardModel,
        hf::{ModelKind, Padding},
    },
};
use rankings::Rankings;
pub(super) use scores::scores_of;

/// Members of an ensemble at most.
const MOST_MEMBERS: usize = 64;
/// Answers that give each member its zero where no demonstrations do.
const ANSWERS_FOR_ZERO: usize = 256;

stage_settings! {
    /// Settings of reward modelling.
    pub struct RewardSettings {
        learning rate 2e-5, with adapters 1e-4, schedule Schedule::Cosine;
        #[doc = "Passes over the rankings; more than one soon overfits"]
        epochs: usize = 1,
        #[doc = "Steps at most, whatever the epochs; 0 leaves it to them"]
        steps: usize = 0,
        #[doc = "Rankings (a prompt with all its answers) in one step of the optimiser"]
        batch_size: usize = 8,
        #[doc = "How much further apart two scores must be, in nats, for each step between the ranks of their answers (or of a comparison's margin); 0: only the order counts (Llama 2's margin)"]
        margin: f64 = 0.0,
        #[doc = "Chance that a label is the wrong way round: a pair costs so much of the loss of its opposite; 0 takes labels as they are"]
        label_smoothing: f64 = 0.0,
        #[doc = "Weight of the scores' squared distance from people's ratings (standardised) beside the loss of the ranks; 0 leaves ratings alone"]
        rating_coefficient: f64 = 0.0,
        #[doc = "Heads that learn on the shared decoder, each from its own resampling of the prompts: their mean is the score, their spread the disagreement"]
        ensemble: usize = 1,
        #[doc = "The held-out rankings are judged after every so many steps; 0: after each epoch"]
        eval_steps: usize = 0,
        #[doc = "The run ends after so many evaluations in a row without a better one; 0: never before its last step"]
        patience: usize = 0,
    }
}

impl RewardSettings {
    fn check_own(&self) -> Result<(), SettingsError> {
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)?;
        at_least_one("ensemble", self.ensemble)?;
        if self.ensemble > MOST_MEMBERS {
            return Err(SettingsError::value("ensemble", format!("must be at most {MOST_MEMBERS}")));
        }
        for (name, value) in [("margin", self.margin), ("rating_coefficient", self.rating_coefficient)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(SettingsError::value(name, "must be at least 0"));
            }
        }
        if !(0.0..0.5).contains(&self.label_smoothing) {
            let reason = "must be at least 0 and below 0.5: labels that are wrong half the time say nothing";
            return Err(SettingsError::value("label_smoothing", reason));
        }
        Ok(())
    }
}

/// Where the stage starts from, and what it learns.
#[derive(Debug, Clone)]
pub struct RewardInputs {
    /// A policy, which gets a fresh head, or a reward model that learns on.
    pub model: PathBuf,
    /// Rankings or comparisons, JSONL.
    pub data: PathBuf,
    /// Demonstrations whose mean score becomes the zero of the scale, those of the test split left out; `None` leaves the
    /// scale as it comes out.
    pub demonstrations: Option<PathBuf>,
}

/// Learns the rankings and writes the reward model to `run.out`.
///
/// All answers to a prompt go through the model in one pass and all their pairs are one element of the batch; ties make no
/// pair. What is held out is judged by the order alone, without margin and smoothing. Metrics: `eval/loss` and those of
/// [`crate::evaluate::RewardReport::metrics`] (all also `…_before`); the whole report stands in `laurel.json`.
pub fn run(
    settings: &RewardSettings,
    inputs: &RewardInputs,
    run: &Run,
    reporter: &mut dyn Reporter,
) -> Result<StageOutcome, TrainError> {
    run.ensure_possible(settings.precision)?;
    let directory = ModelDirectory::open(&inputs.model)?;
    // Before the weights: what is wrong with the records is said at once.
    let records = records::rankings(&inputs.data)?;
    let data = digest_of_data(&inputs.data, &records)?;
    let seeds: Vec<u64> = (0..settings.ensemble).map(|member| member_seed(run.seed, member)).collect();
    let model = start(&directory, &seeds, settings.precision, run)?;
    let settings = settings.clone().resolved(model.decoder.num_params());
    settings.check()?;
    let plan = plan_of!(settings);
    let tokenizer = tokenizer_of(&directory, plan.shared.max_length)?;

    let objective = Rankings::new(records, &tokenizer, &settings, run.seed)?;
    objective.say_what_is_left_out(reporter);
    if objective.is_empty() {
        let file = inputs.data.display();
        return Err(TrainError::Input(format!(
            "{file} holds no ranking to learn from: one that puts two answers apart and is not of the validation or test split"
        )));
    }
    // Read before anything is learned: what is wrong with them is said now, and what is cut is counted.
    let demonstrated = match &inputs.demonstrations {
        Some(file) => Some(demonstrations(&tokenizer, file, reporter)?),
        None => None,
    };
    objective.say(&tokenizer, reporter)?;
    if Padding::of(directory.config(), &directory.companions()?).is_none() {
        let text = "every special token of the tokenizer ends a text or stands in conversations, so none can fill batches: \
                    transformers and TRL, which find the end of a text by the padding token, may read this model's scores one \
                    token early, or take one text at a time";
        reporter.log(LogLevel::Warning, text);
    }

    let model = with_adapters(model, &plan, run)?;
    let parent = directory.digest()?;
    // A checkpoint of an ensemble whose members were told by other draws, as older builds made them, is no beginning for these.
    let resampling = objective.resampling().map(|digest| ("resampling of the rankings", digest));
    let inputs_of_run = [("model", parent.clone()), ("data", data.clone())].into_iter().chain(resampling);
    let identity = identity_of("reward", inputs_of_run, &settings, run.seed);
    let Learned { model, mut metrics, checkpoints } = learn(&objective, model, &plan, run, identity, reporter)?;
    let report = objective.report(&model);
    let (mut model, mut members) = model.into_reward_model();
    model.set_score_mean(0.0);
    let budget = plan.shared.micro_batch_tokens;
    if let Some(examples) = &demonstrated {
        let mean = centre(&mut model, members.as_mut(), &rows_of(examples), tokenizer.pad_id(), budget);
        model.set_score_mean(mean);
        metrics.insert("score/mean_of_demonstrations".into(), mean);
        reporter.log(LogLevel::Info, &format!("demonstrations score {mean:.3} on average: the zero of the scale"));
    } else if members.is_some() {
        let some = objective.some_answers(ANSWERS_FOR_ZERO);
        centre(&mut model, members.as_mut(), &some, tokenizer.pad_id(), budget);
    }
    let mut lineage = lineage_of("reward", parent, data, &settings, run.seed, &metrics);
    if let Some(report) = report {
        lineage.report = serde_json::to_value(report).unwrap_or_default();
    }
    write_reward(run, &model, members.as_ref(), &directory, &lineage, &plan.shared)
        .map_err(|error| checkpoints.model_not_written(error))?;
    checkpoints.remove()?;
    Ok(StageOutcome { metrics, out: run.out.clone() })
}

/// Where the head of a member begins. The first begins where a reward model of one head does.
fn member_seed(seed: u64, member: usize) -> u64 {
    if member == 0 { seed } else { derived_seed(seed, "reward head", member as u64) }
}

/// A policy under fresh heads, or the reward model that is there.
fn start(
    directory: &ModelDirectory,
    seeds: &[u64],
    precision: Precision,
    run: &Run,
) -> Result<RewardEnsemble, TrainError> {
    Ok(match directory.kind() {
        ModelKind::RewardModel => {
            let members = directory.load_members(&run.device)?;
            let model = directory.load_reward_model_to_learn(&run.device)?.with_precision(precision);
            RewardEnsemble::from_reward_model(model, members, seeds)
        }
        ModelKind::LanguageModel => {
            let policy = directory.load_decoder_to_learn(&run.device)?.with_precision(precision);
            RewardEnsemble::from_policy(&policy, seeds)
        }
    })
}

/// With adapters, they and the heads learn and nothing else.
fn with_adapters(model: RewardEnsemble, plan: &Plan, run: &Run) -> Result<RewardEnsemble, TrainError> {
    let RewardEnsemble { decoder, heads } = model;
    Ok(RewardEnsemble { decoder: to_learn(decoder, &plan.shared, run.seed)?, heads })
}

/// The demonstrations that set the zero of the scale. Those of the test split are left alone, here as everywhere, and those
/// without a token left out.
fn demonstrations(
    tokenizer: &ModelTokenizer,
    file: &Path,
    reporter: &mut dyn Reporter,
) -> Result<Vec<Example>, TrainError> {
    let mut examples = Vec::new();
    for record in records::demonstrations(file)?.into_iter().filter(|record| record.split != Some(Split::Test)) {
        for answer in &record.completion {
            examples.push(tokenizer.example(&record.prompt, &answer.content)?);
        }
    }
    let all = examples.len();
    examples.retain(|example| !example.ids.is_empty());
    warn_of_empty_answers(all - examples.len(), "scored", reporter);
    if examples.is_empty() {
        let file = file.display();
        if all > 0 {
            let text = format!("{file} holds no demonstration to set the zero of the scale: none has a token");
            return Err(TrainError::Input(text));
        }
        return Err(TrainError::Input(format!(
            "{file} holds only demonstrations of the test split, which are left alone: none is there to set the zero of the scale"
        )));
    }
    Ok(examples)
}

fn rows_of(examples: &[Example]) -> Vec<&[u32]> {
    examples.iter().map(|example| example.ids.as_slice()).collect()
}

/// The mean score of some texts, each member's own put into `members`: with it as zero, an answer as people write it scores
/// zero (Ouyang et al. 2022, section 3.5).
fn centre(model: &mut RewardModel, members: Option<&mut Members>, rows: &[&[u32]], pad_id: u32, budget: usize) -> f64 {
    let count = rows.len().max(1) as f64;
    if let Some(members) = members {
        let found = scores::member_scores_of(model, members, rows, pad_id, budget);
        members.means = (0..members.count()).map(|at| found.iter().map(|of| of[at]).sum::<f64>() / count).collect();
    }
    scores_of(model, rows, pad_id, budget).iter().sum::<f64>() / count
}
