//! `POST /v1/chat/completions`: a conversation in, the assistant's next message out.

use laurel_records::{Message, Role};
use serde_json::{Map, Value, json};

use super::{Served, Wanted, asked::Asked, error::ApiError, fields::Fields, form::Form};

/// A field, why it is refused, and whether a value of it asks for nothing.
type Refusal = (&'static str, &'static str, fn(&Value) -> bool);

/// What OpenAI's API takes and this server can't do.
const UNSUPPORTED: [Refusal; 16] = [
    ("tools", "tools can't be called here", is_empty),
    ("tool_choice", "tools can't be called here", |value| value == "none"),
    ("parallel_tool_calls", "tools can't be called here", |_| false),
    ("functions", "functions can't be called here", is_empty),
    ("function_call", "functions can't be called here", |value| value == "none"),
    ("response_format", "only text is written here", |value| value == &json!({"type": "text"})),
    ("modalities", "only text is written here", |value| value == &json!(["text"])),
    ("audio", "only text is written here", |_| false),
    ("prediction", "predicted outputs are not made use of here", |_| false),
    ("reasoning_effort", "this server does not steer reasoning", |value| value == "none"),
    ("verbosity", "this server does not steer how much is said", |value| value == "medium"),
    ("web_search_options", "there is no web search here", |_| false),
    ("moderation", "there is no moderation here", |_| false),
    ("store", "nothing is stored here", |value| value == false),
    ("metadata", "nothing is stored here", is_empty),
    ("service_tier", "there is one tier here", |value| value == "auto" || value == "default"),
];

fn is_empty(value: &Value) -> bool {
    value == &json!([]) || value == &json!({})
}

/// Reads a request and turns its conversation into tokens.
pub fn read(body: &[u8], served: &Served) -> Result<Wanted, ApiError> {
    let mut fields = Fields::parse(body)?;
    served.check_model(&mut fields)?;
    let messages = messages(fields.take("messages"))?;
    let mut asked = Asked::take(&mut fields, &served.limits, served.vocabulary)?;
    let has_logprobs = fields.boolean("logprobs")?.unwrap_or(false);
    let top = fields.count("top_logprobs", 0..=20)?;
    if top.is_some() && !has_logprobs {
        return Err(ApiError::invalid("top_logprobs", "top_logprobs needs logprobs to be true"));
    }
    asked.top_logprobs = has_logprobs.then_some(top.unwrap_or(0));
    for (name, why, asks_for_nothing) in UNSUPPORTED {
        fields.refuse(name, why, asks_for_nothing)?;
    }
    fields.finish()?;

    if !served.tokenizer.has_chat_template() {
        let message =
            "this model has no chat template, so it can't answer conversations; /v1/completions continues texts";
        return Err(ApiError::unsupported("messages", message));
    }
    let ids = served.tokenizer.prompt_within(&messages, usize::MAX);
    let ids = ids.map_err(|error| ApiError::invalid("messages", error.to_string()))?;
    served.check_length(&ids, "messages")?;
    Ok(Wanted { form: Form::Chat, prompts: vec![ids], asked })
}

fn messages(value: Option<Value>) -> Result<Vec<Message>, ApiError> {
    match value {
        None => Err(ApiError::missing("messages")),
        Some(Value::Array(messages)) if !messages.is_empty() => {
            messages.into_iter().enumerate().map(|(index, value)| message(index, value)).collect()
        }
        Some(_) => Err(ApiError::invalid("messages", "messages must be a list of at least one message")),
    }
}

fn message(index: usize, value: Value) -> Result<Message, ApiError> {
    let place = format!("messages[{index}]");
    let Value::Object(mut fields) = value else {
        return Err(ApiError::invalid(&place, format!("{place} must be an object with role and content")));
    };
    let role = match fields.shift_remove("role").as_ref().and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some(role @ ("tool" | "function")) => {
            let message = format!("{place}: tools can't be called here, so nobody speaks as {role}");
            return Err(ApiError::unsupported(format!("{place}.role"), message));
        }
        _ => {
            let message = format!("{place}.role must be system, developer, user or assistant");
            return Err(ApiError::invalid(format!("{place}.role"), message));
        }
    };
    let content = content(&place, fields.shift_remove("content"))?;
    // lm-evaluation-harness says it of every message.
    if fields.get("type").is_some_and(|kind| kind == "text") {
        fields.shift_remove("type");
    }
    nothing_else(&place, &fields)?;
    Ok(Message { role, content })
}

/// Text, or parts that are all text.
fn content(place: &str, value: Option<Value>) -> Result<String, ApiError> {
    let param = format!("{place}.content");
    let parts = match value {
        Some(Value::String(text)) => return Ok(text),
        Some(Value::Array(parts)) if !parts.is_empty() => parts,
        _ => {
            let message = format!("{param} must be a string, or a list of parts of the type text");
            return Err(ApiError::invalid(param, message));
        }
    };
    let mut whole = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        let place = format!("{param}[{index}]");
        match (part["type"].as_str(), part["text"].as_str()) {
            (Some("text"), Some(text)) => whole += text,
            (Some(kind), _) if kind != "text" => {
                let message = format!("{place}: {kind}: this model reads text only");
                return Err(ApiError::unsupported(place, message));
            }
            _ => {
                let message = format!("{place} must have a type and a text");
                return Err(ApiError::invalid(place, message));
            }
        }
        if let Value::Object(mut fields) = part {
            fields.retain(|name, _| name != "type" && name != "text");
            nothing_else(&place, &fields)?;
        }
    }
    Ok(whole)
}

fn nothing_else(place: &str, fields: &Map<String, Value>) -> Result<(), ApiError> {
    let Some((name, _)) = fields.iter().find(|(_, value)| !value.is_null() && !is_empty(value)) else { return Ok(()) };
    let param = format!("{place}.{name}");
    Err(match name.as_str() {
        "name" | "tool_calls" | "function_call" | "tool_call_id" | "audio" | "refusal" => {
            let message = format!("{param}: this model's conversations have roles and texts only");
            ApiError::unsupported(param, message)
        }
        _ => ApiError::unknown_field(&param),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_in_every_form_that_is_text() {
        let found = messages(Some(json!([
            {"role": "developer", "content": "Be kind.", "type": "text"},
            {"role": "user", "content": [{"type": "text", "text": "How are "}, {"type": "text", "text": "you?"}]},
            {"role": "assistant", "content": "Well.", "refusal": null, "tool_calls": []},
        ])))
        .unwrap();
        let expected = [(Role::System, "Be kind."), (Role::User, "How are you?"), (Role::Assistant, "Well.")];
        assert_eq!(found, expected.map(|(role, content)| Message { role, content: content.into() }));
    }

    #[test]
    fn what_is_no_text_is_refused_by_its_place() {
        let image = json!({"type": "image_url", "image_url": {"url": "data:"}});
        let cached = json!({"type": "text", "text": "", "cache_control": {"type": "ephemeral"}});
        for (message, param, code) in [
            (json!("hello"), "messages[0]", "invalid_value"),
            (json!({"role": "king", "content": ""}), "messages[0].role", "invalid_value"),
            (json!({"role": "tool", "content": "", "tool_call_id": "x"}), "messages[0].role", "unsupported_parameter"),
            (json!({"role": "user"}), "messages[0].content", "invalid_value"),
            (json!({"role": "user", "content": []}), "messages[0].content", "invalid_value"),
            (json!({"role": "user", "content": [image]}), "messages[0].content[0]", "unsupported_parameter"),
            (json!({"role": "user", "content": [{"type": "text"}]}), "messages[0].content[0]", "invalid_value"),
            (json!({"role": "user", "content": [cached]}), "messages[0].content[0].cache_control", "unknown_parameter"),
            (json!({"role": "user", "content": "", "name": "Bo"}), "messages[0].name", "unsupported_parameter"),
            (json!({"role": "user", "content": "", "nmae": "Bo"}), "messages[0].nmae", "unknown_parameter"),
            (json!({"role": "user", "content": "", "type": "image"}), "messages[0].type", "unknown_parameter"),
        ] {
            let error = messages(Some(json!([message]))).unwrap_err();
            assert_eq!((error.param.as_deref(), error.code), (Some(param), Some(code)), "{message}");
        }
        assert_eq!(messages(None).unwrap_err().code, Some("missing_required_parameter"));
        assert_eq!(messages(Some(json!([]))).unwrap_err().code, Some("invalid_value"));
    }
}
