//! Supervised fine-tuning: a policy learns the answers that people wrote (Ouyang et al. 2022, section 3.5).

use std::{collections::BTreeMap, path::PathBuf};

use burn::module::Module;
use laurel_records::{DemonstrationRecord, LogLevel, Stage};

use super::{
    Run, Schedule, SettingsError, StageOutcome, StageSettings, TrainError,
    checkpoint::Identity,
    completion::Completions,
    digest_of_data,
    metrics::Reporter,
    settings::{as_map, at_least_one, stage_settings},
    split::divide,
    supervised::{Learned, Plan, learn},
};
use crate::{
    data::{Example, ModelTokenizer, records},
    model::{
        ModelDirectory,
        hf::{Lineage, ensure_free, write_decoder},
    },
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
        #[doc = "Several short demonstrations share a row, without seeing each other"]
        packing: bool = false,
        #[doc = "The held-out demonstrations are judged after every so many steps; 0: after each epoch"]
        eval_steps: usize = 0,
    }
}

impl SftSettings {
    fn check_own(&self) -> Result<(), SettingsError> {
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)
    }

    fn plan(&self) -> Plan {
        Plan {
            epochs: self.epochs,
            steps: self.steps,
            batch_size: self.batch_size,
            eval_steps: self.eval_steps,
            shared: self.shared(),
        }
    }
}

/// Where the stage starts from, and what it learns.
#[derive(Debug, Clone)]
pub struct SftInputs {
    pub model: PathBuf,
    /// Demonstrations, JSONL.
    pub data: PathBuf,
}

/// Learns the demonstrations and writes the policy to `run.out`.
///
/// The loss is over the tokens of the answers alone, a mean over the whole batch; the weights that are written are those
/// that were best on the held-out demonstrations. Metrics: `eval/nll`, `eval/perplexity`, both also `…_before`.
pub fn run(
    settings: &SftSettings,
    inputs: &SftInputs,
    run: &Run,
    reporter: &mut dyn Reporter,
) -> Result<StageOutcome, TrainError> {
    ensure_free(&run.out)?;
    let directory = ModelDirectory::open(&inputs.model)?;
    let decoder = directory.load_decoder(&run.device)?;
    let settings = settings.clone().resolved(decoder.num_params());
    settings.check()?;
    let plan = settings.plan();
    let tokenizer = tokenizer_of(&directory, plan.shared.max_length)?;

    let records = records::demonstrations(&inputs.data)?;
    let data = digest_of_data(&inputs.data, &records)?;
    let (learned, held_out) = divide(records, run.seed);
    let examples = |records: &[DemonstrationRecord]| -> Result<Vec<Example>, TrainError> {
        records.iter().map(|record| Ok(tokenizer.example(&record.prompt, answer(record))?)).collect()
    };
    let objective = Completions {
        stage: Stage::Sft,
        learned: examples(&learned)?,
        held_out: examples(&held_out)?,
        pad_id: tokenizer.pad_id(),
        packing: settings.packing,
        micro_batch_tokens: plan.shared.micro_batch_tokens,
    };
    if objective.learned.is_empty() {
        return Err(TrainError::Input(format!("{} holds no demonstration to learn from", inputs.data.display())));
    }
    say_what_is_learned(&objective, &tokenizer, "demonstrations", reporter);

    let mut decoder = decoder;
    if let Some(lora) = &plan.shared.lora {
        decoder = decoder.with_lora(lora, run.seed)?;
    }
    let parent = directory.digest()?;
    let identity = Identity {
        stage: "sft".into(),
        inputs: BTreeMap::from([("model".into(), parent.clone()), ("data".into(), data.clone())]),
        seed: run.seed,
        settings: as_map(&settings),
    };
    let Learned { model, metrics, checkpoints } = learn(&objective, decoder, &plan, run, identity, reporter)?;
    let lineage = lineage_of("sft", parent, data, &settings, run.seed, &metrics);
    write_decoder(&run.out, &model, &directory.companions()?, &lineage)?;
    checkpoints.remove()?;
    Ok(StageOutcome { metrics, out: run.out.clone() })
}

/// The text of the answer.
fn answer(record: &DemonstrationRecord) -> &str {
    record.completion.last().map_or("", |message| &message.content)
}

/// The tokenizer of a model, for sequences of at most `max_length` tokens (0: the model's context).
pub(super) fn tokenizer_of(directory: &ModelDirectory, max_length: usize) -> Result<ModelTokenizer, TrainError> {
    let tokenizer = ModelTokenizer::open(directory)?;
    Ok(if max_length == 0 { tokenizer } else { tokenizer.with_context_length(max_length) })
}

/// What `laurel.json` says of a model that was learned.
pub(super) fn lineage_of(
    stage: &str,
    parent: String,
    data: String,
    settings: &impl StageSettings,
    seed: u64,
    metrics: &BTreeMap<String, f64>,
) -> Lineage {
    let mut settings = as_map(settings);
    settings.insert("seed".into(), seed.into());
    Lineage {
        parent: Some(parent),
        data: Some(data),
        settings: settings.into(),
        metrics: serde_json::to_value(metrics).unwrap_or_default(),
        ..Lineage::of(stage)
    }
}

pub(super) fn say_what_is_learned(
    objective: &Completions,
    tokenizer: &ModelTokenizer,
    what: &str,
    reporter: &mut dyn Reporter,
) {
    let (learned, held_out) = (objective.learned.len(), objective.held_out.len());
    reporter.log(LogLevel::Info, &format!("learning from {learned} {what}, judging by {held_out} held out"));
    if tokenizer.cuts() > 0 {
        let text = format!("{} conversations are longer than the context and were cut", tokenizer.cuts());
        reporter.log(LogLevel::Warning, &text);
    }
    if held_out == 0 {
        reporter.log(LogLevel::Warning, "nothing is held out: the last weights are kept, whether or not they are best");
    }
}
