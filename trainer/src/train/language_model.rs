//! What the two stages that learn a language model share, pretraining and SFT: from completions to the model on disk.

use laurel_records::LogLevel;

use super::{
    Run, StageOutcome, StageSettings, TrainError,
    completion::Completions,
    learning::to_learn,
    metrics::{Reporter, warn_of_cuts},
    provenance::{identity_of, lineage_of},
    supervised::{Learned, Plan, learn},
    written::write_policy,
};
use crate::{
    data::ModelTokenizer,
    model::{Decoder, ModelDirectory},
    terminal::counted,
};

/// A stage with all that it needs to begin.
pub(super) struct LanguageModelStage<'a, S> {
    /// As `laurel.json` names it.
    pub name: &'static str,
    pub settings: &'a S,
    pub plan: &'a Plan,
    pub directory: &'a ModelDirectory,
    pub tokenizer: &'a ModelTokenizer,
    /// What the data are called, and their digest.
    pub data: (&'static str, String),
    /// Digest of the reward model that judges, where there is one.
    pub judge: Option<String>,
}

impl<S: StageSettings> LanguageModelStage<'_, S> {
    /// Learns, with adapters where the plan says so, and writes the model to `run.out`.
    pub fn run(
        self,
        decoder: Decoder,
        objective: &Completions,
        run: &Run,
        reporter: &mut dyn Reporter,
    ) -> Result<StageOutcome, TrainError> {
        let decoder = to_learn(decoder, &self.plan.shared, run.seed)?;
        let (parent, (called, data)) = (self.directory.digest()?, self.data);
        let judge = self.judge.map(|digest| ("reward", digest));
        let inputs = [("model", parent.clone()), (called, data.clone())].into_iter().chain(judge);
        let identity = identity_of(self.name, inputs, self.settings, run.seed);
        let Learned { model, metrics, checkpoints } = learn(objective, decoder, self.plan, run, identity, reporter)?;
        let lineage = lineage_of(self.name, parent, data, self.settings, run.seed, &metrics);
        write_policy(run, &model, self.directory, self.tokenizer, &lineage, &self.plan.shared)
            .map_err(|error| checkpoints.model_not_written(error))?;
        checkpoints.remove()?;
        Ok(StageOutcome { metrics, out: run.out.clone() })
    }
}

/// Tells how much there is to learn from, and what is amiss with it; `what` names one of the items.
pub(super) fn say_what_is_learned(
    objective: &Completions,
    tokenizer: &ModelTokenizer,
    what: &str,
    reporter: &mut dyn Reporter,
) {
    let (learned, held_out) = (objective.learned.len(), objective.held_out.len());
    let learned = counted(learned, what);
    reporter.log(LogLevel::Info, &format!("learning from {learned}, judging by {held_out} held out"));
    warn_of_cuts(tokenizer.cuts(), reporter);
    if held_out == 0 {
        reporter.log(LogLevel::Warning, "nothing is held out: the last weights are kept, whether or not they are best");
    }
}
