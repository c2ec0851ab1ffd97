//! Values of JSON in the reader's words, for what is stored as it came: settings of training, and details of the audit log that have no
//! words of their own.

use serde_json::{Number, Value};

use super::show;
use crate::web::Page;

/// What stands where there is nothing.
pub const NOTHING: &str = "–";

/// `held_back` is “held back”.
pub fn spelled(key: &str) -> String {
    key.replace('_', " ")
}

/// The names that lead to a value, in one line.
pub fn spelled_path(path: &[&str]) -> String {
    let names: Vec<String> = path.iter().map(|name| spelled(name)).collect();
    names.join(" · ")
}

/// The values that lie in nested objects, each with the names that lead to it. A list is one value, and so is an empty object.
pub fn leaves(value: &Value) -> Vec<(Vec<&str>, &Value)> {
    let mut found = Vec::new();
    gather(value, &mut Vec::new(), &mut found);
    found
}

fn gather<'a>(value: &'a Value, path: &mut Vec<&'a str>, found: &mut Vec<(Vec<&'a str>, &'a Value)>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                path.push(name);
                gather(value, path, found);
                path.pop();
            }
        }
        other => found.push((path.clone(), other)),
    }
}

/// A value in one line: yes, 12,000, 0.05, a text; a dash where there is none.
pub fn line(page: &Page, value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::Bool(true) => page.t("training-yes"),
        Value::Bool(false) => page.t("training-no"),
        Value::Number(number) => shown(number),
        Value::String(text) if text.trim().is_empty() => NOTHING.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => NOTHING.to_owned(),
        Value::Array(values) => values.iter().map(|value| line(page, value)).collect::<Vec<_>>().join(", "),
        Value::Object(map) if map.is_empty() => NOTHING.to_owned(),
        Value::Object(_) => {
            let named = |(path, value): (Vec<&str>, &Value)| {
                page.t2("value-named", "name", spelled_path(&path), "value", line(page, value))
            };
            leaves(value).into_iter().map(named).collect::<Vec<_>>().join("; ")
        }
    }
}

/// Whole numbers in groups of three digits, others as they are stored.
fn shown(number: &Number) -> String {
    number.as_i64().map_or_else(|| number.to_string(), show::count)
}

/// What a setting of training is called by the names that lead to it: `SFT · learning rate`.
pub fn setting_name(page: &Page, path: &[&str]) -> String {
    let Some((section, within)) = path.split_first() else { return String::new() };
    let section = page.translator.known(&format!("setting-{section}")).unwrap_or_else(|| spelled(section));
    std::iter::once(section).chain(within.iter().map(|name| spelled(name))).collect::<Vec<_>>().join(" · ")
}

/// The same of names with dots between: `lora.rank` is `LoRA · rank`.
pub fn dotted_name(page: &Page, name: &str) -> String {
    setting_name(page, &name.split('.').collect::<Vec<_>>())
}

/// Settings of training, each with its name.
pub fn settings(page: &Page, settings: &Value) -> Vec<(String, String)> {
    let named = leaves(settings).into_iter().filter(|(path, _)| !path.is_empty());
    named.map(|(path, value)| (setting_name(page, &path), line(page, value))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::web::session::Visitor;

    #[test]
    fn values_are_read_without_signs_of_json() {
        let page = Visitor::default().page("/admin");
        let value = json!({
            "held_back": true, "report": { "prompts_added": 12000, "rate": 0.05 }, "of": [{ "a": null }, ["b", 1]], "none": [],
        });
        assert_eq!(
            line(&page, &value),
            "held back: yes; report · prompts added: 12,000; report · rate: 0.05; of: a: –, b, 1; none: –"
        );
    }

    #[test]
    fn settings_are_named_by_their_section() {
        let page = Visitor::default().page("/admin");
        let settings = json!({ "sft": { "learning_rate": 0.0002, "lora": { "rank": 8 } }, "device": "cpu", "x_y": {} });
        let wanted = [("SFT · learning rate", "0.0002"), ("SFT · lora · rank", "8"), ("Device", "cpu"), ("x y", "–")];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(super::settings(&page, &settings), wanted);
        assert!(super::settings(&page, &json!({})).is_empty());
        assert_eq!(dotted_name(&page, "lora.rank"), "LoRA · rank");
    }
}
