//! What a stream of chat completions says, line by line.

use serde::Deserialize;

/// A line of the stream.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// More of the answer.
    More(String),
    /// The answer is whole.
    End,
    /// The endpoint gives up, in its own words.
    Failed(String),
    /// A comment, an empty line, a part without text.
    Nothing,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    #[serde(default)]
    error: Option<Trouble>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
}

#[derive(Deserialize, Default)]
struct Delta {
    #[serde(default)]
    content: Option<String>,
}

/// OpenAI's form, and the bare text that some servers send.
#[derive(Deserialize)]
#[serde(untagged)]
enum Trouble {
    Object { message: String },
    Text(String),
}

impl Trouble {
    fn into_text(self) -> String {
        match self {
            Trouble::Object { message } | Trouble::Text(message) => message,
        }
    }
}

/// Reads one line of a `text/event-stream`.
pub fn read(line: &str) -> Said {
    let Some(data) = line.trim_end().strip_prefix("data:") else { return Said::Nothing };
    let data = data.trim();
    if data == "[DONE]" {
        return Said::End;
    }
    match serde_json::from_str::<Chunk>(data) {
        Ok(Chunk { error: Some(trouble), .. }) => Said::Failed(trouble.into_text()),
        Ok(chunk) => {
            let text: String = chunk.choices.into_iter().filter_map(|choice| choice.delta.content).collect();
            if text.is_empty() { Said::Nothing } else { Said::More(text) }
        }
        Err(_) => Said::Nothing,
    }
}

/// What an error answer says, where it says anything.
pub fn explanation(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: Trouble,
    }
    let text = match serde_json::from_str::<Refusal>(body) {
        Ok(refusal) => refusal.error.into_text(),
        Err(_) if body.trim_start().starts_with('<') => return None,
        Err(_) => body.to_owned(),
    };
    let text: String = text.trim().chars().take(300).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_as_openai_sends_it() {
        // The lines of the streaming example in OpenAI's API reference, “Create chat completion”.
        let first = r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}"#;
        let more = r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}]}"#;
        let last = r#"data: {"id":"chatcmpl-123","object":"chat.completion.chunk","created":1694268190,"model":"gpt-4o-mini","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}"#;
        assert_eq!(read(first), Said::Nothing);
        assert_eq!(read(more), Said::More("Hello".to_owned()));
        assert_eq!(read(last), Said::Nothing);
        assert_eq!(read("data: [DONE]\r\n"), Said::End);
        assert_eq!(read(": keep-alive"), Said::Nothing);
        assert_eq!(
            read(r#"data: {"error":{"message":"overloaded","code":503}}"#),
            Said::Failed("overloaded".to_owned())
        );
    }

    #[test]
    fn errors_in_each_form() {
        let openai = r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error"}}"#;
        assert_eq!(explanation(openai).as_deref(), Some("Incorrect API key provided"));
        assert_eq!(explanation(r#"{"error":"model not found"}"#).as_deref(), Some("model not found"));
        assert_eq!(explanation("<html><h1>502</h1></html>"), None);
        assert_eq!(explanation("no such route").as_deref(), Some("no such route"));
    }
}
