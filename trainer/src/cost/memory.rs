//! Bytes that training keeps for each parameter: weights, gradients, Adam's two moments. Activations, logits and caches come on
//! top and depend on batch and length.

/// What numbers are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Everything in float32.
    Float32,
    /// Products in bfloat16 or float16; weights, gradients and Adam's moments in float32: what `precision` does in training,
    /// and PyTorch's autocast.
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

    /// A model that writes answers and does nothing else: its weights are kept as its products take them, on the CPU beside the
    /// float32 ones.
    fn answering(self, on_cpu: bool) -> f64 {
        match self {
            Self::Float32 => 4.0,
            Self::Mixed if on_cpu => 6.0,
            Self::Mixed => 2.0,
        }
    }

    /// What products leave behind for the way back beside each float32 weight: its 16-bit copy; nothing on the CPU, which rounds
    /// as it multiplies.
    fn copies(self, on_cpu: bool) -> f64 {
        match self {
            Self::Mixed if !on_cpu => 2.0,
            Self::Float32 | Self::Mixed => 0.0,
        }
    }

    /// A model that learns, with Adam: weights 4, gradients 4, moments 8 (Rajbhandari et al. 2020, section 3.1, whose 16-bit
    /// gradients make it 16 with the copies too).
    fn trained(self, on_cpu: bool) -> f64 {
        4.0 + self.copies(on_cpu) + 4.0 + 8.0
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
pub fn bytes_per_parameter(of: Use, precision: Precision, on_cpu: bool, adapters: f64) -> f64 {
    // A model that is asked beside those that learn is float32 in either: it casts for each product.
    let (trained, asked) = (precision.trained(on_cpu), 4.0);
    match of {
        Use::Generate => precision.answering(on_cpu),
        Use::Sft => trained,
        Use::Dpo => trained + asked,
        Use::Ppo => 2.0 * trained + 2.0 * asked,
        Use::PpoAdapters => 2.0 * (asked + precision.copies(on_cpu)) + 2.0 * trained * adapters,
    }
}
