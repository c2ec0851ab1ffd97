//! Proximal policy optimisation against a reward model, with a price on leaving the reference policy (Ouyang et al. 2022,
//! eq. 2; Schulman et al. 2017; details after Ziegler et al. 2019 and Huang et al. 2024).

mod estimates;
mod learners;
mod learning;
mod settings;

use std::{collections::BTreeMap, path::PathBuf};

use laurel_records::{LogLevel, Stage};

pub use learners::ValueModel;
pub use settings::PpoSettings;

use super::{
    Run, StageOutcome, StageSettings, TrainError,
    metrics::Reporter,
    online::{Method, Online, Rollout, Start, Step},
    pretrain::{blocks, documents_of},
    stored::Tensors,
};
use crate::{
    data::{Example, corpus},
    model::Decoder,
};
use estimates::Estimates;
use learners::Learners;
use learning::Lesson;

/// Where the stage starts from, and what it answers.
#[derive(Debug, Clone)]
pub struct PpoInputs {
    /// The policy to improve; as it is now, it is also the reference.
    pub policy: PathBuf,
    /// Scores the answers, and is where the value model starts unless the settings say otherwise.
    pub reward: PathBuf,
    /// Prompts, JSONL.
    pub prompts: PathBuf,
    /// Plain text whose loss is mixed in (PPO-ptx); empty: none.
    pub pretrain: Vec<PathBuf>,
}

/// Improves the policy and writes it to `run.out`. Metrics of the last step under TRL's names, `objective/…` of answers that the
/// policy gives as it is written; `objective/scores_before` and `objective/length_before` are of the first rollout, which the
/// reference policy wrote.
pub fn run(
    settings: &PpoSettings,
    inputs: &PpoInputs,
    run: &Run,
    reporter: &mut dyn Reporter,
) -> Result<StageOutcome, TrainError> {
    let start = Start::open(&inputs.policy, &inputs.reward, settings.precision, run)?;
    let settings = settings.clone().resolved(start.parameters());
    settings.check()?;
    let documents = documents_of(&inputs.pretrain)?;
    let mut pretraining = blocks(&start.tokenizer_of_text(&settings.shared())?, &documents, settings.ptx_block_length);
    let mut digests = vec![];
    if !inputs.pretrain.is_empty() {
        if pretraining.is_empty() {
            let text = "the pretraining text (--pretrain) holds nothing to learn: give it more than one token, or leave it out";
            return Err(TrainError::Input(text.into()));
        }
        if settings.ptx_coefficient == 0.0 {
            reporter.log(LogLevel::Warning, "ptx_coefficient is 0: nothing of the pretraining text is mixed in");
            pretraining.clear();
        } else {
            let text = match pretraining.len() {
                1 => "1 block of pretraining text is mixed in".to_owned(),
                count => format!("{count} blocks of pretraining text are mixed in"),
            };
            reporter.log(LogLevel::Info, &text);
        }
        digests.push(("pretraining text", corpus::digest(&documents)));
    }
    let online = Online::new(Stage::Ppo, settings.online(), start, &inputs.prompts, run)?;
    online.run("ppo", &Ppo { settings: &settings, pretraining: &pretraining }, &settings, digests, reporter)
}

/// PPO as a method: a value model beside the policy, or on its trunk.
struct Ppo<'a> {
    settings: &'a PpoSettings,
    /// Blocks of pretraining text; empty without PPO-ptx.
    pretraining: &'a [Example],
}

impl Method for Ppo<'_> {
    type Learners = Learners;

    fn start(&self, online: &Online) -> Result<Learners, TrainError> {
        Learners::start(self.settings.value_model, &online.start, &online.settings.shared, online.run.seed)
    }

    fn policy<'a>(&self, learners: &'a Learners) -> &'a Decoder {
        learners.policy()
    }

    fn learned(&self, learners: &Learners) -> u64 {
        learners.learned()
    }

    fn learn(
        &self,
        learners: Learners,
        rollout: &Rollout,
        step: &Step,
    ) -> Result<(Learners, BTreeMap<String, f64>), TrainError> {
        let values = learners.values(rollout);
        let estimates = Estimates::new(rollout, values, step.coefficient, self.settings);
        let lesson =
            Lesson { settings: self.settings, step, rollout, estimates: &estimates, pretraining: self.pretraining };
        let (learners, losses) = lesson.learn(learners)?;
        let mut metrics = estimates.metrics();
        metrics.extend(losses.metrics(self.pretraining.is_empty()));
        metrics.extend(learners.loss_scales());
        Ok((learners, metrics))
    }

    fn store(&self, learners: &Learners, tensors: &mut Tensors) {
        learners.store(tensors);
    }

    fn restore(&self, learners: Learners, tensors: &mut Tensors) -> Result<Learners, TrainError> {
        learners.restore(tensors)
    }
}
