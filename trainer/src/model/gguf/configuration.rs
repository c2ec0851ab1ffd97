//! Metadata of a GGUF file → configuration of a decoder.

use serde_json::Map;

use super::{
    super::{
        config::{Activation, Architecture, DecoderConfig},
        error::ModelError,
        rope::{Rope, RopeScaling},
    },
    container::GgufFile,
};

impl GgufFile {
    /// The decoder that the file describes. Refuses architectures and settings that would be computed wrongly.
    pub fn config(&self) -> Result<DecoderConfig, ModelError> {
        let name = self.text("general.architecture").unwrap_or_default().to_string();
        let architecture = match name.as_str() {
            "gpt2" => Architecture::Gpt2,
            "llama" => Architecture::Llama,
            "qwen2" => Architecture::Qwen2,
            other => {
                let message = format!("architecture {other:?} is not supported (gpt2, llama and qwen2 are)");
                return Err(ModelError::malformed(self.path(), message));
            }
        };
        if self.unsigned(&format!("{name}.expert_count")).unwrap_or(0) > 0 {
            return Err(ModelError::malformed(self.path(), "is a mixture of experts, which is not supported"));
        }
        let key = |part: &str| format!("{name}.{part}");
        let need = |part: &str| {
            let found = self.unsigned(&key(part)).map(|value| value as usize);
            found.ok_or_else(|| ModelError::malformed(self.path(), format!("lacks {}", key(part))))
        };
        let heads = need("attention.head_count")?;
        let hidden_size = need("embedding_length")?;
        let head_size = need("attention.key_length").unwrap_or(hidden_size / heads.max(1));
        let is_gpt2 = architecture == Architecture::Gpt2;
        let epsilon = if is_gpt2 { "attention.layer_norm_epsilon" } else { "attention.layer_norm_rms_epsilon" };
        let has = |tensor: &str| self.tensor(tensor).is_some();
        let config = DecoderConfig {
            architecture,
            vocabulary_size: self.vocabulary_size()?,
            hidden_size,
            intermediate_size: need("feed_forward_length")?,
            layers: need("block_count")?,
            heads,
            key_value_heads: need("attention.head_count_kv").unwrap_or(heads),
            head_size,
            context_length: need("context_length")?,
            norm_epsilon: self.float(&key(epsilon)).map_or(1e-5, shortest_decimal),
            activation: if is_gpt2 { Activation::GeluTanh } else { Activation::Silu },
            query_key_value_bias: is_gpt2 || has("blk.0.attn_q.bias"),
            attention_output_bias: is_gpt2 || has("blk.0.attn_output.bias"),
            feed_forward_bias: is_gpt2 || has("blk.0.ffn_up.bias"),
            rope: if is_gpt2 { None } else { Some(self.rope(&name, head_size)?) },
            tied_embeddings: !has("output.weight"),
            bos_token_id: self.token("bos_token_id"),
            eos_token_ids: self.token("eos_token_id").into_iter().chain(self.end_of_turn()).collect(),
            pad_token_id: self.token("padding_token_id"),
            raw: Map::new(),
        };
        // The checks of a config.json hold here too, and the raw fields of one are needed to write the model later.
        let raw = config.to_json();
        DecoderConfig::from_json(raw)
    }

    fn vocabulary_size(&self) -> Result<usize, ModelError> {
        let embedding = self.tensor("token_embd.weight").and_then(|tensor| tensor.shape.first());
        embedding.copied().ok_or_else(|| ModelError::malformed(self.path(), "lacks the tensor token_embd.weight"))
    }

    fn token(&self, name: &str) -> Option<u32> {
        self.unsigned(&format!("tokenizer.ggml.{name}")).map(|id| id as u32)
    }

    /// The end of a turn, where it is another token than the end of text.
    fn end_of_turn(&self) -> Option<u32> {
        self.token("eot_token_id").filter(|id| Some(*id) != self.token("eos_token_id"))
    }

    fn rope(&self, name: &str, head_size: usize) -> Result<Rope, ModelError> {
        let key = |part: &str| format!("{name}.rope.{part}");
        if self.unsigned(&key("dimension_count")).is_some_and(|count| count as usize != head_size) {
            return Err(ModelError::malformed(self.path(), "turns only a part of each head, which is not supported"));
        }
        let theta = self.float(&key("freq_base")).unwrap_or(10_000.0);
        // As llama.cpp reads it: older files call the factor otherwise, 0 says nothing, and a factor without a type is a linear one.
        let factor = self.float(&key("scaling.factor")).or_else(|| self.float(&key("scale_linear")));
        let factor = factor.filter(|factor| *factor != 0.0).unwrap_or(1.0);
        let scaling = match self.text(&key("scaling.type")) {
            _ if self.tensor("rope_freqs.weight").is_some() => self.llama3_scaling(theta, head_size)?,
            Some("none") => RopeScaling::None,
            None if factor == 1.0 => RopeScaling::None,
            Some("linear") | None => RopeScaling::Linear { factor },
            Some(other) => {
                let message = format!("scales its rotary positions by {other:?}, which is not supported");
                return Err(ModelError::malformed(self.path(), message));
            }
        };
        Ok(Rope { theta, scaling })
    }

    /// llama.cpp stores Llama 3's scaling as one divisor for each frequency. Finds the settings that give these, so that
    /// the model can be written as a `config.json` again.
    fn llama3_scaling(&self, theta: f64, head_size: usize) -> Result<RopeScaling, ModelError> {
        let divisors = self.values("rope_freqs.weight", &[head_size / 2])?;
        let factor = divisors.iter().copied().fold(1.0_f32, f32::max) as f64;
        let scaling = RopeScaling::Llama3 {
            factor,
            low_frequency_factor: 1.0,
            high_frequency_factor: 4.0,
            original_context_length: 8192.0,
        };
        let plain = Rope { theta, scaling: RopeScaling::None }.frequencies(head_size);
        let scaled = Rope { theta, scaling: scaling.clone() }.frequencies(head_size);
        let fits = (0..head_size / 2).all(|i| (plain[i] / scaled[i] / divisors[i] - 1.0).abs() < 1e-3);
        if !fits {
            return Err(ModelError::malformed(
                self.path(),
                "scales its rotary positions in a way that is not supported",
            ));
        }
        Ok(scaling)
    }
}

/// The file has 32-bit numbers; 1e-5 should not become 0.000009999999747378752 in a `config.json`.
fn shortest_decimal(value: f64) -> f64 {
    (value as f32).to_string().parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The scaling of rotary positions in a Llama's file with this type and these numbers.
    fn scaling(kind: Option<&str>, numbers: &[(&str, f32)]) -> RopeScaling {
        let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
        let field = |key: &str, kind: u32, value: &[u8]| [&text(key)[..], &kind.to_le_bytes(), value].concat();
        let mut fields = vec![field("general.architecture", 8, &text("llama"))];
        let sizes = [
            ("attention.head_count", 4_u32),
            ("embedding_length", 8),
            ("feed_forward_length", 8),
            ("block_count", 1),
            ("context_length", 64),
        ];
        fields.extend(sizes.map(|(key, size)| field(&format!("llama.{key}"), 4, &size.to_le_bytes())));
        fields.extend(kind.map(|kind| field("llama.rope.scaling.type", 8, &text(kind))));
        fields.extend(numbers.iter().map(|(key, value)| field(&format!("llama.rope.{key}"), 6, &value.to_le_bytes())));
        let counts = [1, fields.len() as u64].map(u64::to_le_bytes).concat();
        let shape = [8, 1].map(u64::to_le_bytes).concat();
        let embedding = [text("token_embd.weight"), 2u32.to_le_bytes().to_vec(), shape, vec![0; 12]].concat();
        let file = [b"GGUF".to_vec(), 3u32.to_le_bytes().to_vec(), counts, fields.concat(), embedding].concat();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.gguf");
        std::fs::write(&path, file).unwrap();
        GgufFile::open(&path).unwrap().config().unwrap().rope.unwrap().scaling
    }

    /// Expected: llama.cpp (`llama_model_base::load_hparams`).
    #[test]
    fn positions_are_scaled_by_what_newer_and_older_files_say() {
        let linear = RopeScaling::Linear { factor: 4.0 };
        let cases = [
            (scaling(None, &[]), RopeScaling::None),
            (scaling(Some("linear"), &[("scaling.factor", 4.0)]), linear.clone()),
            (scaling(None, &[("scaling.factor", 4.0)]), linear.clone()),
            (scaling(None, &[("scale_linear", 4.0)]), linear),
            (scaling(None, &[("scaling.factor", 0.0)]), RopeScaling::None),
            (scaling(Some("none"), &[("scaling.factor", 4.0)]), RopeScaling::None),
        ];
        for (place, (found, expected)) in cases.into_iter().enumerate() {
            assert_eq!(found, expected, "case {place}");
        }
    }
}
