//! JSON as Python's `json.dumps` writes it, with the options that chat templates use.

use std::fmt::Write;

use serde_json::Value;

/// The arguments of `json.dumps`.
#[derive(Debug, Clone, Default)]
pub struct Style {
    /// What is no ASCII is written as `\uXXXX`.
    pub ensure_ascii: bool,
    /// A line for each item, so far to the right a level; `None`: all in one line.
    pub indent: Option<String>,
    /// What stands between two items, and between a name and its value; `None`: Python's choice for the indentation.
    pub separators: Option<[String; 2]>,
    pub sort_keys: bool,
}

impl Style {
    pub fn dumps(&self, value: &Value) -> String {
        let item = if self.indent.is_some() { "," } else { ", " };
        let given = self.separators.as_ref().map(|[item, name]| [item.as_str(), name.as_str()]);
        let [item, name] = given.unwrap_or([item, ": "]);
        let mut writer = Writer { style: self, item, name, out: String::new() };
        writer.value(value, 0);
        writer.out
    }
}

struct Writer<'a> {
    style: &'a Style,
    item: &'a str,
    name: &'a str,
    out: String,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) {
        match value {
            Value::String(text) => self.string(text),
            Value::Array(items) => {
                self.out.push('[');
                for (at, item) in items.iter().enumerate() {
                    self.begin(at, depth);
                    self.value(item, depth + 1);
                }
                self.end(']', items.is_empty(), depth);
            }
            Value::Object(fields) => {
                let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
                if self.style.sort_keys {
                    fields.sort_by_key(|(name, _)| *name);
                }
                self.out.push('{');
                for (at, (name, value)) in fields.iter().enumerate() {
                    self.begin(at, depth);
                    self.string(name);
                    self.out.push_str(self.name);
                    self.value(value, depth + 1);
                }
                self.end('}', fields.is_empty(), depth);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => self.out.push_str(&value.to_string()),
        }
    }

    /// What stands before an item of a list or of an object.
    fn begin(&mut self, at: usize, depth: usize) {
        if at > 0 {
            self.out.push_str(self.item);
        }
        self.new_line(depth + 1);
    }

    fn end(&mut self, bracket: char, is_empty: bool, depth: usize) {
        if !is_empty {
            self.new_line(depth);
        }
        self.out.push(bracket);
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = &self.style.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for character in text.chars() {
            match character {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                _ if character < ' ' || self.style.ensure_ascii && character > '~' => {
                    for unit in character.encode_utf16(&mut [0; 2]).iter() {
                        // Writing to memory does not fail.
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                _ => self.out.push(character),
            }
        }
        self.out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Expected: `json.dumps` of Python 3 with the same arguments.
    #[test]
    fn every_argument_does_what_it_does_in_python() {
        let value = json!({"b": [1, 2.5, null, true, {}, []], "a": "茶 🌿 <\u{7f}>\u{1}\n\"\\"});
        let style = Style::default();
        let line = "{\"b\": [1, 2.5, null, true, {}, []], \"a\": \"茶 🌿 <\u{7f}>\\u0001\\n\\\"\\\\\"}";
        assert_eq!(style.dumps(&value), line);
        let ascii = Style { ensure_ascii: true, sort_keys: true, ..style.clone() };
        let expected = r#"{"a": "\u8336 \ud83c\udf3f <\u007f>\u0001\n\"\\", "b": [1, 2.5, null, true, {}, []]}"#;
        assert_eq!(ascii.dumps(&value), expected);
        let close = Style { separators: Some([",".into(), ":".into()]), ..style.clone() };
        assert_eq!(close.dumps(&json!({"b": [1, 2], "a": 3})), r#"{"b":[1,2],"a":3}"#);
        let indented = Style { indent: Some("  ".into()), ..style.clone() };
        assert_eq!(
            indented.dumps(&json!({"b": [1, {}], "a": []})),
            "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": []\n}"
        );
        let flat = Style { indent: Some(String::new()), ..style };
        assert_eq!(flat.dumps(&json!([1, [2]])), "[\n1,\n[\n2\n]\n]");
    }
}
