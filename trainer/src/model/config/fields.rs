//! Fields of a `config.json` by name. `null` says nothing, as a field that is absent; a value of another kind than the field's is
//! refused, as transformers does it: with a default in its place the model would compute something else, and nobody would know.

use serde_json::{Map, Value};

use super::super::error::ModelError;

/// A whole number that has to be there.
pub(super) fn needed_count(raw: &Map<String, Value>, name: &str) -> Result<usize, ModelError> {
    count(raw, name)?.ok_or_else(|| lacks(name))
}

pub(super) fn lacks(name: &str) -> ModelError {
    ModelError::Unsupported(format!("config.json lacks {name}"))
}

pub(super) fn count(raw: &Map<String, Value>, name: &str) -> Result<Option<usize>, ModelError> {
    read(raw, name, "a whole number", |value| value.as_u64().map(|number| number as usize))
}

pub(crate) fn number(raw: &Map<String, Value>, name: &str) -> Result<Option<f64>, ModelError> {
    read(raw, name, "a number", Value::as_f64)
}

pub(super) fn flag(raw: &Map<String, Value>, name: &str) -> Result<Option<bool>, ModelError> {
    read(raw, name, "true or false", Value::as_bool)
}

pub(crate) fn text<'a>(raw: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, ModelError> {
    read(raw, name, "a text", Value::as_str)
}

pub(crate) fn object<'a>(
    raw: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, ModelError> {
    read(raw, name, "an object", Value::as_object)
}

pub(super) fn list<'a>(raw: &'a Map<String, Value>, name: &str) -> Result<Option<&'a [Value]>, ModelError> {
    read(raw, name, "a list", |value| value.as_array().map(Vec::as_slice))
}

/// As [`tokens`], refused where it is no token id and no list of them.
pub(super) fn checked_tokens(raw: &Map<String, Value>, name: &str) -> Result<Vec<u32>, ModelError> {
    // A negative one is how the first Llamas said that they have none.
    let is_id = |value: &Value| value.is_u64() || value.is_i64();
    let is_right = |value: &Value| is_id(value) || value.as_array().is_some_and(|ids| ids.iter().all(is_id));
    read(raw, name, "a token id or a list of them", |value| is_right(value).then_some(()))?;
    Ok(tokens(raw, name))
}

/// A token id, or a list of them: newer files give several ends of text.
pub(crate) fn tokens(raw: &Map<String, Value>, name: &str) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match raw.get(name) {
        Some(Value::Array(many)) => many.iter().filter_map(id).collect(),
        Some(one) => id(one).into_iter().collect(),
        None => vec![],
    }
}

fn read<'a, T>(
    raw: &'a Map<String, Value>,
    name: &str,
    kind: &str,
    convert: impl FnOnce(&'a Value) -> Option<T>,
) -> Result<Option<T>, ModelError> {
    let Some(value) = raw.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let found = convert(value);
    if found.is_none() {
        return Err(ModelError::Unsupported(format!("config.json: {name} must be {kind}, not {value}")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::DecoderConfig;
    use super::*;

    /// A preset with some fields of its `config.json` said otherwise.
    fn changed(preset: &str, fields: Value) -> Result<DecoderConfig, ModelError> {
        let mut raw = DecoderConfig::preset(preset).unwrap().to_json();
        raw.extend(fields.as_object().unwrap().clone());
        DecoderConfig::from_json(raw)
    }

    /// transformers 5.24 refuses every one of them, or fails when it computes.
    #[test]
    fn values_of_another_kind_than_their_fields_are_refused_by_name() {
        let fields = [
            ("gpt2-tiny", json!({"layer_norm_epsilon": "1e-5"}), "layer_norm_epsilon must be a number, not \"1e-5\""),
            ("gpt2-tiny", json!({"n_positions": "16", "n_ctx": 16}), "n_positions must be a whole number"),
            ("gpt2-tiny", json!({"n_inner": 25.5}), "n_inner must be a whole number"),
            ("gpt2-tiny", json!({"activation_function": 1}), "activation_function must be a text"),
            ("gpt2-tiny", json!({"scale_attn_weights": "false"}), "scale_attn_weights must be true or false"),
            ("gpt2-tiny", json!({"scale_attn_by_inverse_layer_idx": 1}), "inverse_layer_idx must be true or false"),
            ("gpt2-tiny", json!({"tie_word_embeddings": "no"}), "tie_word_embeddings must be true or false"),
            ("llama-tiny", json!({"model_type": 5}), "model_type must be a text"),
            ("llama-tiny", json!({"rms_norm_eps": []}), "rms_norm_eps must be a number"),
            ("llama-tiny", json!({"num_key_value_heads": "2"}), "num_key_value_heads must be a whole number"),
            ("llama-tiny", json!({"head_dim": "16"}), "head_dim must be a whole number"),
            ("llama-tiny", json!({"attention_bias": 0}), "attention_bias must be true or false"),
            ("llama-tiny", json!({"rope_theta": "500000", "rope_parameters": null}), "rope_theta must be a number"),
            ("llama-tiny", json!({"rope_parameters": {"rope_theta": [10000]}}), "rope_theta must be a number"),
            ("llama-tiny", json!({"rope_scaling": "linear"}), "rope_scaling must be an object"),
            ("llama-tiny", json!({"rope_scaling": {"rope_type": 2, "factor": 2}}), "rope_type must be a text"),
            ("llama-tiny", json!({"eos_token_id": "2"}), "eos_token_id must be a token id or a list of them"),
            ("llama-tiny", json!({"eos_token_id": [2, "5"]}), "eos_token_id must be a token id or a list of them"),
            ("qwen2-tiny", json!({"use_sliding_window": "true"}), "use_sliding_window must be true or false"),
            ("qwen2-tiny", json!({"use_sliding_window": true, "sliding_window": "8"}), "sliding_window must be"),
            ("qwen2-tiny", json!({"use_sliding_window": true, "max_window_layers": "2"}), "max_window_layers must be"),
            ("qwen2-tiny", json!({"use_sliding_window": true, "layer_types": "all"}), "layer_types must be a list"),
        ];
        for (preset, fields, expected) in fields {
            let error = changed(preset, fields.clone()).unwrap_err().to_string();
            assert!(error.contains("config.json") && error.contains(expected), "{fields}: {error}");
        }
    }

    /// With them transformers 5.24 computes NaN, or fails.
    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let llama3 = json!({"rope_type": "llama3", "factor": 4, "low_freq_factor": 0, "high_freq_factor": 4});
        let partial = json!({"rope_type": "linear", "factor": 2, "partial_rotary_factor": 0.5});
        let windows = json!({"use_sliding_window": true, "sliding_window": 0, "max_window_layers": 0});
        let layers = |kind: &str, number: usize| json!({"use_sliding_window": true, "layer_types": vec![kind; number]});
        let fields = [
            ("llama-tiny", json!({"rope_parameters": {"rope_theta": 0}}), "rope_theta must be above 0"),
            ("llama-tiny", json!({"rope_scaling": {"type": "linear", "factor": 0}}), "factor must be above 0"),
            ("llama-tiny", json!({"rope_scaling": llama3}), "low_freq_factor must be above 0"),
            ("llama-tiny", json!({"rope_scaling": partial}), "partial_rotary_factor"),
            ("llama-tiny", json!({"hidden_size": 1_u64 << 40}), "hidden size is 1099511627776; the largest"),
            ("llama-tiny", json!({"vocab_size": 1_u64 << 33}), "vocabulary size is 8589934592"),
            ("llama-tiny", json!({"num_hidden_layers": u64::MAX}), "number of layers is 18446744073709551615"),
            ("gpt2-tiny", json!({"n_embd": 1_u64 << 63, "n_inner": null}), "hidden size is 9223372036854775808"),
            ("gpt2-tiny", json!({"n_head": 0}), "number of heads is zero"),
            ("gpt2-tiny", json!({"n_head": 5}), "64 is not a multiple of 5 heads"),
            ("qwen2-tiny", windows, "sliding_window must be at least 1"),
            ("qwen2-tiny", layers("chunked_attention", 4), "chunked_attention"),
            ("qwen2-tiny", layers("sliding_attention", 3), "layer_types has 3 entries for 4 layers"),
        ];
        for (preset, fields, expected) in fields {
            let error = changed(preset, fields.clone()).unwrap_err().to_string();
            assert!(error.contains(expected), "{fields}: {error}");
        }
    }

    #[test]
    fn weights_beyond_all_counting_are_as_many_as_can_be_counted() {
        let fields = json!({"num_hidden_layers": i32::MAX, "hidden_size": i32::MAX, "intermediate_size": i32::MAX,
            "num_attention_heads": i32::MAX, "num_key_value_heads": i32::MAX, "head_dim": i32::MAX - 1});
        assert_eq!(changed("llama-tiny", fields).unwrap().parameters(), usize::MAX);
    }

    #[test]
    fn null_says_nothing_and_a_negative_token_is_none() {
        let plain = changed("llama-tiny", json!({"rms_norm_eps": 1e-6})).unwrap();
        let fields = ["rms_norm_eps", "hidden_act", "attention_bias", "mlp_bias", "head_dim", "rope_scaling"];
        let nulls = fields.map(|name| (name.to_owned(), Value::Null)).into_iter().collect();
        let read = changed("llama-tiny", Value::Object(nulls)).unwrap();
        assert_eq!(DecoderConfig { raw: Map::new(), ..read }, DecoderConfig { raw: Map::new(), ..plain });
        let ids = json!({"bos_token_id": [1, 4], "eos_token_id": [2, 4_294_967_297_u64], "pad_token_id": -1});
        let read = changed("llama-tiny", ids).unwrap();
        assert_eq!((read.bos_token_id, read.eos_token_ids, read.pad_token_id), (Some(1), vec![2], None));
    }
}
