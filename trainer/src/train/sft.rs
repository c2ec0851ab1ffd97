//! Supervised fine-tuning: a policy learns the answers that people wrote (Ouyang et al. 2022, section 3.5).

use std::path::PathBuf;

use burn::module::Module;
use laurel_records::{DemonstrationRecord, Stage};

use super::{
    Run, Schedule, SettingsError, StageOutcome, StageSettings, TrainError,
    completion::Completions,
    language_model::{LanguageModelStage, say_what_is_learned},
    metrics::Reporter,
    provenance::digest_of_data,
    settings::{at_least_one, stage_settings},
    split::divide,
    supervised::plan_of,
    tokenizer_of,
};
use crate::{
    data::{Example, records},
    model::{ModelDirectory, hf::ensure_free},
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
        #[doc = "The run ends after so many evaluations in a row without a better one; 0: never before its last step"]
        patience: usize = 0,
    }
}

impl SftSettings {
    fn check_own(&self) -> Result<(), SettingsError> {
        at_least_one("epochs", self.epochs)?;
        at_least_one("batch_size", self.batch_size)
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
    let plan = plan_of!(settings);
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

    let stage = LanguageModelStage {
        name: "sft",
        settings: &settings,
        plan: &plan,
        directory: &directory,
        data: ("data", data),
    };
    stage.run(decoder, &objective, run, reporter)
}

/// The text of the answer.
fn answer(record: &DemonstrationRecord) -> &str {
    record.completion.last().map_or("", |message| &message.content)
}
