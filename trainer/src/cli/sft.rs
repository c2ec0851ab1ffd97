//! `laurel-trainer sft`: supervised fine-tuning on demonstrations.

use std::path::PathBuf;

use clap::Args;

use super::{
    Common,
    training::{SettingArgs, TrainingArgs},
};
use crate::train::sft::{self, SftInputs, SftSettings};

/// Teach a model the answers that people wrote
#[derive(Debug, Clone, Args)]
pub struct Sft {
    /// The model to start from: a Hugging Face directory or a GGUF file
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Demonstrations (JSONL; - is standard input); those of the validation split are held out, else a tenth of the prompts
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// A reward model that judges answers to the held-out prompts at each evaluation (see --best-by)
    #[arg(long, value_name = "MODEL")]
    reward: Option<PathBuf>,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    settings: SettingArgs<SftSettings>,
}

impl Sft {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let settings = self.settings.read()?;
        let inputs = SftInputs { model: self.model, data: self.data, reward: self.reward };
        self.training.run(common, |run, reporter| sft::run(&settings, &inputs, run, reporter))
    }
}
