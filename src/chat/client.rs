//! One completion of a conversation, as it is written. Blocking: the caller gives it a thread.

use std::{
    io::{BufRead, BufReader, Read},
    time::Duration,
};

use laurel_records::Message;
use serde_json::{Value, json};
use ureq::{Agent, http::header::CONTENT_TYPE};

use super::events::{self, Said};

/// Time in which a connection must stand.
const CONNECT: Duration = Duration::from_secs(10);
/// Silence after which an endpoint counts as gone; a model may take this long before its first word, and between two.
const SILENCE: Duration = Duration::from_secs(120);
/// Longest answer that is kept, bytes.
const LONGEST: usize = 200_000;
/// Most bytes of one event, or of an answer that is not streamed: the longest answer in the JSON around it.
const LONGEST_EVENT: u64 = 4 * LONGEST as u64;
/// Characters of an endpoint's words that are shown.
const LONGEST_WORDS: usize = 300;
/// Bytes from which a key is a secret: servers that ask for none are given one such as `none` or `EMPTY`.
const SHORTEST_KEY: usize = 6;

/// A conversation and how it is to be answered.
#[derive(Clone)]
pub struct Ask {
    /// Up to and without `/chat/completions`.
    pub base_url: String,
    pub model: String,
    pub api_key: Option<String>,
    pub messages: Vec<Message>,
    pub temperature: f64,
    pub max_tokens: i32,
    pub seed: u32,
}

impl Ask {
    /// What is kept beside an answer: how it was sampled.
    pub fn sampling(&self) -> Value {
        json!({ "temperature": self.temperature, "max_tokens": self.max_tokens, "seed": self.seed })
    }
}

/// What a model wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub content: String,
    /// It stops at the limit of tokens, before its end.
    pub is_cut: bool,
}

/// Why there is no answer, with the words of the endpoint where it has any.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChatFailure {
    #[error("nothing answers at {address}")]
    Unreachable { address: String },
    #[error("the endpoint refuses the key")]
    KeyRefused,
    #[error("the endpoint answers {status}")]
    Refused { status: u16, words: Option<String> },
    #[error("the endpoint gave up")]
    GaveUp { words: Option<String> },
    #[error("the connection broke off")]
    BrokenOff,
    #[error("the answer was empty")]
    Empty,
}

impl ChatFailure {
    /// With the endpoint's words cut short, and without the key where they repeat it: everybody who chats may read them.
    fn without(self, key: Option<&str>) -> Self {
        let fit = |words: String| -> String {
            let words = match key {
                Some(key) if key.len() >= SHORTEST_KEY => words.replace(key, "…"),
                _ => words,
            };
            words.chars().take(LONGEST_WORDS).collect()
        };
        match self {
            ChatFailure::Refused { status, words } => ChatFailure::Refused { status, words: words.map(fit) },
            ChatFailure::GaveUp { words } => ChatFailure::GaveUp { words: words.map(fit) },
            other => other,
        }
    }
}

/// Asks for one answer; `more` is told each piece as it comes, and ends the answer by returning false.
///
/// # Errors
/// An endpoint that is not there, refuses, breaks off, or says nothing.
pub fn complete(ask: &Ask, more: impl FnMut(&str) -> bool) -> Result<Answer, ChatFailure> {
    complete_within(ask, SILENCE, more).map_err(|failure| failure.without(ask.api_key.as_deref()))
}

fn complete_within(ask: &Ask, silence: Duration, mut more: impl FnMut(&str) -> bool) -> Result<Answer, ChatFailure> {
    let address = format!("{}/chat/completions", ask.base_url.trim_end_matches('/'));
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(silence))
        // Of the body only its pauses are limited: a long answer may take long.
        .timeout_per_read(Some(silence))
        .user_agent(concat!("laurel/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut request = agent.post(&address).header("accept", "text/event-stream");
    if let Some(key) = &ask.api_key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let body = json!({
        "model": ask.model,
        "messages": ask.messages,
        "temperature": ask.temperature,
        "max_tokens": ask.max_tokens,
        "seed": ask.seed,
        "stream": true,
    });
    let response = request.send_json(&body).map_err(|error| {
        tracing::info!(%error, %address, "a chat endpoint can't be reached");
        ChatFailure::Unreachable { address: address.clone() }
    })?;
    let status = response.status().as_u16();
    let streamed = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|form| form.to_str().ok())
        .is_some_and(|form| form.starts_with("text/event-stream"));
    let body = response.into_body().into_reader();
    match status {
        200 if streamed => read_stream(BufReader::new(body), &mut more),
        200 => read_whole(body, &mut more),
        401 | 403 => Err(ChatFailure::KeyRefused),
        _ => {
            let mut words = String::new();
            // An error without readable words is still an error.
            let _ = body.take(10_000).read_to_string(&mut words);
            Err(ChatFailure::Refused { status, words: events::explanation(&words) })
        }
    }
}

fn read_stream(mut body: impl BufRead, more: &mut impl FnMut(&str) -> bool) -> Result<Answer, ChatFailure> {
    let mut answer = String::new();
    let (mut has_ended, mut is_cut) = (false, false);
    let mut line = String::new();
    loop {
        line.clear();
        let read = body.by_ref().take(LONGEST_EVENT).read_line(&mut line).map_err(|_| ChatFailure::BrokenOff)?;
        if read as u64 == LONGEST_EVENT {
            // A line without an end would fill the memory.
            return Err(ChatFailure::BrokenOff);
        }
        let text = match events::read(&line) {
            Said::More(text) => text,
            Said::Last { text, cut } => {
                has_ended = true;
                is_cut |= cut;
                text
            }
            Said::Failed(words) => return Err(ChatFailure::GaveUp { words }),
            Said::End => break,
            // Some servers close the connection in place of a last word; but a model that dies behind a proxy looks like that, too.
            Said::Nothing if read == 0 && has_ended => break,
            Said::Nothing if read == 0 => return Err(ChatFailure::BrokenOff),
            Said::Nothing => continue,
        };
        answer.push_str(&text);
        if !more(&text) {
            break;
        }
        if answer.len() > LONGEST {
            is_cut = true;
            break;
        }
    }
    whole(&answer, is_cut)
}

/// An endpoint that does not stream.
fn read_whole(body: impl Read, more: &mut impl FnMut(&str) -> bool) -> Result<Answer, ChatFailure> {
    let mut text = String::new();
    body.take(LONGEST_EVENT).read_to_string(&mut text).map_err(|_| ChatFailure::BrokenOff)?;
    let value: Value = serde_json::from_str(&text).map_err(|_| ChatFailure::Refused { status: 200, words: None })?;
    if let Some(error) = events::trouble(&value) {
        return Err(ChatFailure::GaveUp { words: events::in_words(error) });
    }
    let answer = value["choices"][0]["message"]["content"].as_str().unwrap_or_default();
    more(answer);
    whole(answer, events::is_cut(&value))
}

/// Without white space around it; Postgres keeps no NUL.
fn whole(answer: &str, is_cut: bool) -> Result<Answer, ChatFailure> {
    let content = answer.replace('\0', "").trim().to_owned();
    if content.is_empty() { Err(ChatFailure::Empty) } else { Ok(Answer { content, is_cut }) }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, net::TcpListener, thread};

    use super::*;

    #[test]
    fn words_of_an_endpoint_are_cut_short_and_do_not_give_the_key_away() {
        let shown = |words: &str, key: Option<&str>| {
            let failure = ChatFailure::Refused { status: 429, words: Some(words.to_owned()) };
            match failure.without(key) {
                ChatFailure::Refused { status: 429, words: Some(words) } => words,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(shown("key sk-12345678 is over its quota", Some("sk-12345678")), "key … is over its quota");
        // Nor a part of it, where the cut goes through it.
        let long = format!("{}sk-12345678", "x".repeat(LONGEST_WORDS - 4));
        assert_eq!(shown(&long, Some("sk-12345678")), format!("{}…", "x".repeat(LONGEST_WORDS - 4)));
        assert_eq!(shown(&"蜜".repeat(LONGEST_WORDS + 1), None).chars().count(), LONGEST_WORDS);
        assert_eq!(shown("none of the models", Some("none")), "none of the models");
        let silent = ChatFailure::GaveUp { words: None };
        assert_eq!(silent.clone().without(Some("sk-12345678")), silent);
    }

    #[test]
    fn half_an_answer_that_comes_at_once_with_an_error_is_none() {
        let read = |choice: &str| read_whole(format!(r#"{{"choices":[{choice}]}}"#).as_bytes(), &mut |_: &str| true);
        let half = r#"{"message":{"content":"Bees"},"error":{"code":502,"message":"cut off"},"finish_reason":"error"}"#;
        assert_eq!(read(half), Err(ChatFailure::GaveUp { words: Some("cut off".to_owned()) }));
        let silent = r#"{"message":{"content":"Bees"},"finish_reason":"error"}"#;
        assert_eq!(read(silent), Err(ChatFailure::GaveUp { words: None }));
        let all = r#"{"message":{"content":"Bees"},"error":null,"finish_reason":"stop"}"#;
        let answer = |is_cut: bool| Ok(Answer { content: "Bees".to_owned(), is_cut });
        assert_eq!(read(all), answer(false));
        assert_eq!(read(r#"{"message":{"content":"Bees"},"finish_reason":"length"}"#), answer(true));
    }

    #[test]
    fn a_stream_says_whether_its_answer_is_cut_and_without_an_end_has_broken_off() {
        let read = |lines: &str| read_stream(lines.as_bytes(), &mut |_: &str| true);
        let more = r#"data: {"choices":[{"delta":{"content":"Bees"},"finish_reason":null}]}"#;
        let end = |reason: &str| format!(r#"data: {{"choices":[{{"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
        let answer = |is_cut: bool| Ok(Answer { content: "Bees".to_owned(), is_cut });
        assert_eq!(read(more), Err(ChatFailure::BrokenOff));
        assert_eq!(read(&format!("{more}\n\ndata: [DONE]\n\n")), answer(false));
        assert_eq!(read(&format!("{more}\n\n{}\n\n", end("stop"))), answer(false));
        assert_eq!(read(&format!("{more}\n\n{}\n\ndata: [DONE]\n\n", end("length"))), answer(true));
        let long = format!(r#"data: {{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "x".repeat(LONGEST + 1));
        assert!(read(&long).is_ok_and(|answer| answer.is_cut), "cut here");
    }

    #[test]
    fn a_line_that_has_no_end_is_not_gathered_for_ever() {
        let endless = BufReader::new(std::io::repeat(b'x').take(4 * LONGEST_EVENT).chain(b"\ndata: [DONE]".as_slice()));
        assert_eq!(read_stream(endless, &mut |_: &str| true), Err(ChatFailure::BrokenOff));
    }

    #[test]
    fn an_endpoint_that_falls_silent_in_the_middle_of_an_answer_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let serving = thread::spawn(move || {
            let (mut connection, _) = listener.accept().expect("a visitor");
            let mut request = [0; 4096];
            assert!(connection.read(&mut request).expect("a request") > 0);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            let word = r#"data: {"choices":[{"delta":{"content":"Once"}}]}"#;
            write!(connection, "{head}{word}\n\n").expect("sent");
            // Held open and silent until the other side gives up.
            let mut rest = Vec::new();
            let _ = connection.read_to_end(&mut rest);
        });
        let ask = Ask {
            base_url: format!("http://{address}/v1"),
            model: "mute".to_owned(),
            api_key: None,
            messages: Vec::new(),
            temperature: 1.0,
            max_tokens: 10,
            seed: 1,
        };
        let mut heard = String::new();
        let answer = complete_within(&ask, Duration::from_millis(200), |text| {
            heard.push_str(text);
            true
        });
        assert_eq!(answer, Err(ChatFailure::BrokenOff));
        assert_eq!(heard, "Once");
        serving.join().expect("served");
    }
}
