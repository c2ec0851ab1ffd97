//! What messages have beside `role` and `content` that others learn from and this program does not.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::terminal::counted;

/// Fields of a message by which other programs read, weigh or write it.
const FIELDS: [&str; 7] =
    ["name", "weight", "tool_calls", "tool_call_id", "function_call", "reasoning_content", "thinking"];

/// Where a record has messages.
const LISTS: [&str; 5] = ["messages", "prompt", "completion", "chosen", "rejected"];

/// The fields of [`FIELDS`] that a file has, and in how many records.
#[derive(Debug, Default)]
pub(super) struct Ignored {
    records: usize,
    fields: BTreeSet<&'static str>,
}

impl Ignored {
    /// Looks at a record as it stands in the file.
    pub fn look_at(&mut self, record: &Map<String, Value>) {
        let lists = LISTS.iter().filter_map(|list| record.get(*list)?.as_array());
        let messages: Vec<&Map<String, Value>> = lists.flatten().filter_map(Value::as_object).collect();
        let says_something = |value: &Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
        let has = |field: &str| messages.iter().any(|message| message.get(field).is_some_and(says_something));
        let found: Vec<&'static str> = FIELDS.into_iter().filter(|field| has(field)).collect();
        self.records += usize::from(!found.is_empty());
        self.fields.extend(found);
    }

    /// What is to be said of the file.
    pub fn said(&self, file: &str) -> Option<String> {
        let fields = self.fields.iter().copied().collect::<Vec<_>>().join(", ");
        let records = counted(self.records, "record");
        (self.records > 0).then(|| format!("{file}: messages of {records} have {fields}, which changes nothing here"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_change_nothing_are_named_once_with_how_many_records_have_them() {
        let mut ignored = Ignored::default();
        let mut look_at = |record: Value| ignored.look_at(record.as_object().unwrap());
        let question = json!({"role": "user", "content": "q", "name": "Ada"});
        let answer = json!({"role": "assistant", "content": "a", "weight": 0, "tool_calls": null});
        look_at(json!({"prompt": "q", "completion": "a", "name": "a record's own"}));
        look_at(json!({"prompt": [{"role": "user", "content": "q", "tool_calls": []}]}));
        look_at(json!({"messages": [question, answer]}));
        look_at(json!({"chosen": [question], "rejected": [question]}));
        let said = ignored.said("data.jsonl");
        assert_eq!(said.unwrap(), "data.jsonl: messages of 2 records have name, weight, which changes nothing here");
        assert_eq!(Ignored::default().said("data.jsonl"), None);
    }
}
