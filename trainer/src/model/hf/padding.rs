//! The token that fills batches of a reward model, by which other programs find where a text ends.
//!
//! transformers reads the score at the last token that is not the padding token (`GenericForSequenceClassification.forward` in
//! modeling_layers.py), TRL at the token before the first that is (`get_reward` in trainer/utils.py). Where the padding token is what
//! ends a turn, as SmolLM2 has it, both read one token before the end, which is not where the head learned; and where there is none,
//! transformers takes no more than one text at a time. Here the place is known without it, so nothing changes for us.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::config::{DecoderConfig, tokens},
    write::{Companions, pretty},
};

/// Files that name special tokens by their texts. The second goes before the first, and is not read where that has
/// `added_tokens_decoder`, as in transformers.
const NAMING: [&str; 2] = ["tokenizer_config.json", "special_tokens_map.json"];
/// Parts of the names of tokens that begin or end something: a template that is put on later may write them.
const OF_TURNS: [&str; 8] = ["start", "begin", "end", "bos", "eos", "eot", "im_", "s>"];

/// A token that may fill the batches of a reward model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Padding {
    pub id: u32,
    /// Its text, where the tokenizer has it as a token of its own.
    pub text: Option<String>,
}

impl Padding {
    /// The token for a reward model with this configuration and tokenizer: the one that they name, where it ends nothing, else
    /// another special token that conversations do not have. `None` where the tokenizer has no such token.
    pub fn of(config: &DecoderConfig, companions: &Companions) -> Option<Self> {
        let [config_file, map_file] = NAMING;
        let mut named = object(companions, config_file).unwrap_or_default();
        if !named.contains_key("added_tokens_decoder") {
            named.extend(object(companions, map_file).unwrap_or_default());
        }
        let added = added_tokens(companions);
        let id_of = |name: &str| {
            let text = text_of(&named, name)?;
            added.iter().find(|token| token.content == text).map(|token| token.id)
        };
        let templates = templates(&named, companions);
        let mut ends: BTreeSet<u32> = config.eos_token_ids.iter().copied().chain(id_of("eos_token")).collect();
        ends.extend(tokens(&object(companions, "generation_config.json").unwrap_or_default(), "eos_token_id"));
        // The end of turn is one of them; the others are no padding either.
        ends.extend(added.iter().filter(|token| templates.contains(&token.content)).map(|token| token.id));

        // What batches are filled with comes from the tokenizer, so its token goes before that of the configuration.
        let is_right = |id: &u32| !ends.contains(id) && (*id as usize) < config.vocabulary_size;
        if let Some(id) = id_of("pad_token").filter(is_right).or(config.pad_token_id.filter(is_right)) {
            return Some(Self { id, text: added.into_iter().find(|token| token.id == id).map(|token| token.content) });
        }
        let beginnings: Vec<u32> = config.bos_token_id.into_iter().chain(id_of("bos_token")).collect();
        let unknown = text_of(&named, "unk_token");
        let free = added.into_iter().filter(|token| is_right(&token.id) && !beginnings.contains(&token.id));
        let ranked =
            free.filter_map(|token| Some((preference(&token, unknown)?, !token.special, token.id, token.content)));
        ranked.min().map(|(_, _, id, text)| Self { id, text: Some(text) })
    }

    /// The companions with this token as the tokenizer's padding.
    pub(super) fn named_in(&self, companions: &Companions) -> Companions {
        let mut changed = companions.clone();
        let Some(text) = &self.text else { return changed };
        for name in NAMING {
            let Some(mut content) = object(companions, name) else { continue };
            if text_of(&content, "pad_token") != Some(text.as_str()) {
                content.insert("pad_token".into(), json!(text));
                changed = changed.with(name, pretty(&content));
            }
        }
        changed
    }
}

/// How well a token that conversations do not have does for padding, less is better; `None`: not at all.
fn preference(token: &AddedToken, unknown: Option<&str>) -> Option<usize> {
    let name = token.content.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    let is_unknown = unknown == Some(token.content.as_str()) || has(&["unk"]);
    let made_for_it = [has(&["pad"]), is_unknown, has(&["endoftext"]), has(&["reserved", "unused"])];
    let other = token.special && !has(&OF_TURNS);
    made_for_it.iter().position(|fits| *fits).or(other.then_some(made_for_it.len()))
}

/// What `tokenizer.json` says of its added tokens; what else stands there may be megabytes, and is passed over.
#[derive(Deserialize)]
struct TokenizerFile {
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

fn added_tokens(companions: &Companions) -> Vec<AddedToken> {
    let file = companions.get("tokenizer.json").and_then(|bytes| serde_json::from_slice::<TokenizerFile>(bytes).ok());
    file.map(|file| file.added_tokens).unwrap_or_default()
}

fn object(companions: &Companions, name: &str) -> Option<Map<String, Value>> {
    companions.get(name).and_then(|bytes| serde_json::from_slice(bytes).ok())
}

/// The text of a special token that one of [`NAMING`] names: as it is, or with its properties.
fn text_of<'a>(named: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let token = named.get(name)?;
    token.as_str().or_else(|| token.get("content")?.as_str())
}

/// The source of all chat templates.
fn templates(named: &Map<String, Value>, companions: &Companions) -> String {
    let of_config: String = match named.get("chat_template") {
        Some(Value::Array(several)) => several.iter().filter_map(|one| one["template"].as_str()).collect(),
        Some(one) => one.as_str().unwrap_or_default().to_owned(),
        None => String::new(),
    };
    let file = companions.get("chat_template.jinja").map(String::from_utf8_lossy).unwrap_or_default();
    of_config + &file
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHATML: &str = "{{ '<|im_start|>' + messages[0]['content'] + '<|im_end|>' }}";

    fn config(eos: u32, bos: Option<u32>, pad: Option<u32>) -> DecoderConfig {
        DecoderConfig::preset("llama-tiny").unwrap().with_vocabulary(100, bos, vec![eos], pad)
    }

    /// A tokenizer with these special tokens, the first with the id 0, and what its configuration names.
    fn tokenizer(special: &[&str], named: Value) -> Companions {
        let added: Vec<Value> =
            special.iter().enumerate().map(|(id, text)| json!({"id": id, "content": text, "special": true})).collect();
        Companions::none()
            .with("tokenizer.json", json!({"added_tokens": added, "model": {"type": "BPE"}}).to_string())
            .with("tokenizer_config.json", named.to_string())
    }

    fn found(config: &DecoderConfig, companions: &Companions) -> Option<(u32, String)> {
        Padding::of(config, companions).map(|padding| (padding.id, padding.text.unwrap_or_default()))
    }

    #[test]
    fn padding_that_ends_a_turn_gives_way_to_a_token_that_conversations_do_not_have() {
        let smollm = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<repo_name>"];
        let names = |pad: &str| {
            json!({"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "unk_token": "<|endoftext|>",
                "pad_token": pad, "chat_template": CHATML})
        };
        // SmolLM2: padding is the end of turn.
        let companions = tokenizer(&smollm, names("<|im_end|>"));
        assert_eq!(found(&config(2, Some(1), Some(2)), &companions), Some((0, "<|endoftext|>".into())));
        let padding = Padding::of(&config(2, Some(1), None), &companions).unwrap();
        let named = object(&padding.named_in(&companions), "tokenizer_config.json").unwrap();
        assert_eq!((&named["pad_token"], &named["eos_token"]), (&json!("<|endoftext|>"), &json!("<|im_end|>")));

        // The end of turn is no end of text by any file: the template says that it ends a turn.
        let qwen = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_pad|>"];
        let companions = tokenizer(&qwen, json!({"pad_token": "<|im_end|>", "chat_template": CHATML}));
        assert_eq!(found(&config(0, None, None), &companions), Some((4, "<|vision_pad|>".into())));
        // A row that the embedding does not have fills nothing.
        let narrow = config(0, None, None).with_vocabulary(4, None, vec![0], None);
        assert_eq!(found(&narrow, &companions), None);
    }

    #[test]
    fn padding_that_ends_nothing_stays_and_both_files_agree_on_it() {
        let special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>", "<unk>"];
        let named = json!({"eos_token": "<|endoftext|>", "pad_token": {"content": "<|pad|>"}, "chat_template": CHATML});
        let companions = tokenizer(&special, named);
        for pad in [Some(3), None, Some(0)] {
            let padding = Padding::of(&config(0, None, pad), &companions).unwrap();
            assert_eq!((padding.id, padding.text.as_deref()), (3, Some("<|pad|>")));
            let (before, after) = (companions.clone(), padding.named_in(&companions));
            assert_eq!(after.get("tokenizer_config.json"), before.get("tokenizer_config.json"));
        }
        // The tokenizer names none: the one in the configuration is right.
        let companions = tokenizer(&special, json!({"eos_token": "<|endoftext|>"}));
        assert_eq!(found(&config(0, None, Some(4)), &companions), Some((4, "<unk>".into())));
        // The map goes before tokenizer_config.json, unless that knows the added tokens by itself.
        let mapped = |named: Value| {
            let companions = tokenizer(&special, named);
            companions.with("special_tokens_map.json", json!({"pad_token": "<|pad|>"}).to_string())
        };
        for named in
            [json!({"eos_token": "<|endoftext|>"}), json!({"eos_token": "<|endoftext|>", "pad_token": "<unk>"})]
        {
            assert_eq!(found(&config(0, None, Some(4)), &mapped(named)), Some((3, "<|pad|>".into())));
        }
        let whole = mapped(json!({"eos_token": "<|endoftext|>", "pad_token": "<unk>", "added_tokens_decoder": {}}));
        assert_eq!(found(&config(0, None, None), &whole), Some((4, "<unk>".into())));
        // Without a tokenizer there is the configuration's alone.
        assert_eq!(found(&config(0, None, Some(7)), &Companions::none()), Some((7, String::new())));
    }

    #[test]
    fn a_tokenizer_whose_only_special_token_ends_texts_has_none() {
        let gpt2 = tokenizer(&["<|endoftext|>"], json!({"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}));
        assert_eq!(found(&config(0, Some(0), None), &gpt2), None);
        let llama = tokenizer(&["<s>", "</s>"], json!({"bos_token": "<s>", "eos_token": "</s>"}));
        assert_eq!(found(&config(1, Some(0), Some(1)), &llama), None);
        let with_unknown = tokenizer(&["<unk>", "<s>", "</s>"], json!({"bos_token": "<s>", "eos_token": "</s>"}));
        assert_eq!(found(&config(2, Some(1), None), &with_unknown), Some((0, "<unk>".into())));
    }
}
