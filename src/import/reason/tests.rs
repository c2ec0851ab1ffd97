//! Every reason has its words, the same arguments in every language, and in English the text that programs know.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::json;

use super::*;
use crate::i18n::Language;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The messages of a language's file: key → text.
fn messages(tag: &str) -> BTreeMap<String, String> {
    let file = root().join("locales").join(tag).join("import-reasons.ftl");
    let text = std::fs::read_to_string(file).expect("the language's reasons");
    let lines = text.lines().filter_map(|line| line.split_once(" = "));
    lines.map(|(key, words)| (key.to_owned(), words.to_owned())).collect()
}

/// The names of the arguments of a message.
fn arguments(words: &str) -> BTreeSet<&str> {
    words.split("{ $").skip(1).filter_map(|rest| rest.split(" }").next()).collect()
}

/// The program text of the import, without its tests.
fn sources(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let (folders, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| !path.ends_with("tests.rs"));
    let mut found: Vec<String> = files.map(|path| std::fs::read_to_string(path).expect("a readable file")).collect();
    found.extend(folders.iter().flat_map(|folder| sources(folder)));
    found
}

#[test]
fn every_reason_that_the_import_gives_is_a_message_with_those_arguments() {
    let messages = messages("en");
    let mut given = BTreeSet::new();
    for source in sources(&root().join("src/import")) {
        for rest in source.split("\"import-").skip(1) {
            let (key, after) = rest.split_once('"').expect("the end of the key");
            let key = format!("import-{key}");
            let words = messages.get(&key).unwrap_or_else(|| panic!("{key} has no words"));
            // The names stand after the key, before the next one.
            for name in arguments(words) {
                assert!(after.contains(&format!("\"{name}\"")), "{key} is not given its {name}");
            }
            given.insert(key);
        }
    }
    assert_eq!(given, messages.into_keys().collect::<BTreeSet<_>>(), "words that nobody says");
}

#[test]
fn a_reason_has_the_same_arguments_in_every_language() {
    let english = messages("en");
    for tag in Language::all().map(Language::tag) {
        let translated = messages(tag);
        for (key, words) in &english {
            assert_eq!(arguments(words), arguments(&translated[key]), "{tag}: {key}");
        }
    }
}

#[test]
fn chinese_reasons_have_no_latin_words_but_names() {
    let names = [
        "JSON",
        "CSV",
        "Parquet",
        "Python",
        "UTF",
        "NUL",
        "MiB",
        "id",
        "null",
        "true",
        "false",
        "lowest",
        "highest",
        "system",
        "user",
        "assistant",
        "prompter",
        "train",
        "validation",
        "test",
        "check",
        "course",
        "left",
        "right",
    ];
    for (key, words) in messages("zh") {
        let mut own = words.clone();
        for name in arguments(&words) {
            own = own.replace(&format!("{{ ${name} }}"), "");
        }
        // A time, an escape and a call are written as files have them.
        let own = own.replace("2026-11-24T14:05:00Z", "").replace("\\u0000", "").replace("json.dumps", "");
        for word in own.split(|sign: char| !sign.is_ascii_alphabetic()).filter(|word| !word.is_empty()) {
            assert!(names.contains(&word), "{key}: {word}");
        }
    }
}

#[test]
fn programs_read_english_without_marks_and_separators() {
    let told = |reason: Reason| reason.to_string();
    let kind = Reason::from("import-reason-kind").and_word("found", "import-thing-number");
    let kind = kind.and_word("wanted", "import-thing-scale");
    assert_eq!(told(kind.clone()), "is a number, but {\"lowest\": 1, \"highest\": 7} or another is wanted");
    assert_eq!(json!(kind), json!(kind.to_string()));
    let object = Reason::from("import-reason-not-object").and_word("found", "import-thing-list");
    assert_eq!(told(object), "a record is an object {…}, this is a list");
    let longest = Reason::with("import-reason-too-long", "longest", 10_000);
    assert_eq!(told(longest), "has more than 10000 characters");
    let nul = Reason::from("import-reason-text-nul");
    assert_eq!(told(nul), "it has a NUL character (\\u0000), which a database can't hold");
    let table = told(Reason::with("import-reason-no-table", "columns", "prompt, data"));
    let expected = "this is neither JSON (one object {…} a line, or a list of them) nor CSV with a header (a column is one of prompt, data)";
    assert_eq!(table, expected);
    let quoted = Reason::with("import-reason-side", "word", "{ $word } 1,000\n");
    assert_eq!(told(quoted), "“{ $word } 1,000\n” is neither left nor right");
}

#[test]
fn what_the_rules_refuse_is_said_in_their_words() {
    for error in [PromptError::Empty, PromptError::Silent { position: 1 }, PromptError::NotTheUsersTurn { position: 1 }]
    {
        assert_eq!(Reason::from(error).to_string(), error.to_string());
    }
    for error in [
        RankingError::TooFew { answers: 1 },
        RankingError::Zero { position: 1 },
        RankingError::Gap { position: 3, rank: 5_000, expected: 4 },
    ] {
        assert_eq!(Reason::from(error).to_string(), error.to_string());
    }
    for error in [ScaleError::Lowest, ScaleError::Highest, ScaleError::Word] {
        assert_eq!(Reason::from(error).to_string(), error.to_string());
    }
}
