//! The two forms of an answer: chat completions and text completions, whole and in chunks.

use serde_json::{Map, Value, json};

use super::{
    Served,
    asked::Asked,
    transcript::{Finish, Noted, Piece},
    writer::Told,
};

/// Which of OpenAI's endpoints is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Chat,
    Text,
}

/// Counts of tokens, as OpenAI's API has them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub prompt: usize,
    pub completion: usize,
}

impl Usage {
    fn json(self) -> Value {
        let total = self.prompt + self.completion;
        json!({"prompt_tokens": self.prompt, "completion_tokens": self.completion, "total_tokens": total})
    }
}

/// Writes one answer's objects, all with the same id.
#[derive(Debug)]
pub struct Letter<'a> {
    served: &'a Served,
    form: Form,
    with_usage: bool,
    id: String,
    created: i64,
    has_logprobs: bool,
}

impl<'a> Letter<'a> {
    pub fn new(served: &'a Served, form: Form, asked: &Asked) -> Self {
        let prefix = match form {
            Form::Chat => "chatcmpl",
            Form::Text => "cmpl",
        };
        Self {
            served,
            form,
            with_usage: asked.include_usage,
            id: format!("{prefix}-{}", uuid::Uuid::now_v7().simple()),
            created: time::OffsetDateTime::now_utc().unix_timestamp(),
            has_logprobs: asked.top_logprobs.is_some(),
        }
    }

    /// The answer in one object. `pieces`: what was told of each answer, put together.
    pub fn whole(&self, pieces: &[Piece], usage: Usage) -> Value {
        let choices = pieces.iter().enumerate().map(|(index, piece)| {
            let logprobs = self.logprobs(&piece.noted);
            let finish = piece.finish.map(Finish::name);
            match self.form {
                Form::Chat => json!({
                    "index": index,
                    "message": {"role": "assistant", "content": piece.text, "refusal": null},
                    "logprobs": logprobs,
                    "finish_reason": finish,
                }),
                Form::Text => {
                    json!({"index": index, "text": piece.text, "logprobs": logprobs, "finish_reason": finish})
                }
            }
        });
        let object = match self.form {
            Form::Chat => "chat.completion",
            Form::Text => "text_completion",
        };
        let mut whole = self.envelope(object, choices.collect());
        whole["usage"] = usage.json();
        whole
    }

    /// What a stream begins with: who speaks, for each answer.
    pub fn opening(&self, answers: usize) -> Vec<Value> {
        if self.form == Form::Text {
            return vec![];
        }
        let delta = json!({"role": "assistant", "content": "", "refusal": null});
        (0..answers).map(|index| self.chunk(vec![self.delta(index, &delta, &Value::Null, None)])).collect()
    }

    /// The chunks of a piece.
    pub fn chunks(&self, told: &Told) -> Vec<Value> {
        let Told { answer, piece, .. } = told;
        let logprobs = if piece.noted.is_empty() { Value::Null } else { self.logprobs(&piece.noted) };
        let finish = piece.finish.map(Finish::name);
        if self.form == Form::Text {
            let choice = json!({"index": answer, "text": piece.text, "logprobs": logprobs, "finish_reason": finish});
            return vec![self.chunk(vec![choice])];
        }
        let mut chunks = vec![];
        if !(piece.text.is_empty() && piece.noted.is_empty()) {
            let delta = json!({"content": piece.text});
            chunks.push(self.chunk(vec![self.delta(*answer, &delta, &logprobs, None)]));
        }
        if finish.is_some() {
            chunks.push(self.chunk(vec![self.delta(*answer, &json!({}), &Value::Null, finish)]));
        }
        chunks
    }

    /// The last chunk, where it was asked for.
    pub fn usage(&self, usage: Usage) -> Option<Value> {
        let mut chunk = self.chunk(vec![]);
        chunk["usage"] = usage.json();
        self.with_usage.then_some(chunk)
    }

    fn delta(&self, index: usize, delta: &Value, logprobs: &Value, finish: Option<&str>) -> Value {
        json!({"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish})
    }

    fn chunk(&self, choices: Vec<Value>) -> Value {
        let object = match self.form {
            Form::Chat => "chat.completion.chunk",
            Form::Text => "text_completion",
        };
        let mut chunk = self.envelope(object, choices);
        if self.with_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn envelope(&self, object: &str, choices: Vec<Value>) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.served.name,
            "system_fingerprint": self.served.fingerprint,
            "choices": choices,
        })
    }

    fn logprobs(&self, noted: &[Noted]) -> Value {
        if !self.has_logprobs {
            return Value::Null;
        }
        match self.form {
            Form::Chat => json!({
                "content": noted.iter().map(|noted| self.chat_logprobs(noted)).collect::<Vec<_>>(),
                "refusal": null,
            }),
            Form::Text => json!({
                "tokens": noted.iter().map(|noted| self.token(noted.token).0).collect::<Vec<_>>(),
                "token_logprobs": noted.iter().map(|noted| finite(noted.logprobs.logprob)).collect::<Vec<_>>(),
                "top_logprobs": noted.iter().map(|noted| self.text_top(noted)).collect::<Vec<_>>(),
                "text_offset": noted.iter().map(|noted| noted.offset).collect::<Vec<_>>(),
            }),
        }
    }

    fn chat_logprobs(&self, noted: &Noted) -> Value {
        let entry = |token: u32, logprob: f32| {
            let (text, bytes) = self.token(token);
            json!({"token": text, "logprob": finite(logprob), "bytes": bytes})
        };
        let mut object = entry(noted.token, noted.logprobs.logprob);
        let top = noted.logprobs.top.iter().map(|&(token, logprob)| entry(token, logprob));
        object["top_logprobs"] = top.collect();
        object
    }

    /// The likeliest tokens, and the one that was drawn where it is none of them, as in OpenAI's API.
    fn text_top(&self, noted: &Noted) -> Map<String, Value> {
        let drawn = (noted.token, noted.logprobs.logprob);
        let top = noted.logprobs.top.iter().copied().chain([drawn]);
        top.map(|(token, logprob)| (self.token(token).0, json!(finite(logprob)))).collect()
    }

    /// A token as text and as bytes; a part of a character is written as OpenAI writes it, `bytes:\xe8\x9c`.
    fn token(&self, token: u32) -> (String, Vec<u8>) {
        let bytes = self.served.token_bytes.of(&self.served.tokenizer, token);
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().fold("bytes:".to_owned(), |text, byte| text + &format!("\\x{byte:02x}")),
        };
        (text, bytes)
    }
}

/// JSON has no −∞; OpenAI writes −9999 for what is as good as impossible.
fn finite(logprob: f32) -> f32 {
    logprob.max(-9999.0)
}
