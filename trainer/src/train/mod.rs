//! What steps: the stages of training, each from settings and inputs to a model on disk.
//!
//! A stage is a library call: `sft::run(&settings, &inputs, &run, &mut reporter)`. The command line and the nightly worker
//! make the same call; neither is known here. The same seed on the same device gives the same weights, bit for bit, also
//! when the run was killed and resumed.

pub mod best_of_n;
mod checkpoint;
mod completion;
pub mod console;
pub mod dpo;
mod ema;
mod error;
pub(crate) mod exact;
mod group;
pub mod grpo;
pub mod judge;
mod language_model;
mod learning;
mod loss_scale;
mod metrics;
mod online;
mod optimiser;
pub mod papers;
pub mod ppo;
pub mod pretrain;
mod provenance;
pub mod reward;
pub mod rloo;
mod schedule;
pub mod settings;
pub mod sft;
mod split;
mod stored;
mod supervised;
pub mod tensorboard;
mod written;

use std::{collections::BTreeMap, path::PathBuf};

use burn::tensor::Device;
use sha2::{Digest, Sha256};

use crate::{
    data::ModelTokenizer,
    model::{ModelDirectory, Precision, hf::ensure_free},
};

pub(crate) use checkpoint::room::free_room;
pub use checkpoint::{Cadence, Checkpoints, Earlier, Identity};
pub use ema::Ema;
pub use error::TrainError;
pub use metrics::{Reporter, Sample, Silent};
pub use online::OnlineInputs;
pub(crate) use online::same_tokens;
pub use optimiser::{Accumulator, Optimiser};
pub(crate) use provenance::digest_of_data;
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

impl Run {
    /// Refuses, before anything is read, a place for the model that is taken, and a precision that the device can't compute in.
    fn ensure_possible(&self, precision: Precision) -> Result<(), TrainError> {
        ensure_free(&self.out)?;
        settings::ensure_supported(precision, &self.device)?;
        Ok(())
    }
}

/// A stage that ended with a model.
#[derive(Debug, Clone)]
pub struct StageOutcome {
    /// What was measured, by TRL's names; `…_before` is the same before learning.
    pub metrics: BTreeMap<String, f64>,
    pub out: PathBuf,
}

/// The tokenizer of a model, for sequences of at most `max_length` tokens (0: the model's context).
fn tokenizer_of(directory: &ModelDirectory, max_length: usize) -> Result<ModelTokenizer, TrainError> {
    let tokenizer = ModelTokenizer::open(directory)?;
    Ok(if max_length == 0 { tokenizer } else { tokenizer.with_context_length(max_length) })
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
