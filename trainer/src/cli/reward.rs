//! `laurel-trainer reward`: a reward model from rankings.

use std::path::PathBuf;

use clap::Args;

use super::{
    Common,
    training::{SettingArgs, TrainingArgs},
};
use crate::train::reward::{self, RewardInputs, RewardSettings};

/// Teach a model to score answers in the order that people put them in
#[derive(Debug, Clone, Args)]
pub struct Reward {
    /// The model to start from: a policy, which gets a fresh head, or a reward model
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Rankings or comparisons (JSONL; - is standard input); those of the validation split are held out, else a tenth of the prompts
    /// whose answers somebody put apart
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Demonstrations whose mean score becomes the zero of the scale
    #[arg(long, value_name = "FILE")]
    demonstrations: Option<PathBuf>,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    settings: SettingArgs<RewardSettings>,
}

impl Reward {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let settings = self.settings.read()?;
        let inputs = RewardInputs { model: self.model, data: self.data, demonstrations: self.demonstrations };
        self.training.run(common, |run, reporter| reward::run(&settings, &inputs, run, reporter))
    }
}
