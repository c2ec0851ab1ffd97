//! Forms with a dialogue a record: Anthropic HH, Alpaca, ShareGPT and OpenAI chats, TRL's plain strings and preferences.

use laurel_records::{Message, Role};
use serde_json::{Map, Value, json};

use super::Said;
use crate::import::{
    Kind,
    fields::{Fields, Wrong, text},
    reason::Reason,
};

const HUMAN: &str = "\n\nHuman:";
const ASSISTANT: &str = "\n\nAssistant:";
/// Where the turns are kept that follow on the two answers of a preference.
pub const RESTS: [&str; 2] = ["chosen_rest", "rejected_rest"];

fn message(role: Role, content: impl Into<String>) -> Message {
    Message { role, content: content.into() }
}

/// Whether a text is a dialogue as Anthropic writes it.
fn is_hh(text: &str) -> bool {
    let start = text.trim_start();
    start.starts_with("Human:") || (start.starts_with("Assistant:") && text.contains(HUMAN))
}

/// The turns of `\n\nHuman: …\n\nAssistant: …`.
fn hh_turns(text: &str) -> Vec<Message> {
    let text = format!("\n\n{}", text.trim_start());
    let mut turns = Vec::new();
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (role, after) = match (rest.strip_prefix(HUMAN), rest.strip_prefix(ASSISTANT)) {
            (Some(after), _) => (Role::User, after),
            (_, Some(after)) => (Role::Assistant, after),
            _ => break,
        };
        let end = [after.find(HUMAN), after.find(ASSISTANT)].into_iter().flatten().min().unwrap_or(after.len());
        turns.push(message(role, after[..end].trim()));
        rest = &after[end..];
    }
    turns
}

/// Two answers of which one was chosen, each with the prompt in front. `messages` beside them may be what they follow, or, as
/// UltraFeedback has it, the chosen dialogue once more.
pub fn is_preference(fields: &Fields) -> bool {
    if fields.has("conversations") || fields.has("conversation") {
        return false;
    }
    // Answers with ranks are a ranking, whatever else is said of the best of them.
    if fields.has("responses") && fields.has("ranks") {
        return false;
    }
    let (chosen, rejected) = (fields.0.get("chosen"), fields.0.get("rejected"));
    let (Some(chosen), Some(_)) = (chosen, rejected) else { return false };
    let whole = |value: &Value| match value {
        Value::String(text) => is_hh(text),
        Value::Array(messages) => messages.len() > 1,
        _ => false,
    };
    whole(chosen) || !(fields.has("prompt") || fields.has("messages"))
}

/// Anthropic HH, and TRL's preferences whose prompt stands within the answers.
pub fn preference(mut fields: Fields) -> Result<Said, Wrong> {
    // UltraFeedback gives the prompt's text and the chosen dialogue besides; the two dialogues say the same with roles.
    for name in ["prompt", "messages"] {
        fields.take(name);
    }
    let (chosen, rejected) = (turns(&mut fields, "chosen")?, turns(&mut fields, "rejected")?);
    let same = chosen.iter().zip(&rejected).take_while(|(one, other)| one == other).count();
    // Where both say the same throughout, the last answer is what is compared.
    let part = same.min(chosen.len().saturating_sub(1)).min(rejected.len().saturating_sub(1));
    let answer = |turns: &[Message]| {
        turns.get(part).filter(|turn| turn.role == Role::Assistant).map(|turn| turn.content.clone())
    };
    let (Some(better), Some(worse)) = (answer(&chosen), answer(&rejected)) else {
        return Err(Wrong::at("rejected", "import-reason-dialogues-part"));
    };
    let mut more = fields.rest();
    for (name, turns) in RESTS.into_iter().zip([&chosen, &rejected]) {
        if turns.len() > part + 1 {
            more.insert(name.to_owned(), json!(turns[part + 1..]));
        }
    }
    Ok(Said {
        prompt: chosen[..part].to_vec(),
        completion: Some(better.clone()),
        answers: vec![Said::answer(better), Said::answer(worse)],
        ranks: vec![1, 2],
        more,
    })
}

fn turns(fields: &mut Fields, name: &str) -> Result<Vec<Message>, Wrong> {
    match fields.take(name) {
        Some(Value::String(text)) if is_hh(&text) => Ok(hh_turns(&text)),
        Some(Value::String(_)) => Err(Wrong::missing("prompt")),
        Some(Value::Array(items)) => chat(name, items),
        Some(other) => Err(Wrong::kind(name, "import-thing-dialogue", &other)),
        None => Err(Wrong::missing(name)),
    }
}

/// Alpaca: `instruction`, `input`, `output`; LLaMA-Factory's `system`, `history`, `chosen`, `rejected` besides.
pub fn alpaca(mut fields: Fields) -> Result<Said, Wrong> {
    let instruction = fields.text("instruction")?.ok_or_else(|| Wrong::missing("instruction"))?;
    let input = fields.text("input")?.filter(|input| !input.trim().is_empty());
    let mut prompt = system(&mut fields)?;
    for (index, turn) in fields.list("history")?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("history[{index}]");
        let [asked, answered] =
            serde_json::from_value::<[String; 2]>(turn).map_err(|_| Wrong::at(path, "import-reason-history"))?;
        prompt.extend([message(Role::User, asked), message(Role::Assistant, answered)]);
    }
    prompt.push(message(Role::User, input.map_or(instruction.clone(), |input| format!("{instruction}\n\n{input}"))));
    let output = fields.text("output")?.filter(|output| !output.is_empty());
    let pair = match (fields.take("chosen"), fields.take("rejected")) {
        (Some(chosen), Some(rejected)) => Some((spoken("chosen", chosen)?, spoken("rejected", rejected)?)),
        _ => None,
    };
    Ok(said(prompt, output, pair, fields.rest()))
}

fn said(
    prompt: Vec<Message>,
    completion: Option<String>,
    pair: Option<(String, String)>,
    more: Map<String, Value>,
) -> Said {
    let completion = completion.or_else(|| pair.as_ref().map(|(chosen, _)| chosen.clone()));
    let (answers, ranks) = match pair {
        Some((chosen, rejected)) => (vec![Said::answer(chosen), Said::answer(rejected)], vec![1, 2]),
        None => (Vec::new(), Vec::new()),
    };
    Said { prompt, completion, answers, ranks, more }
}

fn system(fields: &mut Fields) -> Result<Vec<Message>, Wrong> {
    let words = fields.text("system")?.filter(|words| !words.trim().is_empty());
    Ok(words.map(|words| message(Role::System, words)).into_iter().collect())
}

/// ShareGPT (`conversations` of `from` and `value`) and OpenAI chats (`messages` of `role` and `content`). The last answer is
/// the one to learn from; as a prompt the chat ends with the user's last turn.
pub fn share_gpt(kind: Kind, mut fields: Fields) -> Result<Said, Wrong> {
    let names = ["conversations", "conversation", "messages"];
    let name = names.into_iter().find(|name| fields.has(name)).unwrap_or("messages");
    let mut prompt = system(&mut fields)?;
    let items = fields.list(name)?.ok_or_else(|| Wrong::missing(name))?;
    prompt.extend(chat(name, items)?);
    let pair = match (fields.take("chosen"), fields.take("rejected")) {
        (Some(chosen), Some(rejected)) => Some((spoken("chosen", chosen)?, spoken("rejected", rejected)?)),
        _ => None,
    };
    if pair.is_some() {
        return Ok(said(prompt, None, pair, fields.rest()));
    }
    let last = |prompt: &[Message], role: Role| prompt.iter().rposition(|message| message.role == role);
    let mut completion = None;
    if kind == Kind::Prompts {
        let end = last(&prompt, Role::User).ok_or_else(|| Wrong::at(name, "import-reason-no-user"))?;
        prompt.truncate(end + 1);
    } else if let Some(end) = last(&prompt, Role::Assistant) {
        completion = prompt.drain(end..).next().map(|answer| answer.content);
    }
    Ok(said(prompt, completion, None, fields.rest()))
}

/// The messages of a chat, by `from` and `value` or by `role` and `content`. A system message without words is left out.
pub fn chat(path: &str, items: Vec<Value>) -> Result<Vec<Message>, Wrong> {
    let mut messages = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let turn = turn(&format!("{path}[{index}]"), item)?;
        if turn.role != Role::System || !turn.content.trim().is_empty() {
            messages.push(turn);
        }
    }
    Ok(messages)
}

fn turn(path: &str, item: Value) -> Result<Message, Wrong> {
    let mut fields = match item {
        Value::Object(fields) => Fields(fields),
        other => return Err(Wrong::kind(path, "import-thing-message", &other)),
    };
    let mut first = |names: [&str; 2]| {
        let found = names.into_iter().find_map(|name| Some((format!("{path}.{name}"), fields.take(name)?)));
        let (at, value) = found.ok_or_else(|| Wrong::missing(&format!("{path}.{}", names[0])))?;
        text(&at, value).map(|value| (at, value))
    };
    let (at, speaker) = first(["role", "from"])?;
    let (_, content) = first(["content", "value"])?;
    let role = match speaker.to_lowercase().as_str() {
        "user" | "human" | "prompter" => Role::User,
        "assistant" | "gpt" | "chatgpt" | "bing" | "bard" | "model" | "bot" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(Wrong::at(at, Reason::with("import-reason-speaker", "word", speaker))),
    };
    Ok(message(role, content))
}

/// What an answer says: a text, a message, or a list of one message.
fn spoken(path: &str, value: Value) -> Result<String, Wrong> {
    match value {
        Value::String(text) => Ok(text),
        Value::Array(items) if items.len() == 1 => {
            chat(path, items).map(|turns| turns.into_iter().map(|turn| turn.content).collect())
        }
        Value::Object(_) => turn(path, value).map(|turn| turn.content),
        other => Err(Wrong::kind(path, "import-thing-answer", &other)),
    }
}

/// Our own form, and TRL's plain strings, which it takes too; a prompt that is an HH dialogue gets its roles.
pub fn plain(kind: Kind, mut fields: Fields) -> Result<Map<String, Value>, Wrong> {
    // TRL's unpaired preferences: what was marked bad is no demonstration, and its prompt is one like others.
    // In a table every cell is a text.
    let is_false = |label: &Value| match label {
        Value::String(word) => word.eq_ignore_ascii_case("false"),
        other => *other == Value::Bool(false),
    };
    let is_bad = fields.has("completion") && fields.0.get("label").is_some_and(is_false);
    if kind == Kind::Demonstrations && is_bad {
        return Err(Wrong::at("label", "import-reason-marked-bad"));
    }
    if let Some(Value::String(text)) = fields.0.get("prompt")
        && is_hh(text)
    {
        let mut turns = hh_turns(text);
        // The cue for the answer.
        turns.pop_if(|turn| turn.role == Role::Assistant && turn.content.is_empty());
        fields.0.insert("prompt".to_owned(), json!(turns));
    }
    Ok(fields.0)
}
