//! The fields of a record, taken out one by one with their types; what is left over is what the format does not know.

use laurel_records::{Message, Role};
use serde_json::{Map, Value};
use time::{OffsetDateTime, UtcOffset, format_description::well_known::Rfc3339};

use super::{read::name_of, reason::Reason};

/// What is wrong with a record: the field, as a path, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub field: String,
    pub reason: Reason,
}

impl Wrong {
    /// A field is wrong: `ranks`, `prompt[2].role`.
    pub fn at(field: impl Into<String>, reason: impl Into<Reason>) -> Self {
        Wrong { field: field.into(), reason: reason.into() }
    }

    /// The record as a whole is wrong.
    pub fn whole(reason: impl Into<Reason>) -> Self {
        Wrong::at("", reason)
    }

    pub fn missing(field: &str) -> Self {
        Wrong::at(field, "import-reason-missing")
    }

    /// A field holds another kind of value than the one whose key is `wanted`.
    pub fn kind(field: impl Into<String>, wanted: &'static str, found: &Value) -> Self {
        let reason = Reason::from("import-reason-kind").and_word("found", name_of(found)).and_word("wanted", wanted);
        Wrong::at(field, reason)
    }
}

/// Characters that an id or a name may have.
const LONGEST_NAME: usize = 500;

/// A record's fields.
pub struct Fields(pub Map<String, Value>);

impl Fields {
    pub fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    /// Takes a field; `None` where it is absent or null.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        self.0.shift_remove(name).filter(|value| !value.is_null())
    }

    pub fn text(&mut self, name: &str) -> Result<Option<String>, Wrong> {
        self.take(name).map(|value| text(name, value)).transpose()
    }

    /// An id or a name: a text, or a number that stands for one.
    pub fn name(&mut self, name: &str) -> Result<Option<String>, Wrong> {
        Ok(self.take(name).map(|value| identifier(name, value)).transpose()?.filter(|id| !id.is_empty()))
    }

    pub fn number(&mut self, name: &str) -> Result<Option<f64>, Wrong> {
        self.take(name)
            .map(|value| value.as_f64().ok_or_else(|| Wrong::kind(name, "import-thing-number", &value)))
            .transpose()
    }

    pub fn truth(&mut self, name: &str) -> Result<Option<bool>, Wrong> {
        self.take(name)
            .map(|value| value.as_bool().ok_or_else(|| Wrong::kind(name, "import-thing-truth", &value)))
            .transpose()
    }

    pub fn time(&mut self, name: &str) -> Result<Option<OffsetDateTime>, Wrong> {
        let text = match self.take(name) {
            None => return Ok(None),
            // Seconds or milliseconds since 1970, as pandas writes: it is told how a time is written instead.
            Some(Value::Number(number)) => number.to_string(),
            Some(other) => text(name, other)?,
        };
        let reason = || Wrong::at(name, Reason::with("import-reason-time", "text", &text));
        let time = OffsetDateTime::parse(&text, &Rfc3339).ok().and_then(|time| time.checked_to_offset(UtcOffset::UTC));
        // At the ends of the calendar UTC may be in a year that has no four digits, and could not be written out again.
        time.filter(|time| time.year() >= 0).map(Some).ok_or_else(reason)
    }

    pub fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, Wrong> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(other) => Err(Wrong::kind(name, "import-thing-list", &other)),
        }
    }

    pub fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, Wrong> {
        let Some(items) = self.list(name)? else { return Ok(None) };
        let items = items.into_iter().enumerate().map(|(index, item)| text(&format!("{name}[{index}]"), item));
        items.collect::<Result<_, _>>().map(Some)
    }

    /// Messages, or a text that is what `speaker` says.
    pub fn messages(&mut self, name: &str, speaker: Role) -> Result<Option<Vec<Message>>, Wrong> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(content)) => Ok(Some(vec![Message { role: speaker, content }])),
            Some(Value::Array(items)) => {
                let items =
                    items.into_iter().enumerate().map(|(index, item)| message(&format!("{name}[{index}]"), item));
                items.collect::<Result<_, _>>().map(Some)
            }
            Some(other) => Err(Wrong::kind(name, "import-thing-messages", &other)),
        }
    }

    /// What nobody took.
    pub fn rest(mut self) -> Map<String, Value> {
        self.0.retain(|_, value| !value.is_null());
        self.0
    }

    /// Refuses what nobody took, where there is no place to keep it.
    pub fn nothing_left(self, path: &str) -> Result<(), Wrong> {
        match self.rest().keys().next() {
            None => Ok(()),
            Some(name) => Err(Wrong::at(format!("{path}{name}"), "import-reason-unknown-field")),
        }
    }
}

/// A message of our own form.
fn message(path: &str, value: Value) -> Result<Message, Wrong> {
    let mut fields = match value {
        Value::Object(fields) => Fields(fields),
        other => return Err(Wrong::kind(path, "import-thing-message", &other)),
    };
    let at = |name: &str| format!("{path}.{name}");
    let word = fields.take("role").ok_or_else(|| Wrong::missing(&at("role")))?;
    let role = serde_json::from_value(word.clone())
        .map_err(|_| Wrong::at(at("role"), Reason::with("import-reason-role", "word", &word)))?;
    let content = fields.take("content").ok_or_else(|| Wrong::missing(&at("content")))?;
    let content = text(&at("content"), content)?;
    fields.nothing_left(&format!("{path}."))?;
    Ok(Message { role, content })
}

pub fn text(path: &str, value: Value) -> Result<String, Wrong> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Wrong::kind(path, "import-thing-text", &other)),
    }
}

/// An id or a name: a text, or a number that stands for one.
pub fn identifier(path: &str, value: Value) -> Result<String, Wrong> {
    let id = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        other => return Err(Wrong::kind(path, "import-thing-text", &other)),
    };
    if id.chars().count() > LONGEST_NAME {
        return Err(Wrong::at(path, Reason::with("import-reason-too-long", "longest", LONGEST_NAME)));
    }
    Ok(id)
}
