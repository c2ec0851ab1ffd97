//! Other forms of our records, as TRL and `datasets` have them, made into ours before they are read: plain texts in place of
//! messages, a whole conversation under `messages`, `chosen` and `rejected` that begin with the prompt.

use serde_json::{Map, Value, json};

/// A plain text stands for one message: the user's in `prompt`, else the assistant's. An answer in `responses` may be one too.
pub(super) fn texts_to_messages(object: &mut Map<String, Value>) {
    let roles = [("prompt", "user"), ("completion", "assistant"), ("chosen", "assistant"), ("rejected", "assistant")];
    for (field, role) in roles {
        if let Some(value) = object.get_mut(field).filter(|value| value.is_string()) {
            let text = value.take();
            *value = json!([{ "role": role, "content": text }]);
        }
    }
    for answer in object.get_mut("responses").and_then(Value::as_array_mut).into_iter().flatten() {
        if answer.is_string() {
            let text = answer.take();
            *answer = json!({ "content": text });
        }
    }
}

/// Puts the fields that `extra` holds as JSON beside the others: of an exported Parquet file pandas and `datasets` make JSON lines
/// with a text there.
pub(super) fn spread_extra(object: &mut Map<String, Value>) {
    let Some(Value::String(text)) = object.get("extra") else { return };
    let Ok(Value::Object(more)) = serde_json::from_str::<Value>(text) else { return };
    object.remove("extra");
    for (name, value) in more.into_iter().filter(|(_, value)| !value.is_null()) {
        object.entry(name).or_insert(value);
    }
}

/// The prompt of a record that has `messages` instead: the conversation up to the last message that somebody else wrote than the
/// assistant.
pub(super) fn prompt_of_messages(object: &mut Map<String, Value>) {
    if object.contains_key("prompt") {
        return;
    }
    if let Some(Value::Array(mut messages)) = object.remove("messages") {
        while messages.last().is_some_and(is_assistants) {
            messages.pop();
        }
        object.insert("prompt".into(), Value::Array(messages));
    }
}

/// Prompt and answer of a record that has `messages` instead: the last of them is the answer. Says what is wrong with them.
pub(super) fn answer_of_messages(object: &mut Map<String, Value>) -> Result<(), &'static str> {
    if object.contains_key("completion") {
        return Ok(());
    }
    let Some(messages) = object.get("messages").and_then(Value::as_array) else { return Ok(()) };
    let Some((answer, prompt)) = messages.split_last().filter(|(last, _)| is_assistants(last)) else {
        return Err("must end with a message of the assistant's, the answer that is learned");
    };
    if prompt.is_empty() {
        return Err("has nothing before the answer");
    }
    let (answer, prompt) = (json!([answer]), Value::Array(prompt.to_vec()));
    object.remove("messages");
    object.insert("completion".into(), answer);
    object.insert("prompt".into(), prompt);
    Ok(())
}

/// Whether a record is a comparison. Beside answers with ranks, `chosen` and `rejected` are fields like others, as they are to
/// the server's import.
pub fn is_comparison(object: &Map<String, Value>) -> bool {
    let has = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
    (has("chosen") || has("rejected")) && !(has("responses") && has("ranks"))
}

/// The prompt of a comparison whose answers are whole conversations: the messages that both begin with. A plain text under
/// `prompt` says again what stands there.
pub(super) fn shared_prompt(object: &mut Map<String, Value>) {
    if object.get("prompt").is_some_and(Value::is_array) {
        return;
    }
    let messages = |field: &str| object.get(field).and_then(Value::as_array);
    let (Some(chosen), Some(rejected)) = (messages("chosen"), messages("rejected")) else { return };
    // Of two conversations that are the same the last message is the answer.
    let most = chosen.len().min(rejected.len()).saturating_sub(1);
    let shared = chosen.iter().zip(rejected).take(most).take_while(|(one, other)| one == other).count();
    if shared == 0 {
        return;
    }
    let prompt = chosen[..shared].to_vec();
    for field in ["chosen", "rejected"] {
        if let Some(messages) = object.get_mut(field).and_then(Value::as_array_mut) {
            messages.drain(..shared);
        }
    }
    object.insert("prompt".into(), Value::Array(prompt));
}

fn is_assistants(message: &Value) -> bool {
    message.get("role").and_then(Value::as_str) == Some("assistant")
}
