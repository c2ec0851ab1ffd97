//! What other tools export, rewritten to our own forms record by record. A record is recognised by its fields; what is none
//! of theirs passes unchanged. docs/formats.md lists which field becomes what.

mod argilla;
mod dialogue;
mod label_studio;
mod open_assistant;

use laurel_records::{Message, Role};
use serde_json::{Map, Value, json};

use super::{
    Kind,
    fields::{Fields, Wrong},
};
use open_assistant::Tree;

/// A rewritten record and the line it comes from.
pub type Rewritten = (u64, Result<Map<String, Value>, Wrong>);

/// Rewrites the records of a file, one after the other. Remembers an Open-Assistant tree while its messages come.
pub struct Rewriter {
    kind: Kind,
    tree: Tree,
}

impl Rewriter {
    pub fn new(kind: Kind) -> Self {
        Rewriter { kind, tree: Tree::default() }
    }

    /// What one record of the file becomes: one record, several, or none yet.
    pub fn push(&mut self, line: u64, record: Map<String, Value>) -> Vec<Rewritten> {
        if open_assistant::is_message(&record) {
            return match self.tree.take_if_other(&record) {
                Some(whole) => {
                    let mut out = whole.records(self.kind);
                    out.extend(self.tree.add(line, record).err().map(|wrong| (line, Err(wrong))));
                    out
                }
                None => self.tree.add(line, record).err().map(|wrong| (line, Err(wrong))).into_iter().collect(),
            };
        }
        let mut out = self.finish();
        match self.rewrite(line, record) {
            Ok(records) => out.extend(records),
            Err(wrong) => out.push((line, Err(wrong))),
        }
        out
    }

    /// What is left at the end of the file.
    pub fn finish(&mut self) -> Vec<Rewritten> {
        std::mem::take(&mut self.tree).records(self.kind)
    }

    fn rewrite(&self, line: u64, record: Map<String, Value>) -> Result<Vec<Rewritten>, Wrong> {
        let is = |name: &str, of: fn(&Value) -> bool| record.get(name).is_some_and(of);
        let here = |records: Vec<Map<String, Value>>| records.into_iter().map(|record| (line, Ok(record))).collect();
        if is("message_tree_id", |_| true) && is("prompt", Value::is_object) {
            return Ok(Tree::of_nested(line, record)?.records(self.kind));
        }
        if is("fields", |fields| fields.is_object() || fields.is_array()) && !record.contains_key("prompt") {
            return argilla::records(self.kind, record).map(here);
        }
        if is("data", Value::is_object) && !record.contains_key("prompt") {
            return label_studio::records(self.kind, record).map(here);
        }
        let is_own = is("prompt", Value::is_array);
        let fields = Fields(record);
        // What our own records have besides is theirs, whatever it is called.
        let is_chat = |name: &&str| fields.has(name) && (!is_own || fields.0.get(*name).is_some_and(Value::is_array));
        let said = if fields.has("instruction") && !is_own {
            dialogue::alpaca(fields)?
        } else if dialogue::is_preference(&fields) {
            dialogue::preference(fields)?
        } else if ["conversations", "conversation", "messages"].iter().any(is_chat) {
            dialogue::share_gpt(self.kind, fields)?
        } else {
            return Ok(here(vec![dialogue::plain(self.kind, fields)?]));
        };
        said.of_kind(self.kind).map(|record| here(vec![record]))
    }
}

/// The tool whose form a record has, by its name; `None` for our own.
pub fn tool_of(record: &Map<String, Value>) -> Option<&'static str> {
    let is = |name: &str, of: fn(&Value) -> bool| record.get(name).is_some_and(of);
    if open_assistant::is_message(record) || (is("message_tree_id", |_| true) && is("prompt", Value::is_object)) {
        return Some("Open-Assistant");
    }
    if record.contains_key("prompt") {
        return None;
    }
    if is("fields", |fields| fields.is_object() || fields.is_array()) {
        return Some("Argilla");
    }
    if is("data", Value::is_object) {
        return Some("Label Studio");
    }
    if is("instruction", |_| true) {
        return Some("Alpaca");
    }
    if ["conversations", "conversation", "messages"].iter().any(|name| record.contains_key(*name)) {
        return Some("ShareGPT");
    }
    (is("chosen", |_| true) && is("rejected", |_| true)).then_some("Anthropic HH")
}

/// What a foreign record says, before one knows what it is wanted for.
#[derive(Debug, Default)]
struct Said {
    prompt: Vec<Message>,
    /// The answer to learn from.
    completion: Option<String>,
    /// Answers to compare, as our `responses` have them.
    answers: Vec<Value>,
    /// Their ranks; empty where nobody ranked.
    ranks: Vec<u32>,
    /// More fields of ours, and fields that nobody knows.
    more: Map<String, Value>,
}

impl Said {
    fn answer(content: String) -> Value {
        json!({ "content": content })
    }

    /// The record of a kind; names what is missing for it.
    fn of_kind(mut self, kind: Kind) -> Result<Map<String, Value>, Wrong> {
        if matches!(kind, Kind::Responses | Kind::KnownAnswers) {
            // Answers that people will rank have no place for it, and the file has no field of this name to be told about.
            self.more.retain(|name, _| !dialogue::RESTS.contains(&name.as_str()));
        }
        let mut record = Map::new();
        let mut put = |name: &str, value: Value| drop(record.insert(name.to_owned(), value));
        put("prompt", json!(self.prompt));
        match kind {
            Kind::Prompts => {}
            Kind::Demonstrations => {
                let content = self.completion.ok_or_else(|| Wrong::whole("import-reason-nothing-to-learn"))?;
                put("completion", json!([Message { role: Role::Assistant, content }]));
            }
            Kind::Responses => {
                if self.answers.is_empty() {
                    return Err(Wrong::whole("import-reason-nothing-to-rank"));
                }
                put("responses", Value::Array(self.answers));
            }
            Kind::Rankings | Kind::Comparisons | Kind::KnownAnswers => {
                if self.ranks.is_empty() {
                    return Err(Wrong::whole("import-reason-no-order"));
                }
                put("responses", Value::Array(self.answers));
                put("ranks", json!(self.ranks));
            }
        }
        for (name, value) in self.more {
            record.entry(name).or_insert(value);
        }
        Ok(record)
    }
}

/// Ranks by position from values of which the least is best; equal values are ties. Competition ranking (1, 2, 2, 4).
fn competition(values: &[i64]) -> Vec<u32> {
    let better = |value: &i64| values.iter().filter(|other| *other < value).count();
    values.iter().map(|value| u32::try_from(better(value) + 1).unwrap_or(u32::MAX)).collect()
}
