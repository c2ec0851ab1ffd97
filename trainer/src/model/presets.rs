//! Configurations by name, for models that start from nothing.

use serde_json::Map;

use super::{
    config::{Activation, Architecture, DecoderConfig},
    rope::{Rope, RopeScaling},
};

/// The names that [`DecoderConfig::preset`] knows. The number is that of the weights with the vocabulary of the preset.
pub const PRESETS: [&str; 6] = ["gpt2-tiny", "llama-tiny", "qwen2-tiny", "llama-15m", "gpt2-124m", "llama-135m"];

impl DecoderConfig {
    /// A configuration by name; `None` when there is none of this name. The vocabulary is the tokenizer's to set:
    /// [`Self::with_vocabulary`].
    pub fn preset(name: &str) -> Option<Self> {
        use Architecture::{Gpt2, Llama, Qwen2};
        Some(match name {
            "gpt2-tiny" => Self::of(Gpt2, 2048, [64, 256], 4, [4, 4], 512),
            "llama-tiny" => Self::of(Llama, 2048, [64, 176], 4, [4, 2], 512),
            "qwen2-tiny" => Self::of(Qwen2, 2048, [64, 176], 4, [4, 2], 512),
            "llama-15m" => Self::of(Llama, 32_000, [288, 768], 6, [6, 6], 1024),
            "gpt2-124m" => Self::of(Gpt2, 50_257, [768, 3072], 12, [12, 12], 1024),
            "llama-135m" => Self::of(Llama, 49_152, [576, 1536], 30, [9, 3], 2048),
            _ => return None,
        })
    }

    /// The same decoder for a tokenizer's vocabulary and special tokens.
    pub fn with_vocabulary(mut self, size: usize, bos: Option<u32>, eos: Vec<u32>, pad: Option<u32>) -> Self {
        self.vocabulary_size = size;
        self.bos_token_id = bos;
        self.eos_token_ids = eos;
        self.pad_token_id = pad;
        self
    }

    fn of(
        architecture: Architecture,
        vocabulary_size: usize,
        [hidden_size, intermediate_size]: [usize; 2],
        layers: usize,
        [heads, key_value_heads]: [usize; 2],
        context_length: usize,
    ) -> Self {
        let is_gpt2 = architecture == Architecture::Gpt2;
        Self {
            architecture,
            vocabulary_size,
            hidden_size,
            intermediate_size,
            layers,
            heads,
            key_value_heads,
            head_size: hidden_size / heads,
            context_length,
            norm_epsilon: 1e-5,
            activation: if is_gpt2 { Activation::GeluTanh } else { Activation::Silu },
            query_key_value_bias: architecture != Architecture::Llama,
            attention_output_bias: is_gpt2,
            feed_forward_bias: is_gpt2,
            rope: (!is_gpt2).then_some(Rope { theta: 10_000.0, scaling: RopeScaling::None }),
            tied_embeddings: true,
            bos_token_id: None,
            eos_token_ids: vec![],
            pad_token_id: None,
            raw: Map::new(),
        }
    }
}
