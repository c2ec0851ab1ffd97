//! Golden files: values computed with PyTorch that our arithmetic has to agree with.
//!
//! They lie in tests/golden_files, or where LAUREL_GOLDEN points: `models/*/expected.json` and `numerics/*.json`.
#![allow(clippy::unwrap_used)]

mod models;
mod numerics;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// Where the golden files are.
pub fn directory() -> PathBuf {
    match std::env::var_os("LAUREL_GOLDEN") {
        // Tests run in the package's directory; who names a relative path more likely stands in the workspace's.
        Some(path) if Path::new(&path).is_relative() && !Path::new(&path).exists() => {
            Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
        }
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_files"),
    }
}

/// What lies in a directory, in order of name; hidden files and pages about the cases (`README.md`) left out. An absent
/// directory holds nothing.
pub fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return vec![] };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        !name.starts_with('.') && !name.ends_with(".md")
    });
    paths.sort();
    paths
}

/// Without the texts that stand beside the numbers: where a case is from, what is extreme in it. There is nothing in them to
/// agree with; an unknown number is refused.
pub fn without_remarks(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(without_remarks).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_string())
            .map(|(name, value)| (name, without_remarks(value)))
            .collect(),
        other => other,
    }
}

/// Fails with `what` unless `found` and `expected` have the same length and agree everywhere within `tolerance`.
pub fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(difference <= tolerance, "{what}[{i}]: {found}, expected {expected} (within {tolerance})");
    }
}

#[test]
fn a_text_is_a_remark_and_a_number_is_not() {
    let case =
        json!({"from": "a generator", "seed": 7, "rows": [{"case": "one token", "loss": 1.5}], "units": [["a", null]]});
    let kept = json!({"seed": 7, "rows": [{"loss": 1.5}], "units": [["a", null]]});
    assert_eq!(without_remarks(case), kept);
}

#[test]
fn the_directory_holds_cases_and_nothing_unknown() {
    let directory = directory();
    let mut cases = 0;
    for path in entries(&directory) {
        match path.file_name().and_then(|name| name.to_str()) {
            Some("models" | "numerics") => cases += entries(&path).len(),
            _ => panic!("{}: no test knows this", path.display()),
        }
    }
    assert!(cases > 0, "{}: holds no golden case", directory.display());
}
