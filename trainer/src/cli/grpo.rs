//! `laurel-trainer grpo`: a policy learns what a reward model prefers; advantages within groups of answers.

use clap::Args;

use super::{
    Common,
    online::OnlineArgs,
    training::{SettingArgs, TrainingArgs},
};
use crate::train::grpo::{self, GrpoSettings};

/// Improve a policy by a reward model without a value model: advantages within groups of answers (GRPO)
#[derive(Debug, Clone, Args)]
pub struct Grpo {
    #[command(flatten)]
    inputs: OnlineArgs,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    settings: SettingArgs<GrpoSettings>,
}

impl Grpo {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let settings = self.settings.read()?;
        let inputs = self.inputs.into();
        self.training.run(common, |run, reporter| grpo::run(&settings, &inputs, run, reporter))
    }
}
