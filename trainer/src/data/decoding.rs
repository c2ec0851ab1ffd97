//! Tokens back to text while they come: whole characters only.

use std::collections::HashMap;

use serde_json::Value;

use super::tokenizer::ModelTokenizer;

/// What a decoder writes in place of bytes that are no character (yet).
const REPLACEMENT: char = '\u{FFFD}';
/// A character has at most four bytes: when so many tokens have not made one, the first of them never will.
const LONGEST_CHARACTER: usize = 4;

/// The text of an answer that is being written. Special tokens have no text.
///
/// What it gives, one after the other, is what [`ModelTokenizer::decode`] gives of all tokens together, but for a character
/// that is incomplete at the end, which is left out. A token is decoded with the ones before it, since some tokenizers write a
/// word differently at the beginning of a text.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    /// The tokens of the last piece of text, and those after it.
    ids: Vec<u32>,
    /// How many of them have had all of their text given.
    settled: usize,
    /// What was given of the text of all of them.
    given: String,
}

impl TextStream {
    /// The text of what goes on after `tokens`: SentencePiece's tokenizers take the space before the first word of a text for none,
    /// and there it is one.
    pub fn after(tokenizer: &ModelTokenizer, tokens: &[u32]) -> Self {
        // As few as make whole characters: the last may be a part of one.
        let ends = (1..=LONGEST_CHARACTER.min(tokens.len())).map(|count| &tokens[tokens.len() - count..]);
        let mut decoded = ends.map(|ids| (ids, tokenizer.decode(ids, true)));
        match decoded.find(|(_, text)| !text.is_empty() && !text.contains(REPLACEMENT)) {
            Some((ids, given)) => Self { ids: ids.to_vec(), settled: ids.len(), given },
            None => Self::default(),
        }
    }

    /// Takes a token; the text that is certain now.
    pub fn push(&mut self, tokenizer: &ModelTokenizer, id: u32) -> String {
        self.ids.push(id);
        let mut all = tokenizer.decode(&self.ids, true);
        let is_over = !all.ends_with(REPLACEMENT) || self.ids.len() - self.settled >= LONGEST_CHARACTER;
        if is_over && !all.starts_with(&self.given) {
            // Where single bytes are tokens, those that make no character spoil the characters right before them, which were
            // given and stay: what follows is read without them.
            self.ids.drain(..self.settled);
            self.settled = 0;
            self.given.clear();
            all = tokenizer.decode(&self.ids, true);
        }
        let certain = without_beginning_of_character(&all);
        let more = match certain.strip_prefix(self.given.as_str()) {
            Some(more) if !more.is_empty() => more.to_owned(),
            _ => return String::new(),
        };
        if certain.len() == all.len() {
            self.ids.drain(..self.settled);
            self.settled = self.ids.len();
            self.given = tokenizer.decode(&self.ids, true);
        } else {
            self.given += &more;
        }
        more
    }

    /// The text that is left when no more tokens come.
    pub fn finish(&mut self, tokenizer: &ModelTokenizer) -> String {
        let Self { ids, settled, given } = std::mem::take(self);
        let all = tokenizer.decode(&ids, true);
        let left = all.strip_prefix(given.as_str()).map(str::to_owned);
        let left = left.unwrap_or_else(|| tokenizer.decode(&ids[settled..], true));
        left.trim_end_matches(REPLACEMENT).to_owned()
    }
}

/// A text without the signs at its end that may stand for the first bytes of a character.
fn without_beginning_of_character(text: &str) -> &str {
    (1..LONGEST_CHARACTER).fold(text, |text, _| text.strip_suffix(REPLACEMENT).unwrap_or(text))
}

/// The bytes of single tokens, as a model's tokenizer writes them.
#[derive(Debug)]
pub struct TokenBytes {
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// GPT-2's: every byte is written as a character.
    ByteLevel(HashMap<char, u8>),
    /// SentencePiece's: `▁` is a space, `<0xE4>` a byte.
    Fallback,
    Plain,
}

impl TokenBytes {
    pub fn new(tokenizer: &ModelTokenizer) -> Self {
        let decoder = serde_json::to_value(tokenizer.tokenizer.get_decoder()).unwrap_or_default();
        let form = if mentions(&decoder, "ByteLevel") {
            Form::ByteLevel(byte_of_character())
        } else if mentions(&decoder, "ByteFallback") {
            Form::Fallback
        } else {
            Form::Plain
        };
        Self { form }
    }

    /// The bytes of a token; several tokens may be needed for one character.
    pub fn of(&self, tokenizer: &ModelTokenizer, id: u32) -> Vec<u8> {
        let Some(written) = tokenizer.tokenizer.id_to_token(id) else { return vec![] };
        if tokenizer.tokenizer.get_added_tokens_decoder().contains_key(&id) {
            return written.into_bytes();
        }
        match &self.form {
            Form::ByteLevel(bytes) => {
                let known: Option<Vec<u8>> = written.chars().map(|character| bytes.get(&character).copied()).collect();
                known.unwrap_or_else(|| written.into_bytes())
            }
            Form::Fallback => match fallback_byte(&written) {
                Some(byte) => vec![byte],
                None => written.replace('▁', " ").into_bytes(),
            },
            Form::Plain => tokenizer.decode(&[id], false).into_bytes(),
        }
    }
}

/// Whether a decoder is of a type, or has a part that is.
fn mentions(decoder: &Value, kind: &str) -> bool {
    match decoder {
        Value::Object(fields) => {
            fields.get("type").is_some_and(|found| found == kind) || fields.values().any(|value| mentions(value, kind))
        }
        Value::Array(parts) => parts.iter().any(|part| mentions(part, kind)),
        _ => false,
    }
}

fn fallback_byte(written: &str) -> Option<u8> {
    let digits = written.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// GPT-2's table (Radford et al. 2019, `bytes_to_unicode`) the other way round: printable Latin-1 stands for itself, the
/// other bytes are counted from U+0100.
fn byte_of_character() -> HashMap<char, u8> {
    let mut next = 0x100;
    let mut character = |byte: u8| match byte {
        b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
        _ => {
            next += 1;
            char::from_u32(next - 1).unwrap_or(REPLACEMENT)
        }
    };
    (0..=u8::MAX).map(|byte| (character(byte), byte)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::model::ModelDirectory;

    fn tiny() -> ModelTokenizer {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample/tiny-model");
        ModelTokenizer::open(&ModelDirectory::open(path).unwrap()).unwrap()
    }

    /// Each piece, and what is left at the end.
    fn streamed(tokenizer: &ModelTokenizer, ids: &[u32]) -> (Vec<String>, String) {
        let mut stream = TextStream::default();
        let pieces = ids.iter().map(|&id| stream.push(tokenizer, id)).collect();
        (pieces, stream.finish(tokenizer))
    }

    #[test]
    fn pieces_are_whole_characters_and_together_the_text() {
        let tokenizer = tiny();
        for text in ["Bees make honey.", "蜜蜂采蜜，🌿👩‍🚀 שלום", "naïve café\n\n\tx  y ", "🦜"] {
            let ids = tokenizer.encode(text);
            let (pieces, left) = streamed(&tokenizer, &ids);
            assert_eq!(pieces.concat() + &left, text);
            assert!(left.is_empty() && pieces.iter().all(|piece| !piece.contains(REPLACEMENT)), "{pieces:?}");
        }
        // The test says something: an emoji is several tokens.
        let ids = tokenizer.encode("🦜");
        assert!(ids.len() > 1);
        let (pieces, left) = streamed(&tokenizer, &ids[..ids.len() - 1]);
        assert_eq!((pieces.concat(), left), (String::new(), String::new()), "half a character is nothing");
    }

    #[test]
    fn bytes_that_never_become_a_character_do_not_hold_the_text_up() {
        let tokenizer = tiny();
        let bytes = TokenBytes::new(&tokenizer);
        let continuation = (0..1800).find(|&id| bytes.of(&tokenizer, id) == [0x80]).unwrap();
        let ids = [vec![continuation; 9], tokenizer.encode("honey")].concat();
        let (pieces, left) = streamed(&tokenizer, &ids);
        assert_eq!(pieces.concat() + &left, tokenizer.decode(&ids, true));
        assert!(!pieces[4].is_empty() || !pieces[3].is_empty());
    }

    #[test]
    fn a_character_after_bytes_that_are_none_is_given_and_so_is_what_follows() {
        let tokenizer = tiny();
        let bytes = TokenBytes::new(&tokenizer);
        let of = |byte: u8| (0..1800).find(|&id| bytes.of(&tokenizer, id) == [byte]).unwrap();
        for (before, character) in [(1, "蜜"), (3, "蜜"), (4, "蜜"), (3, "🦜")] {
            let ids =
                [vec![of(0x80); before], character.bytes().map(of).collect(), tokenizer.encode(" honey")].concat();
            let (pieces, left) = streamed(&tokenizer, &ids);
            let expected = REPLACEMENT.to_string().repeat(before) + character + " honey";
            assert_eq!(pieces.concat() + &left, expected);
            assert_eq!(tokenizer.decode(&ids, true), expected);
        }
    }

    /// There, `decode` gives up all bytes in a row where one makes no character.
    #[test]
    fn bytes_as_tokens_do_not_take_back_what_was_given() {
        let bytes = (0..=u8::MAX).map(|byte| (format!("<0x{byte:02X}>"), json!(byte)));
        let vocabulary: serde_json::Map<_, _> = bytes.chain([("b".to_owned(), json!(256))]).collect();
        let tokenizer = written_by(&[json!({"type": "ByteFallback"}), json!({"type": "Fuse"})], vocabulary);
        let of =
            |text: &[u8], after: u32| [text.iter().map(|&byte| u32::from(byte)).collect(), vec![after; 2]].concat();

        let (pieces, left) = streamed(&tokenizer, &of("蜜🦜".as_bytes(), 256));
        assert_eq!((pieces.concat(), left.as_str()), ("蜜🦜bb".to_owned(), ""));
        let (pieces, left) = streamed(&tokenizer, &of(b"\xE8\x9C\x9C\x80", 256));
        assert_eq!((pieces.concat(), left.as_str()), (format!("蜜{REPLACEMENT}bb"), ""));
    }

    /// As the files of Llama 2 have it.
    #[test]
    fn what_goes_on_after_a_text_keeps_the_space_before_its_first_word() {
        let decoders = [
            json!({"type": "Replace", "pattern": {"String": "▁"}, "content": " "}),
            json!({"type": "ByteFallback"}),
            json!({"type": "Fuse"}),
            json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}),
        ];
        let words = ["▁is", "▁Paris", "▁now", "<0x9C>", "<0xE8>"].into_iter().enumerate();
        let tokenizer = written_by(&decoders, words.map(|(id, word)| (word.to_owned(), json!(id))).collect());
        let written = |before: &[u32], ids: &[u32]| {
            let mut stream = TextStream::after(&tokenizer, before);
            let pieces: String = ids.iter().map(|&id| stream.push(&tokenizer, id)).collect();
            pieces + &stream.finish(&tokenizer)
        };
        assert_eq!(written(&[], &[1, 2]), "Paris now");
        assert_eq!(written(&[0], &[1, 2]), " Paris now");
        assert_eq!(written(&[1, 0], &[2]), " now");
        // After a character of three tokens; after half of one the text begins anew.
        assert_eq!(written(&[0, 4, 3, 3], &[1, 2]), " Paris now");
        assert_eq!(written(&[4], &[1, 2]), "Paris now");
        assert_eq!(written(&[0], &[]), "");
    }

    /// A tokenizer with these tokens, whose texts these decoders write.
    fn written_by(decoders: &[Value], vocabulary: serde_json::Map<String, Value>) -> ModelTokenizer {
        let rows = vocabulary.len();
        let tokenizer = json!({
            "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": null,
            "post_processor": null, "added_tokens": [], "decoder": {"type": "Sequence", "decoders": decoders},
            "model": {"type": "BPE", "dropout": null, "unk_token": null, "byte_fallback": true, "vocab": vocabulary, "merges": []},
        });
        let config = json!({"model_type": "llama", "vocab_size": rows, "hidden_size": 8, "intermediate_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 64});
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in [("tokenizer.json", tokenizer), ("config.json", config)] {
            std::fs::write(directory.path().join(name), content.to_string()).unwrap();
        }
        ModelTokenizer::open(&ModelDirectory::open(directory.path()).unwrap()).unwrap()
    }

    #[test]
    fn special_tokens_have_no_text() {
        let tokenizer = tiny();
        let ids = tokenizer.encode("a<|im_end|>b");
        let (pieces, left) = streamed(&tokenizer, &ids);
        assert_eq!(pieces.concat() + &left, "ab");
    }

    #[test]
    fn the_bytes_of_the_tokens_are_the_bytes_of_the_text() {
        let tokenizer = tiny();
        let bytes = TokenBytes::new(&tokenizer);
        for text in ["Bees make honey.", "蜜蜂采蜜，🌿", "a<|im_end|>\n"] {
            let found: Vec<u8> = tokenizer.encode(text).into_iter().flat_map(|id| bytes.of(&tokenizer, id)).collect();
            assert_eq!(found, text.as_bytes());
        }
    }

    #[test]
    fn bytes_as_sentencepiece_writes_them() {
        assert_eq!((fallback_byte("<0xE4>"), fallback_byte("<0x>"), fallback_byte("a")), (Some(0xE4), None, None));
        assert!(mentions(
            &serde_json::json!({"type": "Sequence", "decoders": [{"type": "ByteFallback"}]}),
            "ByteFallback"
        ));
    }
}
