//! What the commands take that learn from a policy's own answers.

use std::path::PathBuf;

use clap::Args;

use crate::train::OnlineInputs;

/// The models and prompts of such a command.
#[derive(Debug, Clone, Args)]
pub struct OnlineArgs {
    /// The policy to improve; as it is, it is also the reference that it is held near
    #[arg(long, value_name = "MODEL")]
    policy: PathBuf,
    /// The reward model
    #[arg(long, value_name = "MODEL")]
    reward: PathBuf,
    /// Prompts to answer (JSONL; - is standard input); those of the validation and test splits are left alone
    #[arg(long, value_name = "FILE")]
    prompts: PathBuf,
}

impl From<OnlineArgs> for OnlineInputs {
    fn from(OnlineArgs { policy, reward, prompts }: OnlineArgs) -> Self {
        Self { policy, reward, prompts }
    }
}
