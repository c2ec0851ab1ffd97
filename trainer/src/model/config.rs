//! The shape of a decoder, read from and written to the `config.json` of Hugging Face transformers.

mod activation;
mod fields;

use serde_json::{Map, Value, json};

use super::{error::ModelError, rope::Rope};

pub use activation::Activation;
pub(crate) use fields::tokens;
use fields::{checked_tokens, count, flag, lacks, list, needed_count};
pub(super) use fields::{number, object, text};

/// The largest size of anything: token ids and positions are counted in 32 bits.
const LARGEST: usize = i32::MAX as usize;

/// The families of decoder-only transformers that share our blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Learned positions, layer norm, biases everywhere, GELU.
    Gpt2,
    /// Rotary positions, RMS norm, gated SiLU, no biases by default.
    Llama,
    /// As Llama, with biases on q, k and v.
    Qwen2,
}

impl Architecture {
    /// The `model_type` of `config.json`.
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Gpt2 => "gpt2",
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
        }
    }

    fn class_prefix(self) -> &'static str {
        match self {
            Self::Gpt2 => "GPT2",
            Self::Llama => "Llama",
            Self::Qwen2 => "Qwen2",
        }
    }

    /// The class of the language model, as in `architectures`.
    pub fn language_model_class(self) -> String {
        let suffix = if self == Self::Gpt2 { "LMHeadModel" } else { "ForCausalLM" };
        format!("{}{suffix}", self.class_prefix())
    }

    /// The class of the reward model, as in `architectures`.
    pub fn reward_model_class(self) -> String {
        format!("{}ForSequenceClassification", self.class_prefix())
    }

    fn from_config(config: &Map<String, Value>) -> Result<Self, ModelError> {
        let model_type = text(config, "model_type")?.unwrap_or_default();
        let class =
            config.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str).unwrap_or_default();
        match (model_type, class) {
            ("gpt2", _) => Ok(Self::Gpt2),
            ("llama", _) => Ok(Self::Llama),
            ("qwen2", _) => Ok(Self::Qwen2),
            ("", class) if class.starts_with("GPT2") => Ok(Self::Gpt2),
            ("", class) if class.starts_with("Llama") => Ok(Self::Llama),
            ("", class) if class.starts_with("Qwen2") => Ok(Self::Qwen2),
            _ => Err(ModelError::Unsupported(format!(
                "architecture {:?} is not supported; supported are GPT2LMHeadModel, LlamaForCausalLM and Qwen2ForCausalLM",
                if class.is_empty() { model_type } else { class }
            ))),
        }
    }
}

/// Everything that decides a decoder's tensors and its arithmetic.
#[derive(Debug, Clone, PartialEq)]
pub struct DecoderConfig {
    pub architecture: Architecture,
    pub vocabulary_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub layers: usize,
    pub heads: usize,
    pub key_value_heads: usize,
    pub head_size: usize,
    /// The longest sequence in tokens.
    pub context_length: usize,
    pub norm_epsilon: f64,
    pub activation: Activation,
    /// Biases on q, k and v.
    pub query_key_value_bias: bool,
    /// A bias on the projection that follows attention.
    pub attention_output_bias: bool,
    /// Biases in the feed-forward block.
    pub feed_forward_bias: bool,
    /// Rotary positions; `None` means learned ones (GPT-2).
    pub rope: Option<Rope>,
    /// The output matrix is the embedding's.
    pub tied_embeddings: bool,
    pub bos_token_id: Option<u32>,
    /// Tokens that end a text; several for models with an end-of-turn token of its own.
    pub eos_token_ids: Vec<u32>,
    pub pad_token_id: Option<u32>,
    /// `config.json` as it was read, so that what we do not use is written back unchanged.
    pub raw: Map<String, Value>,
}

impl DecoderConfig {
    /// Reads the content of a `config.json`. Refuses what the decoder would compute wrongly.
    pub fn from_json(raw: Map<String, Value>) -> Result<Self, ModelError> {
        let architecture = Architecture::from_config(&raw)?;
        refuse_unsupported(architecture, &raw)?;
        let mut config = match architecture {
            Architecture::Gpt2 => Self::gpt2_from_json(&raw)?,
            Architecture::Llama | Architecture::Qwen2 => Self::llama_from_json(architecture, &raw)?,
        };
        config.bos_token_id = checked_tokens(&raw, "bos_token_id")?.first().copied();
        config.eos_token_ids = checked_tokens(&raw, "eos_token_id")?;
        config.pad_token_id = checked_tokens(&raw, "pad_token_id")?.first().copied();
        config.raw = raw;
        config.check()?;
        Ok(config)
    }

    fn gpt2_from_json(raw: &Map<String, Value>) -> Result<Self, ModelError> {
        let hidden_size = needed_count(raw, "n_embd")?;
        let heads = needed_count(raw, "n_head")?;
        Ok(Self {
            architecture: Architecture::Gpt2,
            vocabulary_size: needed_count(raw, "vocab_size")?,
            hidden_size,
            intermediate_size: count(raw, "n_inner")?.unwrap_or(hidden_size.saturating_mul(4)),
            layers: needed_count(raw, "n_layer")?,
            heads,
            key_value_heads: heads,
            head_size: hidden_size / heads.max(1),
            context_length: count(raw, "n_positions")?.or(count(raw, "n_ctx")?).ok_or_else(|| lacks("n_positions"))?,
            norm_epsilon: number(raw, "layer_norm_epsilon")?.unwrap_or(1e-5),
            activation: Activation::parse(text(raw, "activation_function")?.unwrap_or("gelu_new"))?,
            query_key_value_bias: true,
            attention_output_bias: true,
            feed_forward_bias: true,
            rope: None,
            tied_embeddings: flag(raw, "tie_word_embeddings")?.unwrap_or(true),
            bos_token_id: None,
            eos_token_ids: vec![],
            pad_token_id: None,
            raw: Map::new(),
        })
    }

    fn llama_from_json(architecture: Architecture, raw: &Map<String, Value>) -> Result<Self, ModelError> {
        let hidden_size = needed_count(raw, "hidden_size")?;
        let heads = needed_count(raw, "num_attention_heads")?;
        let attention_bias = flag(raw, "attention_bias")?.unwrap_or(false);
        Ok(Self {
            architecture,
            vocabulary_size: needed_count(raw, "vocab_size")?,
            hidden_size,
            intermediate_size: needed_count(raw, "intermediate_size")?,
            layers: needed_count(raw, "num_hidden_layers")?,
            heads,
            key_value_heads: count(raw, "num_key_value_heads")?.unwrap_or(heads),
            head_size: count(raw, "head_dim")?.unwrap_or(hidden_size / heads.max(1)),
            context_length: needed_count(raw, "max_position_embeddings")?,
            norm_epsilon: number(raw, "rms_norm_eps")?.unwrap_or(1e-6),
            activation: Activation::parse(text(raw, "hidden_act")?.unwrap_or("silu"))?,
            query_key_value_bias: attention_bias || architecture == Architecture::Qwen2,
            attention_output_bias: attention_bias && architecture == Architecture::Llama,
            feed_forward_bias: flag(raw, "mlp_bias")?.unwrap_or(false),
            rope: Some(Rope::from_json(raw)?),
            tied_embeddings: flag(raw, "tie_word_embeddings")?.unwrap_or(false),
            bos_token_id: None,
            eos_token_ids: vec![],
            pad_token_id: None,
            raw: Map::new(),
        })
    }

    /// The content of a `config.json` for this decoder as a language model. Starts from what was read, so that fields
    /// that we do not use survive.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut out = self.raw.clone();
        out.insert("architectures".into(), json!([self.architecture.language_model_class()]));
        out.insert("model_type".into(), json!(self.architecture.model_type()));
        for field in ["num_labels", "id2label", "label2id", "problem_type", "quantization_config"] {
            out.remove(field);
        }
        let fields = match self.architecture {
            Architecture::Gpt2 => self.gpt2_fields(),
            Architecture::Llama | Architecture::Qwen2 => self.llama_fields(),
        };
        for (name, value) in fields {
            out.insert(name.into(), value);
        }
        out.insert("vocab_size".into(), json!(self.vocabulary_size));
        out.insert("tie_word_embeddings".into(), json!(self.tied_embeddings));
        out.insert("bos_token_id".into(), json!(self.bos_token_id));
        let eos = match self.eos_token_ids.as_slice() {
            [] => Value::Null,
            [one] => json!(one),
            many => json!(many),
        };
        out.insert("eos_token_id".into(), eos);
        out.insert("pad_token_id".into(), json!(self.pad_token_id));
        set_dtype(&mut out, "float32");
        out
    }

    /// As [`Self::to_json`], for the same decoder under a reward head with one label.
    pub fn to_reward_json(&self) -> Map<String, Value> {
        let mut out = self.to_json();
        out.insert("architectures".into(), json!([self.architecture.reward_model_class()]));
        out.insert("id2label".into(), json!({"0": "LABEL_0"}));
        out.insert("label2id".into(), json!({"LABEL_0": 0}));
        out
    }

    fn gpt2_fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("n_embd", json!(self.hidden_size)),
            ("n_inner", json!(self.intermediate_size)),
            ("n_layer", json!(self.layers)),
            ("n_head", json!(self.heads)),
            ("n_positions", json!(self.context_length)),
            ("layer_norm_epsilon", json!(self.norm_epsilon)),
            ("activation_function", json!(self.activation.name())),
        ]
    }

    fn llama_fields(&self) -> Vec<(&'static str, Value)> {
        let mut fields = vec![
            ("hidden_size", json!(self.hidden_size)),
            ("intermediate_size", json!(self.intermediate_size)),
            ("num_hidden_layers", json!(self.layers)),
            ("num_attention_heads", json!(self.heads)),
            ("num_key_value_heads", json!(self.key_value_heads)),
            ("max_position_embeddings", json!(self.context_length)),
            ("rms_norm_eps", json!(self.norm_epsilon)),
            ("hidden_act", json!(self.activation.name())),
        ];
        if self.head_size * self.heads != self.hidden_size || self.raw.contains_key("head_dim") {
            fields.push(("head_dim", json!(self.head_size)));
        }
        if self.architecture == Architecture::Llama {
            fields.push(("attention_bias", json!(self.query_key_value_bias)));
            fields.push(("mlp_bias", json!(self.feed_forward_bias)));
        }
        if let Some(rope) = &self.rope {
            // What else `rope_parameters` say stays as it was read, where they say this.
            let is_read = rope.is_in_parameters(&self.raw);
            fields.extend(rope.to_json().into_iter().filter(|(name, _)| !(is_read && *name == "rope_parameters")));
        }
        fields
    }

    /// What the queries of a layer are multiplied by besides 1/√size: some GPT-2s divide them by the layer's number as well
    /// (`scale_attn_by_inverse_layer_idx`), some leave the root out (`scale_attn_weights` = false).
    pub(super) fn query_factor(&self, layer: usize) -> f64 {
        let says = |name: &str, what: bool| self.architecture == Architecture::Gpt2 && self.says(name, what);
        let root = if says("scale_attn_weights", false) { (self.head_size as f64).sqrt() } else { 1.0 };
        if says("scale_attn_by_inverse_layer_idx", true) { root / (layer + 1) as f64 } else { root }
    }

    /// How many tokens a layer looks back at, itself among them, where that is not all: some layers of a Qwen2 with
    /// `use_sliding_window`. What the file does not say is as in `Qwen2Config` of transformers.
    pub(super) fn window(&self, layer: usize) -> Option<usize> {
        let or = |name: &str, default: u64| self.raw.get(name).map_or(Some(default), Value::as_u64);
        let slides = self.architecture == Architecture::Qwen2
            && self.says("use_sliding_window", true)
            && match self.raw.get("layer_types").and_then(Value::as_array) {
                Some(types) => types.get(layer).is_some_and(|kind| kind == "sliding_attention"),
                None => or("max_window_layers", 28).is_some_and(|first| layer as u64 >= first),
            };
        or("sliding_window", 4096).filter(|&window| slides && window > 0).map(|window| window as usize)
    }

    /// Whether the field is there and is `what`.
    fn says(&self, name: &str, what: bool) -> bool {
        self.raw.get(name).and_then(Value::as_bool) == Some(what)
    }

    fn check(&self) -> Result<(), ModelError> {
        let wrong = |message: String| Err(ModelError::Unsupported(message));
        for (name, value, least) in [
            ("vocabulary size", self.vocabulary_size, 1),
            ("hidden size", self.hidden_size, 1),
            ("feed-forward size", self.intermediate_size, 0),
            ("number of layers", self.layers, 0),
            ("number of heads", self.heads, 1),
            ("number of key-value heads", self.key_value_heads, 1),
            ("head size", self.head_size, 1),
            ("context length", self.context_length, 1),
        ] {
            if value < least {
                return wrong(format!("the configuration's {name} is zero"));
            }
            if value > LARGEST {
                return wrong(format!("the configuration's {name} is {value}; the largest that is read is {LARGEST}"));
            }
        }
        if !self.heads.is_multiple_of(self.key_value_heads) {
            return wrong(format!("{} heads cannot be shared by {} key-value heads", self.heads, self.key_value_heads));
        }
        if self.architecture == Architecture::Gpt2 && !self.hidden_size.is_multiple_of(self.heads) {
            return wrong(format!("hidden size {} is not a multiple of {} heads", self.hidden_size, self.heads));
        }
        if self.rope.is_some() && !self.head_size.is_multiple_of(2) {
            return wrong(format!("rotary positions need an even head size, not {}", self.head_size));
        }
        Ok(())
    }

    /// The number of weights, embeddings included once; `usize::MAX` where there are more.
    pub fn parameters(&self) -> usize {
        // Of sizes up to LARGEST none of the products is beyond 128 bits.
        let wide = |size: usize| size as u128;
        let (h, inner, vocabulary) = (wide(self.hidden_size), wide(self.intermediate_size), wide(self.vocabulary_size));
        let (q, kv) = (wide(self.heads) * wide(self.head_size), wide(self.key_value_heads) * wide(self.head_size));
        let biases = |on: bool, n: u128| if on { n } else { 0 };
        let norm = if self.architecture == Architecture::Gpt2 { 2 * h } else { h };
        let gate = u128::from(self.architecture != Architecture::Gpt2);
        let layer = h * (2 * q + 2 * kv)
            + biases(self.query_key_value_bias, q + 2 * kv)
            + biases(self.attention_output_bias, h)
            + (2 + gate) * h * inner
            + biases(self.feed_forward_bias, (1 + gate) * inner + h)
            + 2 * norm;
        let positions = if self.rope.is_none() { wide(self.context_length) * h } else { 0 };
        let output = biases(!self.tied_embeddings, vocabulary * h);
        let all = wide(self.layers) * layer + vocabulary * h + positions + output + norm;
        usize::try_from(all).unwrap_or(usize::MAX)
    }
}

/// The number format of the weights: `dtype` for transformers 5, `torch_dtype` for transformers 4 and what is built on it, which
/// take float32 where they do not find theirs.
pub(super) fn set_dtype(config: &mut Map<String, Value>, format: &str) {
    for name in ["dtype", "torch_dtype"] {
        config.insert(name.into(), json!(format));
    }
}

/// Refuses settings that change the arithmetic in a way that is not implemented, and values of another kind in fields that are
/// not read before the layers are made.
fn refuse_unsupported(architecture: Architecture, raw: &Map<String, Value>) -> Result<(), ModelError> {
    for name in ["use_sliding_window", "add_cross_attention"] {
        let is_known = name == "use_sliding_window" && architecture == Architecture::Qwen2;
        if flag(raw, name)? == Some(true) && !is_known {
            return Err(ModelError::Unsupported(format!("config.json: {name} = true is not supported")));
        }
    }
    for name in ["scale_attn_weights", "scale_attn_by_inverse_layer_idx"] {
        flag(raw, name)?;
    }
    if flag(raw, "use_sliding_window")? == Some(true) { check_windows(raw) } else { Ok(()) }
}

/// Refuses windows that [`DecoderConfig::window`] would take for none.
fn check_windows(raw: &Map<String, Value>) -> Result<(), ModelError> {
    let wrong = |message: String| Err(ModelError::Unsupported(format!("config.json: {message}")));
    count(raw, "max_window_layers")?;
    if count(raw, "sliding_window")? == Some(0) {
        return wrong("sliding_window must be at least 1, not 0".into());
    }
    let (Some(kinds), layers) = (list(raw, "layer_types")?, needed_count(raw, "num_hidden_layers")?) else {
        return Ok(());
    };
    if kinds.len() != layers {
        return wrong(format!("layer_types has {} entries for {layers} layers", kinds.len()));
    }
    match kinds.iter().find(|kind| **kind != "full_attention" && **kind != "sliding_attention") {
        Some(kind) => wrong(format!("layer_types has {kind}, which is not supported")),
        None => Ok(()),
    }
}
