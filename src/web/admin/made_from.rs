//! What a model was made from, as its `laurel.json` tells: which data, how many records of which split, which settings, which parent.

use laurel_records::Stage;
use serde_json::Value;

/// What is shown of how a model was made. Every part may be missing: a base model that somebody brought tells little.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeFrom {
    /// What it learned from, by the words of exports: `demonstrations`, `rankings`, `prompts`.
    pub kind: Option<&'static str>,
    /// How many records of that kind the training split had.
    pub records: Option<i64>,
    /// SHA-256 of those records.
    pub data: Option<String>,
    /// Digest of the model that it started from.
    pub parent: Option<String>,
    /// Where a base model was brought from.
    pub source: Option<String>,
    /// The program that made it, with its version.
    pub program: Option<String>,
    /// Names with their values; those of sections with dots between.
    pub settings: Vec<(String, String)>,
}

impl MadeFrom {
    /// From a model's lineage and the summary of the run that made it.
    pub fn read(stage: Stage, lineage: &Value, summary: Option<&Value>) -> Self {
        let text = |name: &str| lineage.get(name).and_then(Value::as_str).map(str::to_owned);
        let kind = match stage {
            Stage::Sft => Some("demonstrations"),
            Stage::Reward | Stage::Dpo => Some("rankings"),
            Stage::Ppo | Stage::Rloo | Stage::Grpo => Some("prompts"),
            Stage::Base | Stage::Evaluate | Stage::Sample => None,
        };
        let mut settings = Vec::new();
        flatten("", lineage.get("settings").unwrap_or(&Value::Null), &mut settings);
        MadeFrom {
            kind,
            records: kind.and_then(|kind| summary?.get(kind)?.as_i64()),
            data: text("data"),
            parent: text("parent"),
            source: text("source"),
            program: text("program"),
            settings,
        }
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        *self == MadeFrom { kind: self.kind, ..MadeFrom::default() }
    }
}

fn flatten(before: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let name = if before.is_empty() { name.clone() } else { format!("{before}.{name}") };
                flatten(&name, value, into);
            }
        }
        // What is not set says nothing.
        Value::Null => {}
        Value::String(text) => into.push((before.to_owned(), text.clone())),
        other => into.push((before.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_counts_and_settings_are_read() {
        let lineage = json!({
            "stage": "sft", "parent": "aa", "data": "bb", "program": "laurel-trainer 0.1.0",
            "settings": { "epochs": 2, "lora": { "rank": 8, "alpha": null }, "device": "cpu" },
        });
        let made = MadeFrom::read(Stage::Sft, &lineage, Some(&json!({ "demonstrations": 12, "rankings": 7 })));
        assert_eq!((made.kind, made.records, made.data.as_deref()), (Some("demonstrations"), Some(12), Some("bb")));
        let settings: Vec<(&str, &str)> =
            made.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert!(settings.contains(&("lora.rank", "8")) && settings.contains(&("device", "cpu")), "{settings:?}");
        assert_eq!(settings.len(), 3);
        assert!(!made.is_empty());
    }

    #[test]
    fn a_model_that_tells_nothing_shows_nothing() {
        assert!(MadeFrom::read(Stage::Ppo, &json!({}), None).is_empty());
    }
}
