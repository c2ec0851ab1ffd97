//! What a method starts from, and one step of it.

use std::path::Path;

use burn::module::Module;

use super::{
    super::{Run, TrainError, derived_seed, settings::Shared, tokenizer_of},
    Online,
    prompts::{bounded_by, same_tokens},
};
use crate::{
    data::{ModelTokenizer, Order},
    model::{Decoder, ModelDirectory, Precision, RewardModel},
};

/// One step, for the method that learns in it.
pub struct Step<'a> {
    pub online: &'a Online<'a>,
    /// From 0.
    pub number: usize,
    /// β, the price of one nat of divergence, as it stands now.
    pub coefficient: f64,
}

impl Step<'_> {
    /// The learning rate of this step, for a peak.
    pub fn rate(&self, peak: f64) -> f64 {
        let (shared, total) = (&self.online.settings.shared, self.online.settings.steps);
        let warmup = (shared.warmup_ratio * total as f64).round() as usize;
        shared.schedule.rate(peak, self.number, total, warmup)
    }

    /// The minibatches of the step in order, `epochs` passes over the rollout's answers, each in an order of its own.
    pub fn minibatches(&self, answers: usize, epochs: usize, size: usize) -> Vec<Vec<usize>> {
        let order = Order::new(answers, derived_seed(self.online.run.seed, "minibatches", self.number as u64));
        let epochs = (0..epochs).map(|epoch| order.epoch(epoch as u64));
        epochs.flat_map(|order| order.chunks(size).map(<[usize]>::to_vec).collect::<Vec<_>>()).collect()
    }

    /// A seed for one purpose in this step.
    pub fn seed(&self, purpose: &str, number: u64) -> u64 {
        derived_seed(self.online.run.seed, purpose, self.number as u64 * 1_000_003 + number)
    }
}

/// The models that a run starts from, opened and checked against each other.
pub struct Start {
    pub(super) directory: ModelDirectory,
    pub reference: Decoder,
    pub(super) reward_directory: ModelDirectory,
    pub reward: RewardModel,
}

impl Start {
    /// All of them compute in `precision`.
    pub fn open(policy: &Path, reward: &Path, precision: Precision, run: &Run) -> Result<Self, TrainError> {
        run.ensure_possible(precision)?;
        let directory = ModelDirectory::open(policy)?;
        let reference = directory.load_decoder_to_learn(&run.device)?.with_precision(precision);
        let reward_directory = ModelDirectory::open(reward)?;
        let reward = reward_directory.load_reward_model(&run.device)?.with_precision(precision);
        same_tokens(&directory, &reward_directory)?;
        Ok(Self { directory, reference, reward_directory, reward })
    }

    /// Weights of the policy.
    pub fn parameters(&self) -> usize {
        self.reference.num_params()
    }

    /// The policy's tokenizer, for sequences that the reward model can read too.
    pub fn tokenizer(&self, shared: &Shared) -> Result<ModelTokenizer, TrainError> {
        Ok(self.tokenizer_of_text(shared)?.with_context_length(self.reward_directory.config().context_length))
    }

    /// The policy's tokenizer, for text that nobody else reads.
    pub fn tokenizer_of_text(&self, shared: &Shared) -> Result<ModelTokenizer, TrainError> {
        tokenizer_of(&self.directory, shared.max_length)
    }

    /// What is to be said where the reward model bounds those sequences.
    pub fn bounded(&self, shared: &Shared) -> Option<String> {
        let own = self.directory.config().context_length;
        let tokens = if shared.max_length == 0 { own } else { own.min(shared.max_length) };
        bounded_by(&self.reward_directory, tokens)
    }
}
