//! `laurel-trainer dpo`: a policy learns what people preferred, without a reward model.

use std::path::PathBuf;

use clap::Args;

use super::{
    Common,
    training::{SettingArgs, TrainingArgs},
};
use crate::train::dpo::{self, DpoInputs, DpoSettings};

/// Teach a policy what people preferred, straight from their rankings (direct preference optimisation)
#[derive(Debug, Clone, Args)]
pub struct Dpo {
    /// The policy to improve; as it is, it is also the reference that it is held near
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Rankings or comparisons (JSONL; - is standard input); those of the validation split are held out, else a tenth of the prompts
    /// whose answers somebody put apart
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    settings: SettingArgs<DpoSettings>,
}

impl Dpo {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let settings = self.settings.read()?;
        let inputs = DpoInputs { model: self.model, data: self.data };
        self.training.run(common, |run, reporter| dpo::run(&settings, &inputs, run, reporter))
    }
}
