//! Conversations as tokens: prompts to answer, and examples whose answer is to be learned.

use std::sync::atomic::Ordering;

use laurel_records::{Message, Role};

use super::{error::DataError, tokenizer::ModelTokenizer};

/// A conversation with its answer, as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub ids: Vec<u32>,
    /// 1 on the assistant's answer and the token that ends it, 0 on everything before.
    pub completion_mask: Vec<u8>,
}

impl Example {
    /// The number of tokens to be learned.
    pub fn completion_tokens(&self) -> usize {
        self.completion_mask.iter().map(|&on| usize::from(on)).sum()
    }

    /// Where the answer begins.
    pub fn prompt_length(&self) -> usize {
        self.completion_mask.iter().position(|&on| on == 1).unwrap_or(self.ids.len())
    }
}

impl ModelTokenizer {
    /// The conversation up to where the assistant's next message begins.
    ///
    /// What does not fit the context is cut from the left: the oldest messages go first, the system message stays.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, DataError> {
        self.prompt_within(messages, self.context_length)
    }

    /// As [`Self::prompt`], in at most `limit` tokens: what an answer needs must be left free.
    pub fn prompt_within(&self, messages: &[Message], limit: usize) -> Result<Vec<u32>, DataError> {
        let whole = self.prompt_ids(messages)?;
        if whole.len() <= limit {
            return Ok(whole);
        }
        self.cuts.fetch_add(1, Ordering::Relaxed);
        let (mut ids, mut kept) = (whole, messages.to_vec());
        while ids.len() > limit && drop_oldest(&mut kept) {
            ids = self.prompt_ids(&kept)?;
        }
        ids.drain(..ids.len().saturating_sub(limit));
        Ok(ids)
    }

    /// The conversation with an answer to it, ending with the answer's end of turn.
    ///
    /// What does not fit the context is cut from the left, as in [`Self::prompt`]; an answer that is longer than the
    /// context itself loses its end.
    pub fn example(&self, messages: &[Message], completion: &str) -> Result<Example, DataError> {
        let limit = self.context_length;
        let (mut prompt, mut answer) = self.parts(messages, completion)?;
        if prompt.len() + answer.len() > limit {
            self.cuts.fetch_add(1, Ordering::Relaxed);
        }
        let mut kept = messages.to_vec();
        while prompt.len() + answer.len() > limit && drop_oldest(&mut kept) {
            (prompt, answer) = self.parts(&kept, completion)?;
        }
        let excess = (prompt.len() + answer.len()).saturating_sub(limit);
        // One token before the answer stays, so that the answer's first token is predicted from something.
        prompt.drain(..excess.min(prompt.len().saturating_sub(1)));
        answer.truncate(limit.saturating_sub(prompt.len()));
        let completion_mask = [vec![0; prompt.len()], vec![1; answer.len()]].concat();
        Ok(Example { ids: [prompt, answer].concat(), completion_mask })
    }

    fn prompt_ids(&self, messages: &[Message]) -> Result<Vec<u32>, DataError> {
        Ok(match &self.template {
            Some(template) => self.encode(&template.render(messages, true)?),
            None => self.encode_with(&plain(messages), true),
        })
    }

    /// Tokens of the prompt and of the answer with its end.
    fn parts(&self, messages: &[Message], completion: &str) -> Result<(Vec<u32>, Vec<u32>), DataError> {
        let prompt_ids = self.prompt_ids(messages)?;
        let answer_ids = match &self.template {
            None => self.with_end_of_text(self.encode(completion)),
            Some(template) => {
                let before = template.render(messages, true)?;
                let answer = Message { role: Role::Assistant, content: completion.into() };
                let whole = template.render(&[messages, &[answer]].concat(), false)?;
                self.answer_ids(&prompt_ids, &before, &whole, completion)
            }
        };
        Ok((prompt_ids, answer_ids))
    }

    /// The tokens that follow the prompt's in the whole conversation, up to the answer's end of turn.
    fn answer_ids(&self, prompt_ids: &[u32], before: &str, whole: &str, completion: &str) -> Vec<u32> {
        let content = completion.trim();
        let Some((rest, end)) = rest_with_answer(before, whole, content) else {
            return self.with_end_of_text(self.encode(content));
        };
        let Some(tokens_after) = self.tokens_after_first_special(&rest[end..]) else {
            return self.with_end_of_text(self.tokens_after(prompt_ids, before, &rest[..end]));
        };
        let mut ids = self.tokens_after(prompt_ids, before, rest);
        // A special token divides the text whatever stands before it, so what follows it has the same tokens here.
        ids.truncate(ids.len().saturating_sub(tokens_after));
        ids
    }

    /// The tokens of `text` after a prompt. Where letters of both would melt into one token, the prompt's tokens stay as
    /// they are when the model is asked, and the answer begins with a token of its own.
    fn tokens_after(&self, prompt_ids: &[u32], before: &str, text: &str) -> Vec<u32> {
        let whole = self.encode(&format!("{before}{text}"));
        match whole.strip_prefix(prompt_ids) {
            Some(answer) => answer.to_vec(),
            None => self.encode(text),
        }
    }

    fn with_end_of_text(&self, mut ids: Vec<u32>) -> Vec<u32> {
        ids.extend(self.eos_id);
        ids
    }

    /// How many tokens follow the first special token of a text; `None` when there is none.
    fn tokens_after_first_special(&self, text: &str) -> Option<usize> {
        let ids = self.encode(text);
        let at = ids.iter().position(|id| self.special_ids.contains(id))?;
        Some(ids.len() - at - 1)
    }
}

/// What follows the prompt in the whole conversation, and where in it the answer ends.
///
/// Some templates write an earlier part of the conversation otherwise once it is answered (Mistral's moves the system
/// message), so that the prompt is no prefix of the whole: there the answer is found by the end of the prompt.
fn rest_with_answer<'a>(before: &str, whole: &'a str, content: &str) -> Option<(&'a str, usize)> {
    let rest = match whole.strip_prefix(before) {
        Some(rest) => rest,
        None => {
            let tail = before.char_indices().rev().nth(7).map_or(before, |(at, _)| &before[at..]);
            let answer = whole.rfind(content)?;
            let start = whole[..answer].rfind(tail)? + tail.len();
            &whole[start..]
        }
    };
    let space = rest.len() - rest.trim_start().len();
    let start = if rest[space..].starts_with(content) { space } else { rest.rfind(content)? };
    Some((rest, start + content.len()))
}

/// Without a template, a conversation is its messages, a line each, and an open line for the answer.
fn plain(messages: &[Message]) -> String {
    messages.iter().flat_map(|message| [message.content.as_str(), "\n"]).collect()
}

/// Drops the oldest exchange after the system message: its question and what was answered to it, so that roles still
/// alternate. `false` when only the last message is left.
fn drop_oldest(messages: &mut Vec<Message>) -> bool {
    let first = usize::from(messages.first().is_some_and(|message| message.role == Role::System));
    if messages.len() <= first + 1 {
        return false;
    }
    messages.remove(first);
    while messages.len() > first + 1 && messages[first].role == Role::Assistant {
        messages.remove(first);
    }
    true
}
