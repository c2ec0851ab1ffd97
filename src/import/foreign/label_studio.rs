//! Label Studio's JSON: tasks of `data` with `annotations`. Pairwise choices and rankers make rankings, text areas
//! demonstrations.

use laurel_records::{Message, Role};
use serde_json::{Map, Value, json};

use super::{Said, competition, dialogue};
use crate::import::{
    Kind,
    fields::{Fields, Wrong, text},
    reason::Reason,
};

const ASKING: [&str; 6] = ["prompt", "instruction", "question", "input", "dialogue", "text"];
const ANSWERING: [&str; 5] = ["answer", "response", "completion", "generation", "output"];
/// Fields that hold a list of answers, as rankers take them.
const LISTS: [&str; 5] = ["answers", "responses", "items", "completions", "generations"];

/// An answer: the id by which results name it, and what it says.
type Answer = (String, String);

/// The records of one task: one an annotation, or one where only the task counts.
pub fn records(kind: Kind, record: Map<String, Value>) -> Result<Vec<Map<String, Value>>, Wrong> {
    let mut fields = Fields(record);
    let id = fields.name("id")?;
    let data = match fields.take("data") {
        Some(Value::Object(data)) => data,
        _ => return Err(Wrong::missing("data")),
    };
    let (prompt, answers) = parts(data)?;
    let contents: Vec<Value> = answers.iter().map(|(_, content)| json!({ "content": content })).collect();
    let mut more = Map::new();
    let key = if kind == Kind::Prompts { "id" } else { "prompt_id" };
    more.extend(id.map(|id| (key.to_owned(), json!(id))));
    let one = || Said { prompt: prompt.clone(), answers: contents.clone(), more: more.clone(), ..Said::default() };
    if matches!(kind, Kind::Prompts | Kind::Responses) {
        return Ok(vec![one().of_kind(kind)?]);
    }
    let mut out = Vec::new();
    for (index, annotation) in fields.list("annotations")?.unwrap_or_default().into_iter().enumerate() {
        if annotation.get("was_cancelled") == Some(&Value::Bool(true)) {
            continue;
        }
        let results = annotation.get("result").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut said = one();
        // Of what is known to be right nobody asks who said it.
        if kind != Kind::KnownAnswers {
            said.more.extend(who_and_when(&annotation));
        }
        let path = format!("annotations[{index}].result");
        if kind == Kind::Demonstrations {
            said.completion = results.iter().find_map(written);
        } else if let Some(ranks) = results.iter().find_map(|result| order(&path, result, &answers).transpose()) {
            said.ranks = ranks?;
        }
        if said.completion.is_some() || !said.ranks.is_empty() {
            out.push(said.of_kind(kind)?);
        }
    }
    Ok(out)
}

fn parts(data: Map<String, Value>) -> Result<(Vec<Message>, Vec<Answer>), Wrong> {
    let asking = ASKING.iter().find(|name| data.contains_key(**name)).ok_or_else(|| {
        Wrong::at("data", Reason::with("import-reason-no-question-field", "names", ASKING.join(", ")))
    })?;
    let (mut prompt, mut answers) = (Vec::new(), Vec::new());
    for (name, value) in data {
        let path = format!("data.{name}");
        match value {
            Value::Array(turns) if name == *asking => prompt = dialogue::chat(&path, turns)?,
            other if name == *asking => prompt.push(Message { role: Role::User, content: text(&path, other)? }),
            Value::Array(items) if LISTS.contains(&name.as_str()) => {
                for (index, item) in items.into_iter().enumerate() {
                    answers.push(listed(&format!("{path}[{index}]"), index, item)?);
                }
            }
            Value::String(content) if ANSWERING.iter().any(|start| name.to_lowercase().starts_with(start)) => {
                answers.push((name, content));
            }
            _ => {}
        }
    }
    Ok((prompt, answers))
}

/// An answer of a list: a text, or an object of the ranker's (`id`, `body` or `title`).
fn listed(path: &str, index: usize, item: Value) -> Result<Answer, Wrong> {
    let mut fields = match item {
        Value::Object(fields) => Fields(fields),
        other => return Ok((index.to_string(), text(path, other)?)),
    };
    let id = fields.name("id")?.unwrap_or_else(|| index.to_string());
    let names = ["body", "content", "text", "title"];
    let content = names.into_iter().find_map(|name| fields.take(name)).ok_or_else(|| Wrong::missing(path))?;
    Ok((id, text(path, content)?))
}

fn who_and_when(annotation: &Value) -> Map<String, Value> {
    let mut more = Map::new();
    let by = annotation.get("completed_by");
    // A number, or the person with their address.
    let by = by.and_then(|by| by.get("email").or_else(|| by.get("id"))).or(by);
    more.extend(by.filter(|by| by.is_string() || by.is_number()).map(|by| ("annotator".to_owned(), by.clone())));
    let id = annotation.get("id").filter(|id| id.is_number() || id.is_string());
    more.extend(id.map(|id| ("id".to_owned(), id.clone())));
    let seconds = annotation.get("lead_time").filter(|seconds| seconds.is_number());
    more.extend(seconds.map(|seconds| ("seconds".to_owned(), seconds.clone())));
    let created = annotation.get("created_at").filter(|at| at.is_string());
    more.extend(created.map(|at| ("created_at".to_owned(), at.clone())));
    more
}

/// What a text area says.
fn written(result: &Value) -> Option<String> {
    match result.get("value")?.get("text")? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => Some(parts.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")),
        _ => None,
    }
}

/// The ranks by a pairwise choice or a ranker; `None` where the result is something else.
fn order(path: &str, result: &Value, answers: &[Answer]) -> Result<Option<Vec<u32>>, Wrong> {
    let Some(value) = result.get("value") else { return Ok(None) };
    if let Some(side) = value.get("selected").and_then(Value::as_str) {
        if answers.len() != 2 {
            return Err(Wrong::at("data", Reason::with("import-reason-pairwise", "answers", answers.len())));
        }
        return match side {
            "left" => Ok(Some(vec![1, 2])),
            "right" => Ok(Some(vec![2, 1])),
            _ => Err(Wrong::at(path, Reason::with("import-reason-side", "word", side))),
        };
    }
    let Some(ranker) = value.get("ranker") else { return Ok(None) };
    let names = ranker.as_array().or_else(|| ranker.as_object()?.values().find_map(Value::as_array));
    let names: Vec<String> =
        names.into_iter().flatten().map(|name| name.as_str().map_or_else(|| name.to_string(), str::to_owned)).collect();
    let place = |(id, _): &Answer| {
        let place = names.iter().position(|name| name == id).and_then(|place| i64::try_from(place).ok());
        place.ok_or_else(|| Wrong::at(path, Reason::with("import-reason-unranked-answer", "id", id)))
    };
    let places = answers.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(competition(&places)))
}
