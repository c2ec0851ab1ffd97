//! `laurel-trainer pretrain`: learning running text.

use std::path::PathBuf;

use clap::Args;

use super::{
    Common,
    training::{SettingArgs, TrainingArgs},
};
use crate::train::pretrain::{self, PretrainInputs, PretrainSettings};

/// Teach a model running text
#[derive(Debug, Clone, Args)]
pub struct Pretrain {
    /// The model to start from
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Text to learn: plain files, or records (.jsonl, .json) for the text in them
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    corpus: Vec<PathBuf>,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    settings: SettingArgs<PretrainSettings>,
}

impl Pretrain {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let settings = self.settings.read()?;
        let inputs = PretrainInputs { model: self.model, corpus: self.corpus };
        self.training.run(common, |run, reporter| pretrain::run(&settings, &inputs, run, reporter))
    }
}
