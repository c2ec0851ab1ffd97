//! Argilla: records of `fields` with `responses` of people, as its versions 1 (a list, one entry a person) and 2 (an object,
//! one entry a question) write them. A ranking question makes rankings, a text question demonstrations.

use std::collections::BTreeMap;

use laurel_records::{Message, Role};
use serde_json::{Map, Value, json};

use super::{Said, competition, dialogue};
use crate::import::{
    Kind,
    fields::{Fields, Wrong, text},
    reason::Reason,
};

/// Fields that hold what the user says.
const ASKING: [&str; 7] = ["prompt", "instruction", "question", "input", "chat", "conversation", "text"];
/// How the names of fields with answers begin.
const ANSWERING: [&str; 6] = ["response", "answer", "completion", "generation", "output", "text"];

/// What one person said: question → value.
type ByQuestion = BTreeMap<String, Value>;
/// An answer: its field's name, and what it says.
type Answer = (String, String);

/// The records of one Argilla record: one a person who answered, or one where only the fields count.
pub fn records(kind: Kind, record: Map<String, Value>) -> Result<Vec<Map<String, Value>>, Wrong> {
    let mut fields = Fields(record);
    let id = match fields.name("id")? {
        Some(id) => Some(id),
        None => fields.name("external_id")?,
    };
    let shown = match fields.take("fields") {
        Some(Value::Object(shown)) => shown,
        Some(other) => return Err(Wrong::kind("fields", "import-thing-object", &other)),
        None => return Err(Wrong::missing("fields")),
    };
    let (prompt, answers) = parts(shown)?;
    let contents: Vec<Value> = answers.iter().map(|(_, content)| json!({ "content": content })).collect();
    let mut more = Map::new();
    let key = if kind == Kind::Prompts { "id" } else { "prompt_id" };
    more.extend(id.map(|id| (key.to_owned(), json!(id))));
    // These have no place for more.
    let is_bare = matches!(kind, Kind::Responses | Kind::KnownAnswers);
    if let Some(Value::Object(metadata)) = fields.take("metadata").filter(|_| !is_bare) {
        more.extend(metadata.into_iter().map(|(name, value)| (format!("metadata_{name}"), value)));
    }
    let one = || Said { prompt: prompt.clone(), answers: contents.clone(), more: more.clone(), ..Said::default() };
    if matches!(kind, Kind::Prompts | Kind::Responses) {
        return Ok(vec![one().of_kind(kind)?]);
    }
    let mut out = Vec::new();
    for (person, said) in people(fields.take("responses"))? {
        let mut record = one();
        if !is_bare {
            record.more.insert("annotator".to_owned(), json!(person));
        }
        if kind == Kind::Demonstrations {
            record.completion = written(said);
            if record.completion.is_none() {
                continue;
            }
        } else {
            let Some(values) = said.into_values().find_map(|value| order(value, &answers).transpose()) else {
                continue;
            };
            record.ranks = values?;
        }
        out.push(record.of_kind(kind)?);
    }
    Ok(out)
}

/// The prompt, and the fields that are answers to it, in their order.
fn parts(shown: Map<String, Value>) -> Result<(Vec<Message>, Vec<Answer>), Wrong> {
    let asking = ASKING
        .iter()
        .find(|name| shown.contains_key(**name))
        .ok_or_else(|| Wrong::at("fields", Reason::with("import-reason-no-question", "names", ASKING.join(", "))))?;
    let (mut prompt, mut answers) = (Vec::new(), Vec::new());
    for (name, value) in shown {
        let path = format!("fields.{name}");
        if name == *asking {
            prompt = match value {
                Value::Array(turns) => dialogue::chat(&path, turns)?,
                other => vec![Message { role: Role::User, content: text(&path, other)? }],
            };
        } else if ANSWERING.iter().any(|start| name.to_lowercase().starts_with(start)) {
            answers.push((name, text(&path, value)?));
        }
    }
    Ok((prompt, answers))
}

/// Everyone who submitted, with what they said to each question.
fn people(responses: Option<Value>) -> Result<BTreeMap<String, ByQuestion>, Wrong> {
    let mut people: BTreeMap<String, ByQuestion> = BTreeMap::new();
    let name_of = |entry: &Value| match entry.get("user_id") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Null) | None => "unknown".to_owned(),
        Some(other) => other.to_string(),
    };
    let counts = |entry: &Value| entry.get("status").and_then(Value::as_str).is_none_or(|status| status == "submitted");
    match responses {
        None => {}
        Some(Value::Array(entries)) => {
            for entry in entries.iter().filter(|entry| counts(entry)) {
                let values = entry.get("values").and_then(Value::as_object).into_iter().flatten();
                let values =
                    values.filter_map(|(question, value)| Some((question.clone(), value.get("value")?.clone())));
                people.entry(name_of(entry)).or_default().extend(values);
            }
        }
        Some(Value::Object(questions)) => {
            for (question, entries) in questions {
                for entry in entries.as_array().into_iter().flatten().filter(|entry| counts(entry)) {
                    let value = entry.get("value").cloned().unwrap_or_default();
                    people.entry(name_of(entry)).or_default().insert(question.clone(), value);
                }
            }
        }
        Some(other) => return Err(Wrong::kind("responses", "import-thing-list-or-object", &other)),
    }
    Ok(people)
}

/// What a person wrote. A choice of one label is a text too: of several the one whose question is called like an answer.
fn written(said: ByQuestion) -> Option<String> {
    let is_label = |question: &str| !ANSWERING.iter().any(|word| question.to_lowercase().contains(word));
    let texts = said.into_iter().filter_map(|(question, value)| Some((question, value.as_str()?.to_owned())));
    texts.min_by_key(|(question, _)| is_label(question)).map(|(_, text)| text)
}

/// The ranks of the answers by a ranking question's value: `[{"value", "rank"}]`, or, as version 2 exports it, the names of all
/// answers, the best first. `None` where it is another question's.
fn order(value: Value, answers: &[Answer]) -> Result<Option<Vec<u32>>, Wrong> {
    let plain = |name: &str| name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    if !answers.is_empty() && items.iter().all(Value::is_string) {
        let names: Vec<String> = items.iter().filter_map(Value::as_str).map(plain).collect();
        let place_of = |(name, _): &Answer| i64::try_from(names.iter().position(|other| *other == plain(name))?).ok();
        let places: Option<Vec<i64>> = answers.iter().map(place_of).collect();
        return Ok(places.map(|places| competition(&places)));
    }
    if items.is_empty() || items.iter().any(|item| item.get("rank").is_none()) {
        return Ok(None);
    }
    let rank_of = |name: &str| {
        let item = items
            .iter()
            .find(|item| item.get("value").and_then(Value::as_str).is_some_and(|value| plain(value) == plain(name)));
        item.and_then(|item| item.get("rank")?.as_i64())
            .ok_or_else(|| Wrong::at("responses", Reason::with("import-reason-unranked-field", "name", name)))
    };
    let values = answers.iter().map(|(name, _)| rank_of(name)).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(competition(&values)))
}
