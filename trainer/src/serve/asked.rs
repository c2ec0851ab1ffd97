//! How a request wants to be answered: the fields that chat completions and text completions have in common.

use serde_json::Value;

use super::{Limits, error::ApiError, fields::Fields};
use crate::generate::{LogitChanges, Request, SamplingSettings, row_seed};

/// Most stop strings of a request, as in OpenAI's API.
const STOPS: usize = 4;
/// Longest stop string, bytes: text is held back while it may become one.
const STOP_LENGTH: usize = 1000;
/// Most answers to a prompt, as in OpenAI's API.
const ANSWERS: usize = 128;

/// What a model answers with, beside the prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Answers to each prompt.
    pub answers: usize,
    pub stream: bool,
    /// A last chunk with the counts of tokens.
    pub include_usage: bool,
    pub stops: Vec<String>,
    pub seed: Option<i64>,
    /// `None`: as long as the server and the model's context allow.
    pub max_tokens: Option<usize>,
    /// Without the limit of tokens, which depends on the prompt.
    sampling: SamplingSettings,
    changes: LogitChanges,
    /// As [`Request::top_logprobs`].
    pub top_logprobs: Option<usize>,
}

impl Asked {
    /// Takes the common fields out. `vocabulary`: tokens that a bias may name.
    pub fn take(fields: &mut Fields, limits: &Limits, vocabulary: usize) -> Result<Self, ApiError> {
        let answers = fields.count("n", 1..=limits.rows.min(ANSWERS) as i64)?.unwrap_or(1);
        let stream = fields.boolean("stream")?.unwrap_or(false);
        let include_usage = stream_options(fields.take("stream_options"), stream)?;
        let stops = stops(fields.take("stop"))?;
        let seed = fields.integer("seed", i64::MIN..=i64::MAX)?;
        let max_tokens = max_tokens(fields, limits)?;
        let sampling = SamplingSettings {
            temperature: fields.number("temperature", 0.0..=2.0)?.unwrap_or(1.0),
            top_p: fields.number("top_p", 0.0..=1.0)?.unwrap_or(1.0),
            top_k: fields.count("top_k", 0..=i64::MAX)?.unwrap_or(0),
            max_new_tokens: 1,
        };
        if sampling.top_p == 0.0 {
            return Err(ApiError::invalid("top_p", "top_p must be above 0"));
        }
        let penalty = -2.0..=2.0;
        let changes = LogitChanges {
            presence_penalty: fields.number("presence_penalty", penalty.clone())?.unwrap_or(0.0) as f32,
            frequency_penalty: fields.number("frequency_penalty", penalty)?.unwrap_or(0.0) as f32,
            bias: bias(fields.take("logit_bias"), vocabulary)?,
        };
        // These change no answer: they tell an operator's users apart.
        for name in ["user", "safety_identifier", "prompt_cache_key"] {
            fields.string(name)?;
        }
        Ok(Self { answers, stream, include_usage, stops, seed, max_tokens, sampling, changes, top_logprobs: None })
    }

    /// What the engine is asked. `draw` stands in for the seed of a request that names none; `prompt` counts the prompts of
    /// one request. The seeds are those of `laurel-trainer generate`.
    pub fn request(&self, ids: Vec<u32>, prompt: usize, context: usize, limits: &Limits, draw: u64) -> Request {
        let room = context.saturating_sub(ids.len()).max(1);
        let longest = self.max_tokens.or(limits.max_tokens).unwrap_or(room).min(room);
        let seed = self.seed.map_or(draw, i64::cast_unsigned);
        let seeds = (0..self.answers as u64).map(|answer| row_seed(seed, prompt as u64, answer)).collect();
        let settings = SamplingSettings { max_new_tokens: longest, ..self.sampling };
        Request { changes: self.changes.clone(), top_logprobs: self.top_logprobs, ..Request::new(ids, settings, seeds) }
    }
}

fn stream_options(value: Option<Value>, stream: bool) -> Result<bool, ApiError> {
    let Some(value) = value else { return Ok(false) };
    if !stream {
        return Err(ApiError::invalid("stream_options", "stream_options needs stream to be true"));
    }
    let Value::Object(options) = value else {
        return Err(ApiError::invalid("stream_options", "stream_options must be an object"));
    };
    let mut include_usage = false;
    for (name, value) in options {
        match (name.as_str(), value) {
            ("include_usage", Value::Bool(wanted)) => include_usage = wanted,
            ("include_obfuscation", Value::Bool(false)) | (_, Value::Null) => {}
            ("include_usage", _) => {
                return Err(ApiError::invalid("stream_options.include_usage", "include_usage must be true or false"));
            }
            ("include_obfuscation", _) => {
                let param = "stream_options.include_obfuscation";
                return Err(ApiError::unsupported(param, "include_obfuscation: there is none here"));
            }
            (name, _) => return Err(ApiError::unknown_field(&format!("stream_options.{name}"))),
        }
    }
    Ok(include_usage)
}

fn stops(value: Option<Value>) -> Result<Vec<String>, ApiError> {
    let wrong = || ApiError::invalid("stop", format!("stop must be a string or up to {STOPS} strings"));
    let stops = match value {
        None => vec![],
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) if texts.len() <= STOPS => {
            let text = |value| if let Value::String(text) = value { Ok(text) } else { Err(wrong()) };
            texts.into_iter().map(text).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(wrong()),
    };
    if stops.iter().any(|stop| stop.is_empty() || stop.len() > STOP_LENGTH) {
        let message = format!("a stop string must not be empty, nor longer than {STOP_LENGTH} bytes");
        return Err(ApiError::invalid("stop", message));
    }
    Ok(stops)
}

fn max_tokens(fields: &mut Fields, limits: &Limits) -> Result<Option<usize>, ApiError> {
    let mut wanted: Option<usize> = None;
    for name in ["max_completion_tokens", "max_tokens"] {
        let Some(tokens) = fields.count(name, 1..=i64::MAX)? else { continue };
        if let Some(limit) = limits.max_tokens.filter(|&limit| tokens > limit) {
            let message = format!("{name} is {tokens}, and this server writes at most {limit} tokens an answer");
            return Err(ApiError::invalid(name, message));
        }
        if wanted.is_some_and(|other| other != tokens) {
            return Err(ApiError::invalid(name, "max_tokens and max_completion_tokens say different things"));
        }
        wanted = Some(tokens);
    }
    Ok(wanted)
}

fn bias(value: Option<Value>, vocabulary: usize) -> Result<Vec<(u32, f32)>, ApiError> {
    let wrong = |message: String| ApiError::invalid("logit_bias", message);
    let entries = match value {
        None => return Ok(vec![]),
        Some(Value::Object(entries)) => entries,
        Some(_) => return Err(wrong("logit_bias must be an object of token ids and numbers".into())),
    };
    let one = |(token, more): (String, Value)| {
        let id = token.parse::<u32>().ok().filter(|&id| (id as usize) < vocabulary);
        let id = id.ok_or_else(|| wrong(format!("logit_bias: this model has no token {token:?}")))?;
        let more = more.as_f64().filter(|more| (-100.0..=100.0).contains(more));
        let more = more.ok_or_else(|| wrong(format!("logit_bias: the bias of token {id} must be from -100 to 100")))?;
        Ok((id, more as f32))
    };
    entries.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn take(value: Value) -> Result<Asked, ApiError> {
        let mut fields = Fields::parse(value.to_string().as_bytes()).unwrap();
        let limits = Limits { rows: 8, max_tokens: Some(100), ..Limits::default() };
        let asked = Asked::take(&mut fields, &limits, 50)?;
        fields.finish()?;
        Ok(asked)
    }

    #[test]
    fn the_defaults_are_openais() {
        let asked = take(json!({})).unwrap();
        let limits = Limits { max_tokens: Some(100), ..Limits::default() };
        let request = asked.request(vec![1, 2, 3], 0, 64, &limits, 9);
        assert_eq!(request.settings, SamplingSettings { max_new_tokens: 61, ..SamplingSettings::default() });
        assert_eq!(request.seeds, [row_seed(9, 0, 0)]);
        assert!(request.changes.is_empty() && !asked.stream && asked.stops.is_empty());
        let request = asked.request(vec![1, 2, 3], 0, 640, &limits, 9);
        assert_eq!(request.settings.max_new_tokens, 100, "the server's limit");
    }

    #[test]
    fn every_field_is_understood() {
        let asked = take(json!({
            "n": 2, "stream": true, "stream_options": {"include_usage": true}, "stop": ["a", "b"], "seed": -1,
            "max_completion_tokens": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 40, "presence_penalty": 1,
            "frequency_penalty": -1, "logit_bias": {"49": -100}, "user": "u1"
        }))
        .unwrap();
        let request = asked.request(vec![1], 1, 64, &Limits::default(), 9);
        let sampling = SamplingSettings { temperature: 0.5, top_p: 0.9, top_k: 40, max_new_tokens: 5 };
        assert_eq!(request.settings, sampling);
        assert_eq!(request.seeds, [row_seed(u64::MAX, 1, 0), row_seed(u64::MAX, 1, 1)]);
        let changes = LogitChanges { presence_penalty: 1.0, frequency_penalty: -1.0, bias: vec![(49, -100.0)] };
        assert_eq!(request.changes, changes);
        assert!(asked.stream && asked.include_usage);
        assert_eq!(asked.stops, ["a", "b"]);
    }

    #[test]
    fn wrong_values_name_their_field() {
        for (body, param) in [
            (json!({"n": 9}), "n"),
            (json!({"n": 0}), "n"),
            (json!({"stream_options": {}}), "stream_options"),
            (json!({"stream": true, "stream_options": {"x": 1}}), "stream_options.x"),
            (json!({"stream": true, "stream_options": {"include_usage": 1}}), "stream_options.include_usage"),
            (json!({"stop": ["a", "b", "c", "d", "e"]}), "stop"),
            (json!({"stop": ""}), "stop"),
            (json!({"stop": [1]}), "stop"),
            (json!({"seed": 1.5}), "seed"),
            (json!({"max_tokens": 0}), "max_tokens"),
            (json!({"max_tokens": 101}), "max_tokens"),
            (json!({"max_tokens": 5, "max_completion_tokens": 6}), "max_tokens"),
            (json!({"temperature": 2.1}), "temperature"),
            (json!({"temperature": "hot"}), "temperature"),
            (json!({"top_p": 0}), "top_p"),
            (json!({"top_k": -1}), "top_k"),
            (json!({"presence_penalty": 3}), "presence_penalty"),
            (json!({"logit_bias": {"50": 1}}), "logit_bias"),
            (json!({"logit_bias": {"1": 101}}), "logit_bias"),
            (json!({"user": 7}), "user"),
            (json!({"best_off": 7}), "best_off"),
        ] {
            let error = take(body.clone()).unwrap_err();
            assert_eq!((error.status.as_u16(), error.param.as_deref()), (400, Some(param)), "{body}");
        }
    }
}
