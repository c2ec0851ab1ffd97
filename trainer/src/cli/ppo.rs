//! `laurel-trainer ppo`: a policy learns what a reward model prefers.

use std::path::PathBuf;

use clap::Args;

use super::{
    Common,
    training::{SettingArgs, TrainingArgs},
};
use crate::train::ppo::{self, PpoInputs, PpoSettings};

/// Improve a policy by what a reward model says of its answers
#[derive(Debug, Clone, Args)]
pub struct Ppo {
    /// The policy to improve; as it is, it is also the reference that it is held near
    #[arg(long, value_name = "MODEL")]
    policy: PathBuf,
    /// The reward model; the value model starts from it too, unless --value-model says otherwise
    #[arg(long, value_name = "MODEL")]
    reward: PathBuf,
    /// Prompts to answer (JSONL; - is standard input); those of the validation and test splits are left alone
    #[arg(long, value_name = "FILE")]
    prompts: PathBuf,
    /// Text whose loss is mixed in, so that less is forgotten (PPO-ptx): plain files, or records (.jsonl, .json)
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pretrain: Vec<PathBuf>,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    settings: SettingArgs<PpoSettings>,
}

impl Ppo {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let settings = self.settings.read()?;
        let inputs =
            PpoInputs { policy: self.policy, reward: self.reward, prompts: self.prompts, pretrain: self.pretrain };
        self.training.run(common, |run, reporter| ppo::run(&settings, &inputs, run, reporter))
    }
}
