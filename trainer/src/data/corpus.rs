//! Running text to learn from: plain files, or the text of records.

use std::{fs, path::Path};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{error::DataError, formats, records};

/// Text is handed to a tokenizer in pieces of about so many bytes, twice as many at most.
const PIECE: usize = 1 << 16;

/// The documents of a file. A `.jsonl` or `.json` file has one a line: its `text`, or the messages of its conversation
/// (`messages`, else `prompt`, `completion`, `chosen`), a line each. Any other file is plain text, and one document.
pub fn documents(path: &Path) -> Result<Vec<String>, DataError> {
    // `datasets` writes JSON lines under either name; as plain text, their braces and field names would be learned.
    if path.extension().is_some_and(|extension| extension == "jsonl" || extension == "json") {
        return records::documents(path);
    }
    let failed = |source| DataError::File { path: path.to_path_buf(), source };
    let bytes = fs::read(path).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let (bytes, name) = (error.as_bytes(), path.display());
        let line = 1 + bytes[..error.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count();
        let problem = match formats::other_than_text(bytes) {
            Some(what) => format!("{name} {what}"),
            None => format!("{name}, line {line}: is not UTF-8"),
        };
        DataError::Records { problems: vec![problem] }
    })?;
    // Some editors put a byte order mark in front of a file.
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    if text.trim().is_empty() {
        return Err(DataError::Records { problems: vec![format!("{}: holds no text", path.display())] });
    }
    Ok(vec![text])
}

/// The text in pieces, since a tokenizer takes a hundred times the room of what it is handed at once. They end with a line; where
/// that is long, before a space, as words begin with theirs; where there is none, with a character.
pub fn pieces(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        if text.is_empty() {
            return None;
        }
        let (least, most) = (text.ceil_char_boundary(PIECE), text.ceil_char_boundary(2 * PIECE));
        let range = &text[least..most];
        let line = range.find('\n').map(|at| at + 1);
        let (piece, rest) = text.split_at(least + line.or_else(|| range.find(' ')).unwrap_or(range.len()));
        text = rest;
        Some(piece)
    })
}

/// SHA-256 (hexadecimal) of documents, for the lineage of what learns from them.
pub fn digest(documents: &[String]) -> String {
    let mut hasher = Sha256::new();
    for document in documents {
        hasher.update((document.len() as u64).to_le_bytes());
        hasher.update(document);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text in one JSON object, or the name of what it lacks.
pub(super) fn text_of(object: &serde_json::Map<String, Value>) -> Result<String, &'static str> {
    if let Some(text) = object.get("text") {
        return text.as_str().map(String::from).ok_or("text");
    }
    let mut lines = vec![];
    // Many data sets have a conversation under `messages` and parts of it again beside it.
    let has_all = object.get("messages").is_some_and(Value::is_array);
    let fields: &[&'static str] = if has_all { &["messages"] } else { &["messages", "prompt", "completion", "chosen"] };
    for &field in fields {
        match object.get(field) {
            Some(Value::String(text)) => lines.push(text.clone()),
            Some(Value::Array(messages)) => {
                for message in messages {
                    lines.push(message.get("content").and_then(Value::as_str).ok_or(field)?.to_string());
                }
            }
            Some(_) => return Err(field),
            None => {}
        }
    }
    if lines.is_empty() { Err("text") } else { Ok(lines.join("\n")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_text() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "\u{feff}Tea.\n").unwrap();
        assert_eq!(documents(file.path()).unwrap(), ["Tea.\n"]);
    }

    #[test]
    fn json_is_read_as_records_whatever_its_file_is_called_and_what_is_no_text_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str, bytes: &[u8]| {
            fs::write(folder.path().join(name), bytes).unwrap();
            documents(&folder.path().join(name)).map_err(|error| error.to_string())
        };
        for name in ["corpus.jsonl", "corpus.json"] {
            assert_eq!(read(name, b"{\"text\": \"Tea.\"}\n").unwrap(), ["Tea."]);
            assert!(read(name, b"[{\"text\": \"Tea.\"}]").unwrap_err().contains("holds one JSON list"));
        }
        assert_eq!(read("notes.txt", b"[Tea]").unwrap(), ["[Tea]"]);
        let packed = read("corpus.txt.gz", b"\x1F\x8B\x08\x00\xFF").unwrap_err();
        assert!(packed.ends_with("corpus.txt.gz is compressed with gzip: decompress it first"), "{packed}");
        assert!(read("wide.txt", b"\xFF\xFET\0e\0a\0").unwrap_err().contains("is UTF-16"));
        assert!(read("latin.txt", b"Tea.\ncaf\xE9\n").unwrap_err().ends_with("line 2: is not UTF-8"));
    }

    #[test]
    fn no_piece_is_long_and_together_they_are_the_text() {
        // As a file of one line has it, and one in a language that needs no spaces.
        let texts = [("line\n".repeat(40_000), "\n"), (" word".repeat(40_000), "word"), ("茶".repeat(80_000), "茶")];
        for (text, end) in texts {
            let found: Vec<&str> = pieces(&text).collect();
            let longest = found.iter().map(|piece| piece.len()).max();
            assert!(found.len() > 1 && longest < Some(2 * PIECE + 4), "{end:?}: {longest:?}");
            assert!(found.iter().all(|piece| piece.ends_with(end)), "{end:?}");
            assert_eq!(found.concat(), text);
        }
        assert_eq!(pieces("one line").collect::<Vec<_>>(), ["one line"]);
        assert_eq!(pieces("").count(), 0);
    }

    #[test]
    fn what_stands_beside_a_conversation_again_is_learned_once() {
        let says = |role: &str, content: &str| json!({ "role": role, "content": content });
        let (question, answer) = (says("user", "q"), says("assistant", "a"));
        let text = |record: Value| text_of(record.as_object().unwrap());
        // As UltraChat and UltraFeedback have it.
        let whole = json!({"prompt": "q", "messages": [question, answer], "chosen": [question, answer]});
        assert_eq!(text(whole), Ok("q\na".to_owned()));
        assert_eq!(text(json!({"prompt": [question], "completion": [answer]})), Ok("q\na".to_owned()));
        assert_eq!(text(json!({"messages": null, "prompt": "q"})), Err("messages"));
    }
}
