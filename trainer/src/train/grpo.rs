//! Group relative policy optimisation: an answer's advantage is its score against the mean of the answers to its prompt, in
//! units of their deviation; the price of divergence is part of the loss (Shao et al. 2024).

use laurel_records::Stage;
use serde::{Deserialize, Serialize};

use super::{
    Run, Schedule, SettingsError, StageOutcome, StageSettings, TrainError,
    group::{Group, Kind, Weighting, group_settings},
    metrics::Reporter,
    online::{Online, OnlineInputs, Start},
};

/// How much a token counts, under TRL's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossType {
    /// A mean over the answers of the mean over their tokens (Shao et al. 2024): long bad answers are punished less a token.
    Grpo,
    /// A mean over all tokens (Yu et al. 2025).
    Dapo,
    /// A sum over the tokens, divided by what all answers could have had (Liu et al. 2025).
    DrGrpo,
}

group_settings! {
    /// Settings of GRPO.
    pub struct GrpoSettings {
        #[doc = "Price of one nat of divergence from the reference policy a token (k3), in the loss"]
        kl_coefficient: f64 = 0.04,
        #[doc = "How much a token counts: grpo (every answer the same), dapo (every token the same) or dr_grpo (every token the same, whatever the lengths)"]
        loss_type: LossType = LossType::Dapo,
        #[doc = "Advantages are divided by the deviation of the scores of the answers to a prompt"]
        scale_rewards: bool = true,
    }
}

impl GrpoSettings {
    fn group(&self) -> Group {
        let weighting = match self.loss_type {
            LossType::Grpo => Weighting::Answers,
            LossType::Dapo => Weighting::Tokens,
            LossType::DrGrpo => Weighting::Constant(self.max_new_tokens as f64),
        };
        self.group_of(Kind::Grpo { scale_rewards: self.scale_rewards, weighting })
    }

    fn check_own(&self) -> Result<(), SettingsError> {
        self.check_group()
    }
}

/// Improves the policy and writes it to `run.out`. Metrics as PPO's where there is the same to tell, else those of TRL's
/// GRPO trainer.
pub fn run(
    settings: &GrpoSettings,
    inputs: &OnlineInputs,
    run: &Run,
    reporter: &mut dyn Reporter,
) -> Result<StageOutcome, TrainError> {
    let start = Start::open(&inputs.policy, &inputs.reward, settings.precision, run)?;
    let settings = settings.clone().resolved(start.parameters());
    settings.check()?;
    let online = Online::new(Stage::Grpo, settings.online(), start, &inputs.prompts, run)?;
    online.run("grpo", &settings.group(), &settings, vec![], reporter)
}
