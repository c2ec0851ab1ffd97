//! REINFORCE leave-one-out: an answer is better or worse than the others to its prompt (Ahmadian et al. 2024).

use laurel_records::Stage;

use super::{
    Run, Schedule, SettingsError, StageOutcome, StageSettings, TrainError,
    group::{Group, Kind, group_settings},
    metrics::Reporter,
    online::{Online, OnlineInputs, Start},
};

group_settings! {
    /// Settings of RLOO.
    pub struct RlooSettings {
        #[doc = "Price of one nat of divergence from the reference policy, in units of the score; taken off each answer's reward"]
        kl_coefficient: f64 = 0.05,
        #[doc = "Advantages of a rollout are shifted to mean 0 and scaled to deviation 1"]
        normalise_advantages: bool = false,
    }
}

impl RlooSettings {
    fn group(&self) -> Group {
        self.group_of(Kind::Rloo { normalise_advantages: self.normalise_advantages })
    }

    fn check_own(&self) -> Result<(), SettingsError> {
        self.check_group()
    }
}

/// Improves the policy and writes it to `run.out`. Metrics as PPO's where there is the same to tell, else those of TRL's
/// RLOO trainer.
pub fn run(
    settings: &RlooSettings,
    inputs: &OnlineInputs,
    run: &Run,
    reporter: &mut dyn Reporter,
) -> Result<StageOutcome, TrainError> {
    let start = Start::open(&inputs.policy, &inputs.reward, settings.precision, run)?;
    let settings = settings.clone().resolved(start.parameters());
    settings.check()?;
    let online = Online::new(Stage::Rloo, settings.online(), start, &inputs.prompts, run)?;
    online.run("rloo", &settings.group(), &settings, vec![], reporter)
}
