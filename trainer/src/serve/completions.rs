//! `POST /v1/completions`: texts in, what follows them out.

use serde_json::{Value, json};

use super::{Served, Wanted, asked::Asked, error::ApiError, fields::Fields, form::Form};

/// Most prompts of one request.
const PROMPTS: usize = 2048;

/// Reads a request and turns its prompts into tokens.
pub fn read(body: &[u8], served: &Served) -> Result<Wanted, ApiError> {
    let mut fields = Fields::parse(body)?;
    served.check_model(&mut fields)?;
    let prompts = prompts(fields.take("prompt"))?;
    let mut asked = Asked::take(&mut fields, &served.limits, served.vocabulary)?;
    asked.top_logprobs = fields.count("logprobs", 0..=5)?;
    let nothing = |value: &Value| value == &json!(false) || value == &json!("");
    fields.refuse("echo", "the prompt is not sent back here", nothing)?;
    fields.refuse("suffix", "this server writes what follows a text, not what stands between two", nothing)?;
    if fields.count("best_of", 1..=i64::MAX)?.is_some_and(|best_of| best_of != asked.answers) {
        return Err(ApiError::unsupported("best_of", "best_of: this server sends every answer that it writes (n)"));
    }
    fields.finish()?;
    let prompts = prompts.into_iter().map(|prompt| tokens(prompt, served)).collect::<Result<_, _>>()?;
    Ok(Wanted { form: Form::Text, prompts, asked })
}

/// One prompt: text, or tokens.
#[derive(Debug, PartialEq)]
enum Prompt {
    Text(String),
    Tokens(Vec<u32>),
}

fn prompts(value: Option<Value>) -> Result<Vec<Prompt>, ApiError> {
    let wrong = || ApiError::invalid("prompt", "prompt must be a string, a list of strings, or token ids");
    let list = match value {
        None => return Err(ApiError::missing("prompt")),
        Some(Value::String(text)) => return Ok(vec![Prompt::Text(text)]),
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(_) => return Err(wrong()),
    };
    if list.iter().all(Value::is_number) {
        return Ok(vec![Prompt::Tokens(ids(&list).ok_or_else(wrong)?)]);
    }
    if list.len() > PROMPTS {
        return Err(ApiError::invalid("prompt", format!("at most {PROMPTS} prompts at once, not {}", list.len())));
    }
    let one = |value| match value {
        Value::String(text) => Ok(Prompt::Text(text)),
        Value::Array(list) => Ok(Prompt::Tokens(ids(&list).ok_or_else(wrong)?)),
        _ => Err(wrong()),
    };
    list.into_iter().map(one).collect()
}

fn ids(list: &[Value]) -> Option<Vec<u32>> {
    list.iter().map(|value| value.as_u64().and_then(|id| u32::try_from(id).ok())).collect()
}

fn tokens(prompt: Prompt, served: &Served) -> Result<Vec<u32>, ApiError> {
    let vocabulary = served.vocabulary;
    let ids = match prompt {
        Prompt::Text(text) => served.tokenizer.encode_whole(&text),
        Prompt::Tokens(ids) => ids,
    };
    if let Some(id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
        return Err(ApiError::invalid("prompt", format!("prompt: this model has no token {id}")));
    }
    served.check_length(&ids, "prompt")?;
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_in_all_four_forms() {
        let text = |text: &str| Prompt::Text(text.into());
        assert_eq!(prompts(Some(json!("a"))), Ok(vec![text("a")]));
        assert_eq!(prompts(Some(json!(["a", "b"]))), Ok(vec![text("a"), text("b")]));
        assert_eq!(prompts(Some(json!([1, 2]))), Ok(vec![Prompt::Tokens(vec![1, 2])]));
        let two = vec![Prompt::Tokens(vec![1, 2]), Prompt::Tokens(vec![3])];
        assert_eq!(prompts(Some(json!([[1, 2], [3]]))), Ok(two));
        for wrong in [json!([]), json!(1), json!([-1]), json!([1.5]), json!(["a", 1]), json!({})] {
            assert_eq!(prompts(Some(wrong)).unwrap_err().param.as_deref(), Some("prompt"));
        }
    }
}
