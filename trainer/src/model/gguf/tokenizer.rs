//! The tokenizer in a GGUF file's metadata → `tokenizer.json` and `tokenizer_config.json` of Hugging Face.

use serde_json::{Map, Value, json};

use super::{
    super::error::ModelError,
    container::{GgufFile, Metadata},
};

/// Kinds of tokens in `tokenizer.ggml.token_type`.
const CONTROL: u64 = 3;
const USER_DEFINED: u64 = 4;

const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

impl GgufFile {
    /// The content of a `tokenizer.json` that splits text as the file's metadata says: GPT-2 style byte-level BPE.
    pub fn tokenizer_json(&self) -> Result<String, ModelError> {
        let wrong = |message: &str| ModelError::malformed(self.path(), message);
        let model = self.text("tokenizer.ggml.model").unwrap_or_default();
        if model != "gpt2" {
            return Err(wrong(&format!(
                "has a tokenizer of the kind {model:?}; only byte-level BPE (\"gpt2\") is supported"
            )));
        }
        let tokens = self.texts("tokenizer.ggml.tokens").ok_or_else(|| wrong("lacks its tokenizer's tokens"))?;
        let merges = self.texts("tokenizer.ggml.merges").ok_or_else(|| wrong("lacks its tokenizer's merges"))?;
        let pre = self.text("tokenizer.ggml.pre").unwrap_or("default");
        let pre_tokenizer = pre_tokenizer(pre)
            .ok_or_else(|| wrong(&format!("splits text by {pre:?} rules, which are not supported")))?;
        let vocabulary: Map<_, _> =
            tokens.iter().enumerate().map(|(id, token)| (token.to_string(), json!(id))).collect();
        let merges: Vec<_> = merges.iter().filter_map(|merge| merge.split_once(' ')).map(|(a, b)| [a, b]).collect();
        let tokenizer = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": self.added_tokens(&tokens),
            "normalizer": if pre == "qwen2" { json!({"type": "NFC"}) } else { Value::Null },
            "pre_tokenizer": pre_tokenizer,
            "post_processor": self.post_processor(&tokens, pre),
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {
                "type": "BPE",
                "dropout": null,
                "unk_token": null,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": false,
                "byte_fallback": false,
                "ignore_merges": pre == "llama-bpe",
                "vocab": vocabulary,
                "merges": merges,
            },
        });
        Ok(tokenizer.to_string())
    }

    /// The fields of a `tokenizer_config.json`: special tokens and the chat template.
    pub fn tokenizer_config(&self) -> Map<String, Value> {
        let tokens = self.texts("tokenizer.ggml.tokens").unwrap_or_default();
        let mut config = Map::new();
        for (field, key) in [
            ("bos_token", "bos_token_id"),
            ("eos_token", "eos_token_id"),
            ("unk_token", "unknown_token_id"),
            ("pad_token", "padding_token_id"),
        ] {
            if let Some(token) = self.special(key).and_then(|id| tokens.get(id)) {
                config.insert(field.into(), json!(token));
            }
        }
        if let Some(template) = self.text("tokenizer.chat_template") {
            config.insert("chat_template".into(), json!(template));
        }
        let name = self.text("general.architecture").unwrap_or_default();
        if let Some(length) = self.unsigned(&format!("{name}.context_length")) {
            config.insert("model_max_length".into(), json!(length));
        }
        config.insert("add_prefix_space".into(), json!(false));
        config.insert("clean_up_tokenization_spaces".into(), json!(false));
        config.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
        config
    }

    fn texts(&self, key: &str) -> Option<Vec<&str>> {
        self.list(key)?.iter().map(Metadata::as_text).collect()
    }

    fn special(&self, key: &str) -> Option<usize> {
        self.unsigned(&format!("tokenizer.ggml.{key}")).map(|id| id as usize)
    }

    /// Tokens that are found in text as they stand, before anything is split. Control tokens are special: they are left
    /// out when text is decoded for people.
    fn added_tokens(&self, tokens: &[&str]) -> Vec<Value> {
        let kinds = self.list("tokenizer.ggml.token_type").unwrap_or_default();
        let kinds = kinds.iter().map(|kind| kind.as_unsigned().unwrap_or(1));
        let numbered = tokens.iter().zip(kinds).enumerate();
        numbered
            .filter(|(_, (_, kind))| matches!(*kind, CONTROL | USER_DEFINED))
            .map(|(id, (token, kind))| {
                json!({
                    "id": id,
                    "content": token,
                    "single_word": false,
                    "lstrip": false,
                    "rstrip": false,
                    "normalized": false,
                    "special": kind == CONTROL,
                })
            })
            .collect()
    }

    /// Puts the beginning of text in front where the file asks for it; where it says nothing, Llama 3's texts have one in
    /// llama.cpp.
    fn post_processor(&self, tokens: &[&str], pre: &str) -> Value {
        let wanted = self.flag("tokenizer.ggml.add_bos_token").unwrap_or(pre == "llama-bpe");
        let bos = self.special("bos_token_id").and_then(|id| Some((id, *tokens.get(id)?)));
        let Some((id, token)) = bos.filter(|_| wanted) else { return Value::Null };
        let special = json!({"SpecialToken": {"id": token, "type_id": 0}});
        let sequence = |name: &str, type_id: u8| json!({"Sequence": {"id": name, "type_id": type_id}});
        json!({
            "type": "TemplateProcessing",
            "single": [special, sequence("A", 0)],
            "pair": [special, sequence("A", 0), special, sequence("B", 1)],
            "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}},
        })
    }
}

/// How text is split before BPE, by the name that llama.cpp gives the rules.
fn pre_tokenizer(name: &str) -> Option<Value> {
    let byte_level = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    let split =
        |regex: &str| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
    let sequence = |first: Value, second: Value| json!({"type": "Sequence", "pretokenizers": [first, second]});
    Some(match name {
        "gpt-2" => byte_level(true),
        // Digits one by one, then GPT-2's own rule.
        "smollm" => sequence(json!({"type": "Digits", "individual_digits": true}), byte_level(true)),
        "qwen2" => sequence(split(QWEN2), byte_level(false)),
        "llama-bpe" => sequence(split(LLAMA3), byte_level(false)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A text as the container has it.
    fn bytes_of(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
    }

    /// A file without tensors whose tokenizer splits text by these rules.
    fn file(pre: &str, add_bos: Option<bool>) -> GgufFile {
        let field = |key: &str, kind: u32, value: Vec<u8>| {
            [bytes_of(&format!("tokenizer.ggml.{key}")), kind.to_le_bytes().to_vec(), value].concat()
        };
        let list = |items: &[&str]| {
            let head = [&8u32.to_le_bytes()[..], &(items.len() as u64).to_le_bytes()[..]].concat();
            [head, items.iter().flat_map(|item| bytes_of(item)).collect()].concat()
        };
        let mut fields = vec![
            field("model", 8, bytes_of("gpt2")),
            field("pre", 8, bytes_of(pre)),
            field("tokens", 9, list(&["a", "<s>"])),
            field("merges", 9, list(&[])),
            field("bos_token_id", 4, 1u32.to_le_bytes().to_vec()),
        ];
        fields.extend(add_bos.map(|on| field("add_bos_token", 7, vec![u8::from(on)])));
        let counts = [0, fields.len() as u64].map(u64::to_le_bytes).concat();
        let bytes = [b"GGUF".to_vec(), 3u32.to_le_bytes().to_vec(), counts, fields.concat()].concat();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.gguf");
        std::fs::write(&path, bytes).unwrap();
        GgufFile::open(&path).unwrap()
    }

    /// Expected: llama.cpp (`llama_vocab::impl::load`).
    #[test]
    fn a_text_begins_with_its_token_where_the_file_or_llama_3_says_so() {
        for (pre, said, expected) in [
            ("llama-bpe", None, true),
            ("llama-bpe", Some(false), false),
            ("qwen2", None, false),
            ("qwen2", Some(true), true),
        ] {
            let tokenizer: Value = serde_json::from_str(&file(pre, said).tokenizer_json().unwrap()).unwrap();
            assert_eq!(tokenizer["post_processor"].is_object(), expected, "{pre} {said:?}");
        }
    }
}
