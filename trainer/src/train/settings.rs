//! Settings of a training stage: one flat struct each, from defaults, a TOML file, JSON of a job and the command line.
//!
//! How those are laid over one another stands in layers.rs.

mod layers;

use burn::tensor::Device;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use layers::{as_map, from_text, from_toml, read};

use super::schedule::Schedule;
use crate::model::{Precision, hf::WriteOptions, lora::LoraSettings};

/// Models with more weights than this learn through adapters when nobody says otherwise.
const ADAPTERS_ABOVE: usize = 20_000_000;

/// Why settings are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("there is no setting {name:?} here{hint}")]
    Unknown { name: String, hint: String },
    #[error("setting {name}: {message}")]
    Value { name: String, message: String },
    #[error("{file}: {message}")]
    File { file: String, message: String },
}

impl SettingsError {
    /// A value that a field can hold but the stage cannot use.
    pub fn value(name: &str, message: impl Into<String>) -> Self {
        Self::Value { name: name.into(), message: message.into() }
    }
}

/// What all settings structs have in common; implemented by [`stage_settings`].
pub trait StageSettings: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static {
    /// What the struct is called.
    const NAME: &'static str;

    /// The fields in order, each with its documentation: what `--help` says.
    const FIELDS: &'static [(&'static str, &'static str)];

    /// The fields that every stage has.
    fn shared(&self) -> Shared;

    /// The same settings with what depends on the model decided: adapters or not, and the learning rate that goes with them.
    fn resolved(self, parameters: usize) -> Self;

    /// Refuses values that make no sense together or at all.
    fn check(&self) -> Result<(), SettingsError>;
}

/// Whether a stage learns adapters or all weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoraChoice {
    /// Adapters for models of more than 20 million weights, and where one of their settings is named ([`read`]).
    Auto,
    On,
    Off,
}

impl LoraChoice {
    /// The decision for a model of so many weights.
    pub fn decided(self, parameters: usize) -> Self {
        match self {
            Self::Auto if parameters > ADAPTERS_ABOVE => Self::On,
            Self::Auto => Self::Off,
            decided => decided,
        }
    }
}

/// The fields that every stage has, gathered for the code that they share.
#[derive(Debug, Clone)]
pub struct Shared {
    pub learning_rate: f64,
    pub schedule: Schedule,
    pub warmup_ratio: f64,
    pub adam: AdamSettings,
    /// `None`: all weights are learned.
    pub lora: Option<LoraSettings>,
    pub max_length: usize,
    pub micro_batch_tokens: usize,
    pub frozen: Frozen,
    /// Activations of a block are computed again on the way back instead of being kept.
    pub gradient_checkpointing: bool,
    /// What matrix products are computed in.
    pub precision: Precision,
    /// Decay of the moving average of the weights; 0: none is kept.
    pub ema_decay: f64,
    pub save_steps: usize,
    /// Minutes between checkpoints; 0 leaves it to the steps.
    pub save_minutes: f64,
    pub save_limit: usize,
    pub written: WriteOptions,
    /// The adapter is written as PEFT writes one, instead of a model with the adapter in its weights.
    pub save_adapter: bool,
}

/// What of a model is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Frozen {
    pub embeddings: bool,
    /// The first so many layers.
    pub layers: usize,
}

/// AdamW (Loshchilov and Hutter 2019) and the clipping before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamSettings {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
    /// The norm of all gradients together is cut to this; 0 leaves it.
    pub max_grad_norm: f64,
}

impl Shared {
    /// Refuses what no stage can use.
    pub fn check(&self) -> Result<(), SettingsError> {
        let wrong = |name: &str, message: &str| Err(SettingsError::value(name, message));
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return wrong("learning_rate", "must be above 0");
        }
        if !(0.0..=1.0).contains(&self.warmup_ratio) {
            return wrong("warmup_ratio", "must be from 0 to 1: it is a share of all steps");
        }
        for (name, beta) in [("adam_beta1", self.adam.beta1), ("adam_beta2", self.adam.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return wrong(name, "must be at least 0 and below 1");
            }
        }
        if self.adam.epsilon <= 0.0 {
            return wrong("adam_epsilon", "must be above 0");
        }
        if self.adam.weight_decay < 0.0 || self.adam.max_grad_norm < 0.0 {
            return wrong("weight_decay and max_grad_norm", "must not be negative");
        }
        if self.max_length == 1 {
            return wrong("max_length", "must be 0 or at least 2: a token is learned from those before it");
        }
        at_least_one("micro_batch_tokens", self.micro_batch_tokens)?;
        // Here, and not only where adapters begin: those that learn on get this dropout too.
        if self.lora.as_ref().is_some_and(|lora| !(0.0..1.0).contains(&lora.dropout)) {
            return wrong("lora_dropout", "must be at least 0 and below 1");
        }
        if !(0.0..1.0).contains(&self.ema_decay) {
            return wrong("ema_decay", "must be at least 0 and below 1");
        }
        if !(self.save_minutes >= 0.0 && self.save_minutes.is_finite()) {
            return wrong("save_minutes", "must be at least 0");
        }
        if self.written.max_shard_bytes == 0 {
            return wrong("max_shard_gb", "must be above 0");
        }
        if self.save_limit == 0 {
            return wrong("save_limit", "must be at least 1: the last checkpoint is what a run resumes from");
        }
        Ok(())
    }
}

/// Refuses a precision that the device cannot compute in.
pub fn ensure_supported(precision: Precision, device: &Device) -> Result<(), SettingsError> {
    precision.ensure_supported(device).map_err(|error| SettingsError::value("precision", error.to_string()))
}

/// Refuses a count of zero where at least one is needed.
pub(super) fn at_least_one(name: &str, value: usize) -> Result<(), SettingsError> {
    if value == 0 { Err(SettingsError::value(name, "must be at least 1")) } else { Ok(()) }
}

/// Defines the settings struct of a stage: its own fields with their defaults beside them, and the shared ones after.
macro_rules! stage_settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            learning rate $full:literal, with adapters $adapters:literal, schedule $schedule:expr;
            $($own:tt)*
        }
    ) => {
        $crate::train::settings::stage_settings! { @build
            [$(#[$meta])*] $name [$full, $adapters] {
            $($own)*
            #[doc = concat!("Peak learning rate; when not given ", stringify!($full), ", or ", stringify!($adapters), " with adapters")]
            learning_rate: Option<f64> = None,
            #[doc = "How the rate falls after the warm-up: linear (to zero), cosine (to a tenth) or constant"]
            schedule: $crate::train::Schedule = $schedule,
            #[doc = "Share of all steps over which the rate rises from near zero to its peak"]
            warmup_ratio: f64 = 0.03,
            #[doc = "Decoupled weight decay, on matrices only"]
            weight_decay: f64 = 0.0,
            #[doc = "AdamW: decay of the gradients' mean"]
            adam_beta1: f64 = 0.9,
            #[doc = "AdamW: decay of the gradients' square"]
            adam_beta2: f64 = 0.95,
            #[doc = "AdamW: what is added to the root of the squares"]
            adam_epsilon: f64 = 1e-5,
            #[doc = "Norm to which all gradients together are cut; 0 leaves them"]
            max_grad_norm: f64 = 1.0,
            #[doc = "Learn low-rank adapters instead of all weights: auto (above 20 million weights, or where another lora setting is given), on or off"]
            lora: $crate::train::LoraChoice = $crate::train::LoraChoice::Auto,
            #[doc = "Rank of the adapters"]
            lora_rank: usize = 16,
            #[doc = "Strength of the adapters: their product is scaled by alpha / rank"]
            lora_alpha: f64 = 32.0,
            #[doc = "Which linears of a layer get an adapter: q_proj, k_proj, v_proj, o_proj, gate_proj (not in GPT-2), up_proj, down_proj"]
            lora_targets: Vec<String> = $crate::model::lora::TARGETS.map(String::from).to_vec(),
            #[doc = "Dropout on the adapters' input while training; 0 alone in ppo, rloo and grpo, which sample without it"]
            lora_dropout: f64 = 0.0,
            #[doc = "Longest sequence, tokens; 0 is the model's context"]
            max_length: usize = 0,
            #[doc = "Tokens that go through the model at once while it learns: bounds memory, changes no result"]
            micro_batch_tokens: usize = 1024,
            #[doc = "The embeddings stay as they are (and with them an output matrix that is tied to them)"]
            freeze_embeddings: bool = false,
            #[doc = "The first so many layers stay as they are; with adapters, they get none, and those that they have learn no more"]
            freeze_layers: usize = 0,
            #[doc = "Activations are computed again on the way back instead of kept: less memory, a third more time, the same numbers"]
            gradient_checkpointing: bool = false,
            #[doc = "Number format of the matrix products: float32, bfloat16 or float16; weights, losses and optimiser stay float32"]
            precision: $crate::model::Precision = $crate::model::Precision::Float32,
            #[doc = "Decay of a moving average of the weights, which is then what is judged and written; of adapters the two matrices are averaged each by itself, not their product; 0: none"]
            ema_decay: f64 = 0.0,
            #[doc = "A checkpoint is written after every so many steps, by ppo, rloo and grpo before the first too; 0 leaves it to the minutes"]
            save_steps: usize = 25,
            #[doc = "A checkpoint is written when the last one is so many minutes old; 0 leaves it to the steps"]
            save_minutes: f64 = 0.0,
            #[doc = "Checkpoints kept, the newest ones; the best is kept besides (ppo, rloo and grpo: the one whose rollouts had the highest objective/rlhf_reward)"]
            save_limit: usize = 2,
            #[doc = "Number format of the weights that are written: float32, bfloat16 or float16"]
            dtype: $crate::model::hf::WeightFormat = $crate::model::hf::WeightFormat::Float32,
            #[doc = "Weights of more gigabytes are written in shards of at most so many"]
            max_shard_gb: f64 = 5.0,
            #[doc = "The adapter is written as PEFT's files instead of a model with the adapter in its weights"]
            save_adapter: bool = false,
        } }
    };
    (
        @build [$(#[$meta:meta])*] $name:ident [$full:literal, $adapters:literal] {
            $( #[doc = $doc:expr] $field:ident : $type:ty = $default:expr, )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $( #[doc = $doc] pub $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::train::StageSettings for $name {
            const NAME: &'static str = stringify!($name);

            const FIELDS: &'static [(&'static str, &'static str)] = &[$( (stringify!($field), $doc), )*];

            fn shared(&self) -> $crate::train::settings::Shared {
                use $crate::train::LoraChoice;
                let default_rate = if self.lora == LoraChoice::On { $adapters } else { $full };
                $crate::train::settings::Shared {
                    learning_rate: self.learning_rate.unwrap_or(default_rate),
                    schedule: self.schedule,
                    warmup_ratio: self.warmup_ratio,
                    adam: $crate::train::settings::AdamSettings {
                        beta1: self.adam_beta1,
                        beta2: self.adam_beta2,
                        epsilon: self.adam_epsilon,
                        weight_decay: self.weight_decay,
                        max_grad_norm: self.max_grad_norm,
                    },
                    lora: (self.lora == LoraChoice::On).then(|| $crate::model::lora::LoraSettings {
                        rank: self.lora_rank,
                        alpha: self.lora_alpha,
                        targets: self.lora_targets.clone(),
                        dropout: self.lora_dropout,
                        first_layer: self.freeze_layers,
                    }),
                    max_length: self.max_length,
                    micro_batch_tokens: self.micro_batch_tokens,
                    frozen: $crate::train::settings::Frozen {
                        embeddings: self.freeze_embeddings,
                        layers: self.freeze_layers,
                    },
                    gradient_checkpointing: self.gradient_checkpointing,
                    precision: self.precision,
                    ema_decay: self.ema_decay,
                    save_steps: self.save_steps,
                    save_minutes: self.save_minutes,
                    save_limit: self.save_limit,
                    written: $crate::model::hf::WriteOptions {
                        format: self.dtype,
                        max_shard_bytes: (self.max_shard_gb * 1e9) as u64,
                    },
                    save_adapter: self.save_adapter,
                }
            }

            fn resolved(mut self, parameters: usize) -> Self {
                self.lora = self.lora.decided(parameters);
                self.learning_rate = Some($crate::train::StageSettings::shared(&self).learning_rate);
                self
            }

            fn check(&self) -> Result<(), $crate::train::SettingsError> {
                $crate::train::StageSettings::shared(self).check()?;
                if self.save_adapter && self.lora == $crate::train::LoraChoice::Off {
                    let reason = "needs lora = \"on\": without adapters there is none to write";
                    return Err($crate::train::SettingsError::value("save_adapter", reason));
                }
                self.check_own()
            }
        }
    };
}
pub(crate) use stage_settings;

#[cfg(test)]
mod tests;
