//! What a stream of chat completions says, line by line.

use serde_json::Value;

/// Why an answer ended that has as many tokens as it may have.
const LIMIT: &str = "length";

/// A line of the stream.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// More of the answer.
    More(String),
    /// The last of the answer, perhaps without text; `cut` where it is the limit of tokens that ends it.
    Last { text: String, cut: bool },
    /// Nothing more comes.
    End,
    /// The endpoint gives up, in its own words where it has any.
    Failed(Option<String>),
    /// A comment, an empty line, a part without text.
    Nothing,
}

/// Reads one line of a `text/event-stream`.
pub fn read(line: &str) -> Said {
    let line = line.trim_end();
    // llama.cpp's server names an error in a field of its own.
    if let Some(error) = line.strip_prefix("error:") {
        return Said::Failed(explanation(error));
    }
    let Some(data) = line.strip_prefix("data:") else { return Said::Nothing };
    let data = data.trim();
    if data == "[DONE]" {
        return Said::End;
    }
    let Ok(chunk) = serde_json::from_str::<Value>(data) else { return Said::Nothing };
    if let Some(error) = trouble(&chunk) {
        return Said::Failed(in_words(error));
    }
    let choices = || chunk["choices"].as_array().into_iter().flatten();
    let text: String = choices().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
    // Before the last part it is null, and an empty text from some servers.
    let end = choices().filter_map(|choice| choice["finish_reason"].as_str()).find(|reason| !reason.is_empty());
    match end {
        Some(reason) => Said::Last { text, cut: reason == LIMIT },
        None if text.is_empty() => Said::Nothing,
        None => Said::More(text),
    }
}

/// Whether it is the limit of tokens that ended an answer which came at once.
pub fn is_cut(said: &Value) -> bool {
    said["choices"][0]["finish_reason"] == LIMIT
}

/// The error that a server tells of, in whatever form, of all that it says or of one answer in it; `None` where there is none.
pub fn trouble(said: &Value) -> Option<&Value> {
    // Some make it the whole of what they say: `{"object": "error", "message": …}`.
    if said["object"] == "error" {
        return Some(said);
    }
    let choices = said["choices"].as_array();
    error_in(said, choices.is_some()).or_else(|| choices.into_iter().flatten().find_map(error_of_choice))
}

/// OpenRouter tells of a model that gives up within its answer.
fn error_of_choice(choice: &Value) -> Option<&Value> {
    let gave_up = choice["finish_reason"] == "error";
    error_in(choice, !gave_up).or_else(|| gave_up.then_some(choice))
}

/// The error that something has as a field; `None` where it is none: many write `"error": null` beside what they say, others an empty
/// text, a 0 or an object without words.
fn error_in(said: &Value, beside_an_answer: bool) -> Option<&Value> {
    let error = said.get("error")?;
    let is_none = match error {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::String(text) => text.trim().is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(errors) => errors.is_empty(),
        // Without words it is one where it stands in the place of a part of the answer, and not beside one.
        Value::Object(_) => beside_an_answer && in_words(error).is_none(),
    };
    (!is_none).then_some(error)
}

/// What an error says: OpenAI's `message`, the bare text that some servers send, or at least what kind of error it is. `None` where it
/// says nothing.
pub fn in_words(error: &Value) -> Option<String> {
    let words = |said: &Value| match said {
        Value::String(text) => trimmed(text),
        Value::Number(number) if number.as_f64() != Some(0.0) => Some(number.to_string()),
        _ => None,
    };
    words(error).or_else(|| ["message", "detail", "type", "code"].into_iter().find_map(|name| words(&error[name])))
}

/// What an error answer says, where it says anything.
pub fn explanation(body: &str) -> Option<String> {
    match serde_json::from_str::<Value>(body) {
        Ok(said) => match trouble(&said) {
            Some(error) => in_words(error),
            // In a form that nobody knows it is better told as it came than not at all.
            None => in_words(&said).or_else(|| said.as_object().and_then(|_| trimmed(body))),
        },
        Err(_) if body.trim_start().starts_with('<') => None,
        Err(_) => trimmed(body),
    }
}

fn trimmed(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
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
        assert_eq!(read(last), Said::Last { text: String::new(), cut: false });
        assert_eq!(read("data: [DONE]\r\n"), Said::End);
        assert_eq!(read(": keep-alive"), Said::Nothing);
        assert_eq!(
            read(r#"data: {"error":{"message":"overloaded","code":503}}"#),
            Said::Failed(Some("overloaded".to_owned()))
        );
    }

    #[test]
    fn the_last_part_of_an_answer_says_whether_the_limit_of_tokens_ends_it() {
        let last = |text: &str, cut: bool| Said::Last { text: text.to_owned(), cut };
        for (choice, said) in [
            (r#"{"delta":{},"finish_reason":"length"}"#, last("", true)),
            (r#"{"delta":{"content":" and"},"finish_reason":"length"}"#, last(" and", true)),
            (r#"{"delta":{"content":" end."},"finish_reason":"stop"}"#, last(" end.", false)),
            (r#"{"delta":{"content":" and"},"finish_reason":""}"#, Said::More(" and".to_owned())),
        ] {
            assert_eq!(read(&format!(r#"data: {{"choices":[{choice}]}}"#)), said, "{choice}");
        }
    }

    #[test]
    fn an_error_in_the_stream_ends_it_whether_or_not_it_says_anything() {
        let failed = |words: &str| Said::Failed(Some(words.to_owned()));
        for (line, said) in [
            (r#"data: {"error":"out of memory"}"#, failed("out of memory")),
            (r#"data: {"error":{"message":null,"type":"overloaded_error"}}"#, failed("overloaded_error")),
            (r#"data: {"choices":null,"error":{"message":"","code":503}}"#, failed("503")),
            (r#"data: {"object":"error","message":"too long","code":400}"#, failed("too long")),
            (r#"error: {"code":500,"message":"slot is gone","type":"server_error"}"#, failed("slot is gone")),
            (r#"data: {"error":{}}"#, Said::Failed(None)),
            (r#"data: {"error":{"message":null,"code":null}}"#, Said::Failed(None)),
            (r#"data: {"error":true}"#, Said::Failed(None)),
            (r#"data: {"error":null,"choices":[{"delta":{"content":"Hello"}}]}"#, Said::More("Hello".to_owned())),
        ] {
            assert_eq!(read(line), said, "{line}");
        }
    }

    #[test]
    fn an_error_of_one_answer_in_the_stream_ends_it() {
        let failed = |words: &str| Said::Failed(Some(words.to_owned()));
        for (choice, said) in [
            (r#"{"error":{"code":502,"message":"cut off"},"finish_reason":"error"}"#, failed("cut off")),
            (r#"{"index":0,"delta":{"content":" and"},"error":{"code":502,"message":"cut off"}}"#, failed("cut off")),
            (r#"{"error":"out of memory"}"#, failed("out of memory")),
            (r#"{"error":{"message":""},"finish_reason":"error"}"#, Said::Failed(None)),
            (r#"{"error":null,"delta":{"content":""},"finish_reason":"error"}"#, Said::Failed(None)),
            (r#"{"error":null,"delta":{"content":"Hello"},"finish_reason":null}"#, Said::More("Hello".to_owned())),
            (r#"{"error":{},"delta":{"content":"Hello"}}"#, Said::More("Hello".to_owned())),
            (r#"{"error":"","delta":{},"finish_reason":"stop"}"#, Said::Last { text: String::new(), cut: false }),
        ] {
            let line = format!(r#"data: {{"error":null,"choices":[{choice}]}}"#);
            assert_eq!(read(&line), said, "{line}");
        }
    }

    #[test]
    fn a_part_of_an_answer_with_an_error_that_is_none_beside_it_is_a_part_of_the_answer() {
        for none in ["null", "false", "\"\"", "0", "[]", "{}", r#"{"code":0,"message":""}"#, r#"{"message":null}"#] {
            let more = format!(r#"data: {{"choices":[{{"delta":{{"content":"Hello"}}}}],"error":{none}}}"#);
            assert_eq!(read(&more), Said::More("Hello".to_owned()), "{none}");
            let usage = format!(r#"data: {{"choices":[],"usage":{{"total_tokens":7}},"error":{none}}}"#);
            assert_eq!(read(&usage), Said::Nothing, "{none}");
        }
        let told = r#"data: {"choices":[{"delta":{"content":""}}],"error":{"code":502,"message":"cut off"}}"#;
        assert_eq!(read(told), Said::Failed(Some("cut off".to_owned())));
    }

    #[test]
    fn errors_in_each_form() {
        let openai = r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error"}}"#;
        assert_eq!(explanation(openai).as_deref(), Some("Incorrect API key provided"));
        assert_eq!(explanation(r#"{"error":"model not found"}"#).as_deref(), Some("model not found"));
        assert_eq!(explanation(r#"{"detail":"Not Found"}"#).as_deref(), Some("Not Found"));
        assert_eq!(explanation(r#"{"error":{"message":null}}"#), None);
        let own = r#"{"detail":[{"loc":["body","seed"],"msg":"too large"}]}"#;
        assert_eq!(explanation(own).as_deref(), Some(own));
        assert_eq!(explanation("null"), None);
        assert_eq!(explanation("<html><h1>502</h1></html>"), None);
        assert_eq!(explanation("no such route").as_deref(), Some("no such route"));
    }
}
