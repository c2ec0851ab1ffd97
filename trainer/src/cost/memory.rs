//! Bytes that training keeps for each parameter: weights, gradients, Adam's two moments. Activations, logits and caches come on
//! top and depend on batch and length.

/// What numbers are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Everything in float32.
    Float32,
    /// Weights and gradients in 16 bits, a float32 copy of the weights and Adam's moments (Micikevicius et al. 2018).
    Mixed,
}

impl Precision {
    pub const ALL: [Self; 2] = [Self::Float32, Self::Mixed];

    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Mixed => "mixed",
        }
    }

    /// A model that is only asked.
    fn frozen(self) -> f64 {
        match self {
            Self::Float32 => 4.0,
            Self::Mixed => 2.0,
        }
    }

    /// A model that learns, with Adam: 4 + 4 + 8, or 2 + 2 + 4 + 8 (Rajbhandari et al. 2020, section 3.1).
    fn trained(self) -> f64 {
        match self {
            Self::Float32 => 4.0 + 4.0 + 8.0,
            Self::Mixed => 2.0 + 2.0 + 4.0 + 8.0,
        }
    }
}

/// What models are held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Generate,
    /// SFT and reward model: one model that learns.
    Sft,
    /// A policy that learns, and a reference.
    Dpo,
    /// Policy and value model that learn, reference and reward model, all of one size.
    Ppo,
    /// The same, where adapters learn instead (LoRA): of policy and value model, on one frozen model that is the reference, too.
    PpoAdapters,
}

impl Use {
    pub const ALL: [Self; 5] = [Self::Generate, Self::Sft, Self::Dpo, Self::Ppo, Self::PpoAdapters];

    pub fn name(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Sft => "sft or reward",
            Self::Dpo => "dpo",
            Self::Ppo => "ppo",
            Self::PpoAdapters => "ppo with adapters",
        }
    }
}

/// Bytes for each parameter of the model. `adapters`: their parameters as a share of the model's.
pub fn bytes_per_parameter(of: Use, precision: Precision, adapters: f64) -> f64 {
    let (trained, frozen) = (precision.trained(), precision.frozen());
    match of {
        Use::Generate => frozen,
        Use::Sft => trained,
        Use::Dpo => trained + frozen,
        Use::Ppo => 2.0 * trained + 2.0 * frozen,
        Use::PpoAdapters => 2.0 * frozen + 2.0 * trained * adapters,
    }
}
