//! Layers of settings, laid over one another by name: a name that no field has, and a value that a field cannot take, are refused
//! with that name.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{SettingsError, StageSettings};

/// The settings that the layers give, later ones over earlier ones, over the defaults.
pub fn read<S: StageSettings>(layers: &[Map<String, Value>]) -> Result<S, SettingsError> {
    let defaults = as_map(&S::default());
    let mut values = defaults.clone();
    for layer in layers {
        for (name, value) in layer {
            let Some(default) = defaults.get(name) else {
                return Err(unknown(name, &defaults));
            };
            values.insert(name.clone(), value.clone());
            // One field at a time, so that the message can name it.
            let one = Map::from_iter([(name.clone(), value.clone())]);
            if let Err(error) = S::deserialize(Value::Object(one)) {
                return Err(SettingsError::value(name, refusal(default, value, &error.to_string())));
            }
        }
        // Who names a setting of adapters wants some, unless `lora` says otherwise beside it: a small model would learn all its
        // weights in silence else. A file of all settings says auto and names every one: those count that were changed in it.
        let is_auto = layer.get("lora").is_some_and(|choice| choice == "auto");
        let names_one = layer.iter().any(|(name, value)| {
            let counts = !layer.contains_key("lora") || (is_auto && !is_same(value, &defaults[name]));
            name.starts_with("lora_") && counts
        });
        if names_one && values.get("lora").is_some_and(|choice| choice == "auto") {
            values.insert("lora".into(), "on".into());
        }
    }
    let settings: S = serde_json::from_value(Value::Object(values))
        .map_err(|error| SettingsError::Value { name: "as a whole".into(), message: error.to_string() })?;
    settings.check()?;
    Ok(settings)
}

/// Whether a value is the default, in whichever way its number is written: 32 or 32.0.
fn is_same(value: &Value, default: &Value) -> bool {
    value == default || value.as_f64().is_some_and(|number| default.as_f64() == Some(number))
}

/// The settings of a TOML file, as a layer.
pub fn from_toml(file: &str, text: &str) -> Result<Map<String, Value>, SettingsError> {
    let wrong = |message: String| SettingsError::File { file: file.into(), message };
    let table: toml::Table = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let Ok(Value::Object(map)) = serde_json::to_value(table) else {
        return Err(wrong("is not a table of settings".into()));
    };
    // JSON has no word for TOML's nan and inf, and null would read as a setting that is not given.
    if let Some((name, _)) = map.iter().find(|(_, value)| value.is_null()) {
        return Err(SettingsError::value(name, "is not a finite number"));
    }
    Ok(map)
}

/// A value as it is written on the command line, in the form that the field with this default takes.
pub fn from_text(default: &Value, text: &str) -> Value {
    match default {
        Value::String(_) => Value::String(text.into()),
        Value::Array(_) => text.split(',').map(|part| Value::String(part.trim().into())).collect(),
        _ => serde_json::from_str(text)
            .ok()
            .or_else(|| finite(text).filter(|_| default.is_f64() || default.is_null()))
            .unwrap_or_else(|| Value::String(text.into())),
    }
}

/// A number that is written as JSON does not write one, but every other option takes it: `.5`, `5.`, `+5`.
fn finite(text: &str) -> Option<Value> {
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from)
}

/// Settings as a JSON object.
pub fn as_map<S: Serialize>(settings: &S) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn unknown(name: &str, known: &Map<String, Value>) -> SettingsError {
    let hint = match nearest(name, known.keys()) {
        Some(near) => format!("; {near} was meant?"),
        None => format!("; there are {}", known.keys().cloned().collect::<Vec<_>>().join(", ")),
    };
    SettingsError::Unknown { name: name.into(), hint }
}

/// The name that was probably meant: the one that differs least, in two letters at most and no more than a third of what was
/// written, however its words are joined.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let letters = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let written = letters(name);
    let (edits, near) = known.map(|other| (edits(&written, &letters(other)), other)).min_by_key(|(edits, _)| *edits)?;
    (edits <= 2 && 3 * edits <= written.chars().count()).then_some(near)
}

/// Levenshtein's distance: the letters to put in, to leave out or to change that make one word of the other.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    // For each beginning of `other`, its distance from what was read of `one`.
    let mut distances: Vec<usize> = (0..=other.len()).collect();
    for (read, letter) in (1..).zip(one.chars()) {
        let mut diagonal = std::mem::replace(&mut distances[0], read);
        for (at, &its) in (1..).zip(&other) {
            let changed = diagonal + usize::from(letter != its);
            diagonal = distances[at];
            distances[at] = changed.min(diagonal + 1).min(distances[at - 1] + 1);
        }
    }
    distances[other.len()]
}

/// What is wrong with `value` in words; only for a choice among names the deserialiser's own message is better.
fn refusal(default: &Value, value: &Value, message: &str) -> String {
    let kind = match default {
        Value::String(_) if value.is_string() => return message.replace('`', "\""),
        Value::String(_) => "one of the names that it can take",
        Value::Bool(_) => "true or false",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "a whole number of at least 0",
        Value::Array(_) => "a list of names",
        Value::Object(_) | Value::Null => "a number",
    };
    format!("{value} is not {kind}")
}
