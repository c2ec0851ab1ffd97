//! `laurel-trainer rloo`: a policy learns what a reward model prefers; answers are better or worse than the others to their prompt.

use clap::Args;

use super::{
    Common,
    online::OnlineArgs,
    training::{SettingArgs, TrainingArgs},
};
use crate::train::rloo::{self, RlooSettings};

/// Improve a policy by a reward model without a value model: each answer against the others to its prompt (RLOO)
#[derive(Debug, Clone, Args)]
pub struct Rloo {
    #[command(flatten)]
    inputs: OnlineArgs,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    settings: SettingArgs<RlooSettings>,
}

impl Rloo {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let settings = self.settings.read()?;
        let inputs = self.inputs.into();
        self.training.run(common, |run, reporter| rloo::run(&settings, &inputs, run, reporter))
    }
}
