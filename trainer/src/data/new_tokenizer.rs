//! A tokenizer learned from text: byte-level BPE with the special tokens and the chat template of ChatML.

use serde_json::{Value, json};
use tokenizers::{
    AddedToken, Tokenizer,
    models::{
        TrainerWrapper,
        bpe::{BPE, BpeTrainerBuilder},
    },
    pre_tokenizers::{
        PreTokenizerWrapper, byte_level::ByteLevel, digits::Digits, sequence::Sequence as PreTokenizerSequence,
    },
};

use super::corpus;
use crate::model::hf::Companions;

const END_OF_TEXT: &str = "<|endoftext|>";
const START_OF_TURN: &str = "<|im_start|>";
const END_OF_TURN: &str = "<|im_end|>";
/// A token of its own, so that ends of text are learned while padding is not.
const PADDING: &str = "<|pad|>";

/// ChatML, as SmolLM2 and Qwen2 have it, without a system message of its own.
const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + \
message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// The tokens that every vocabulary has: the alphabet of bytes and the special tokens.
pub const SMALLEST: usize = 256 + 4;

/// A tokenizer for a new model.
#[derive(Debug)]
pub struct NewTokenizer {
    tokenizer: Tokenizer,
}

impl NewTokenizer {
    /// Learns at most `vocabulary` tokens from texts. Every text can be encoded, whatever was learned: single bytes are
    /// tokens. The same texts give the same tokenizer.
    pub fn learn(texts: &[String], vocabulary: usize) -> Result<Self, String> {
        if vocabulary < SMALLEST {
            return Err(format!(
                "a vocabulary needs at least {SMALLEST} tokens (bytes and special ones), not {vocabulary}"
            ));
        }
        // A token is made of two, so there are never more than bytes. The trainer takes memory for as many as it is told.
        let vocabulary = vocabulary.min(SMALLEST + texts.iter().map(String::len).sum::<usize>());
        let mut tokenizer = Tokenizer::new(BPE::default());
        // Digits one by one, then GPT-2's rule, as SmolLM2 splits: numbers are spelt, not memorised.
        let split: Vec<PreTokenizerWrapper> =
            vec![Digits::new(true).into(), ByteLevel::default().add_prefix_space(false).into()];
        tokenizer.with_pre_tokenizer(Some(PreTokenizerSequence::new(split)));
        tokenizer.with_decoder(Some(ByteLevel::default().add_prefix_space(false)));
        let special = [END_OF_TEXT, START_OF_TURN, END_OF_TURN, PADDING];
        let mut trainer: TrainerWrapper = BpeTrainerBuilder::new()
            .vocab_size(vocabulary)
            .min_frequency(2)
            .special_tokens(special.map(|token| AddedToken::from(token, true)).to_vec())
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .show_progress(false)
            .build()
            .into();
        let pieces = texts.iter().flat_map(|text| corpus::pieces(text));
        tokenizer.train(&mut trainer, pieces).map_err(|error| error.to_string())?;
        Ok(Self { tokenizer })
    }

    pub fn vocabulary_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// What ends a text, and what ends a turn.
    pub fn eos_ids(&self) -> Vec<u32> {
        vec![self.id(END_OF_TEXT), self.id(END_OF_TURN)]
    }

    pub fn pad_id(&self) -> u32 {
        self.id(PADDING)
    }

    fn id(&self, token: &str) -> u32 {
        self.tokenizer.token_to_id(token).expect("special tokens are in every vocabulary")
    }

    /// The files that go beside the weights.
    pub fn companions(&self, context_length: usize) -> Companions {
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": null,
            "eos_token": END_OF_TEXT,
            "pad_token": PADDING,
            "unk_token": null,
            "additional_special_tokens": [START_OF_TURN, END_OF_TURN],
            "model_max_length": context_length,
            "clean_up_tokenization_spaces": false,
            "add_prefix_space": false,
            "chat_template": CHAT_TEMPLATE,
        });
        let generation = json!({"eos_token_id": self.eos_ids(), "pad_token_id": self.pad_id()});
        let tokenizer = self.tokenizer.to_string(false).expect("a tokenizer that was just built can be written");
        Companions::none()
            .with("tokenizer.json", tokenizer)
            .with("tokenizer_config.json", pretty(&config))
            .with("generation_config.json", pretty(&generation))
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_tokens_than_a_text_can_give_cost_no_memory() {
        let texts = ["tea is warm, tea is good".to_owned(), "warm tea".to_owned()];
        let learned = |vocabulary| {
            let tokenizer = NewTokenizer::learn(&texts, vocabulary).unwrap();
            (tokenizer.vocabulary_size(), tokenizer.tokenizer.to_string(false).unwrap())
        };
        let all = learned(usize::MAX);
        let bytes: usize = texts.iter().map(String::len).sum();
        assert!((SMALLEST + 1..SMALLEST + bytes).contains(&all.0), "{}", all.0);
        assert_eq!(learned(1000), all);
    }
}
