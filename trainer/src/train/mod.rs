//! What steps: the stages of training, each from settings and inputs to a model on disk.
//!
//! A stage is a library call: `sft::run(&settings, &inputs, &run, &mut reporter)`. The command line and the nightly worker
//! make the same call; neither is known here. The same seed on the same device gives the same weights, bit for bit, also
//! when the run was killed and resumed.

mod checkpoint;
mod completion;
pub mod console;
mod error;
mod metrics;
mod optimiser;
pub mod ppo;
pub mod pretrain;
pub mod reward;
mod schedule;
pub mod settings;
pub mod sft;
mod split;
mod supervised;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use checkpoint::{Checkpoints, Earlier};
pub use error::TrainError;
pub use metrics::{Reporter, Silent};
pub use optimiser::{Accumulator, Optimiser};
pub use schedule::Schedule;
pub use settings::{LoraChoice, SettingsError, StageSettings};

/// Where and how a stage runs, whatever it learns.
#[derive(Debug, Clone)]
pub struct Run {
    /// Where the model appears when it is whole; checkpoints lie beside it in `<OUT>.checkpoints` until then.
    pub out: PathBuf,
    /// The device without gradients.
    pub device: Device,
    pub seed: u64,
    /// What to do with checkpoints that an earlier run left.
    pub earlier: Earlier,
}

/// A stage that ended with a model.
#[derive(Debug, Clone)]
pub struct StageOutcome {
    /// What was measured, by TRL's names; `…_before` is the same before learning.
    pub metrics: BTreeMap<String, f64>,
    pub out: PathBuf,
}

/// SHA-256 of a file of records, or of the records themselves where they came from standard input.
fn digest_of_data<R: Serialize>(path: &Path, records: &[R]) -> Result<String, TrainError> {
    if path != Path::new("-") {
        return Ok(crate::model::hf::sha256_of_file(path)?);
    }
    let mut hasher = Sha256::new();
    for record in records {
        hasher.update(serde_json::to_vec(record).unwrap_or_default());
        hasher.update(b"\n");
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A number for each purpose and step that depends on the run's seed alone.
fn derived_seed(seed: u64, purpose: &str, number: u64) -> u64 {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(purpose.as_bytes());
    hasher.update(number.to_le_bytes());
    let digest = hasher.finalize();
    u64::from_le_bytes(std::array::from_fn(|index| digest[index]))
}
