//! Conversations as tokens: prompts to answer, and examples whose answer is to be learned.

use std::sync::atomic::Ordering;

use laurel_records::{Message, Role};

use super::{error::DataError, tokenizer::ModelTokenizer};

/// So many times at most the last message of a conversation is shortened. The first time takes away nearly all that is too much;
/// what stands beside the new beginning may then have a token more than before.
const SHORTENINGS: usize = 8;

/// A conversation with its answer, as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    pub ids: Vec<u32>,
    /// 1 on the assistant's answer and the token that ends it, if it has one; 0 on everything before.
    pub completion_mask: Vec<u8>,
}

impl Example {
    /// The number of tokens to be learned.
    pub fn completion_tokens(&self) -> usize {
        self.completion_mask.iter().map(|&on| usize::from(on)).sum()
    }

    /// Whether there is a token to be learned: nothing foretells the first of all.
    pub fn teaches(&self) -> bool {
        self.completion_mask.iter().skip(1).any(|&on| on == 1)
    }

    /// Where the answer begins.
    pub fn prompt_length(&self) -> usize {
        self.completion_mask.iter().position(|&on| on == 1).unwrap_or(self.ids.len())
    }
}

impl ModelTokenizer {
    /// The conversation up to where the assistant's next message begins.
    ///
    /// What does not fit the context is shortened: the oldest exchanges go first, question and answer together, the system
    /// message stays; then the beginning of the last message goes. What the template writes around them stays whole, as long as
    /// it fits itself.
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
        let mut ids = self.shortened(messages, whole, limit, |kept| self.prompt_ids(kept), Vec::len)?;
        ids.drain(..ids.len().saturating_sub(limit));
        Ok(ids)
    }

    /// The conversation with an answer to it, ending with the answer's end of turn.
    ///
    /// What does not fit the context is shortened as in [`Self::prompt`]; an answer that is longer than the context itself loses
    /// its end.
    pub fn example(&self, messages: &[Message], completion: &str) -> Result<Example, DataError> {
        self.example_of(messages, completion, true)
    }

    /// As [`Self::example`]; an answer that is not `finished`, but was cut as it was written, has no end of turn.
    pub fn example_of(&self, messages: &[Message], completion: &str, finished: bool) -> Result<Example, DataError> {
        let limit = self.context_length;
        let length = |(prompt, answer): &(Vec<u32>, Vec<u32>)| prompt.len() + answer.len();
        let mut parts = self.parts(messages, completion, finished)?;
        if length(&parts) > limit {
            self.cuts.fetch_add(1, Ordering::Relaxed);
            parts = self.shortened(messages, parts, limit, |kept| self.parts(kept, completion, finished), length)?;
        }
        let (mut prompt, mut answer) = parts;
        let excess = (prompt.len() + answer.len()).saturating_sub(limit);
        // One token before the answer stays, so that the answer's first token is predicted from something.
        prompt.drain(..excess.min(prompt.len().saturating_sub(1)));
        answer.truncate(limit.saturating_sub(prompt.len()));
        let completion_mask = [vec![0; prompt.len()], vec![1; answer.len()]].concat();
        Ok(Example { ids: [prompt, answer].concat(), completion_mask })
    }

    /// What `rendered` makes of the conversation, shortened until it has at most `limit` tokens by `length`, as far as that goes;
    /// `whole` is what it makes of all of it.
    fn shortened<T>(
        &self,
        messages: &[Message],
        whole: T,
        limit: usize,
        rendered: impl Fn(&[Message]) -> Result<T, DataError>,
        length: impl Fn(&T) -> usize,
    ) -> Result<T, DataError> {
        let (mut found, mut kept) = (whole, messages.to_vec());
        while length(&found) > limit && drop_oldest(&mut kept) {
            found = rendered(&kept)?;
        }
        for _ in 0..SHORTENINGS {
            let excess = length(&found).saturating_sub(limit);
            let Some(last) = kept.last_mut().filter(|last| excess > 0 && !last.content.is_empty()) else { break };
            last.content = self.without_beginning(&last.content, excess);
            // Some templates refuse a message without words: then the one with its last words is what there is to cut.
            let Ok(shorter) = rendered(&kept) else { break };
            found = shorter;
        }
        Ok(found)
    }

    /// A text without its first `tokens` tokens: whole characters, at least one fewer.
    fn without_beginning(&self, text: &str, tokens: usize) -> String {
        let encoding = self.tokenizer.encode(text, false);
        let ends: Vec<usize> = encoding.iter().flat_map(|found| found.get_offsets()).map(|&(_, end)| end).collect();
        if ends.len() <= tokens {
            return String::new();
        }
        // A character may have several tokens, and the last of them reach no further than the first.
        let end = ends[..tokens].iter().copied().fold(1, usize::max);
        let start = (end..text.len()).find(|&at| text.is_char_boundary(at));
        start.map_or_else(String::new, |at| text[at..].to_owned())
    }

    fn prompt_ids(&self, messages: &[Message]) -> Result<Vec<u32>, DataError> {
        Ok(match &self.template {
            Some(template) => self.encode(&template.render(messages, true)?),
            None => self.encode_with(&plain(messages), true),
        })
    }

    /// Tokens of the prompt and of the answer, with its end where it is `finished`.
    fn parts(&self, messages: &[Message], completion: &str, finished: bool) -> Result<(Vec<u32>, Vec<u32>), DataError> {
        let prompt_ids = self.prompt_ids(messages)?;
        let answer_ids = match &self.template {
            None => self.with_end_of_text(self.encode(completion), finished),
            Some(template) => {
                let before = template.render(messages, true)?;
                let answer = Message { role: Role::Assistant, content: completion.into() };
                let whole = template.render(&[messages, &[answer]].concat(), false)?;
                self.answer_ids(&prompt_ids, &before, &whole, completion, finished)
            }
        };
        Ok((prompt_ids, answer_ids))
    }

    /// The tokens that follow the prompt's in the whole conversation, up to the answer's end of turn; of an answer that is not
    /// `finished`, to the end of its text.
    fn answer_ids(&self, prompt_ids: &[u32], before: &str, whole: &str, completion: &str, finished: bool) -> Vec<u32> {
        let content = completion.trim();
        let Some(rest) = rest_after(before, whole, content) else {
            return self.with_end_of_text(self.encode(content), finished);
        };
        let Some(end) = end_of_answer(rest, content) else {
            return self.rewritten_ids(prompt_ids, before, rest, finished);
        };
        let Some(tokens_after) = self.tokens_after_first_mark(&rest[end..]).filter(|_| finished) else {
            return self.with_end_of_text(self.tokens_after(prompt_ids, before, &rest[..end]), finished);
        };
        let mut ids = self.tokens_after(prompt_ids, before, rest);
        // An added token divides the text whatever stands before it, so what follows it has the same tokens here.
        ids.truncate(ids.len().saturating_sub(tokens_after));
        ids
    }

    /// The tokens of an answer that the template writes in words of its own (without the thoughts in front of it, say): up to the
    /// first that ends an answer, which one that is not `finished` lacks.
    fn rewritten_ids(&self, prompt_ids: &[u32], before: &str, rest: &str, finished: bool) -> Vec<u32> {
        let mut ids = self.tokens_after(prompt_ids, before, rest);
        match ids.iter().position(|id| self.stop_ids().contains(id)) {
            Some(end) => {
                ids.truncate(end + usize::from(finished));
                ids
            }
            None => self.with_end_of_text(self.tokens_after(prompt_ids, before, rest.trim_end()), finished),
        }
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

    fn with_end_of_text(&self, mut ids: Vec<u32>, finished: bool) -> Vec<u32> {
        ids.extend(self.eos_id.filter(|_| finished));
        ids
    }

    /// How many tokens follow the first token of a text that can end an answer; `None` when there is none.
    fn tokens_after_first_mark(&self, text: &str) -> Option<usize> {
        let ids = self.encode(text);
        let at = ids.iter().position(|id| self.marks.contains(id))?;
        Some(ids.len() - at - 1)
    }
}

/// What follows the prompt in the whole conversation.
///
/// Some templates write an earlier part of the conversation otherwise once it is answered (Mistral's moves the system
/// message), so that the prompt is no prefix of the whole: there the answer is found by the end of the prompt.
fn rest_after<'a>(before: &str, whole: &'a str, content: &str) -> Option<&'a str> {
    if let Some(rest) = whole.strip_prefix(before) {
        return Some(rest);
    }
    let tail = before.char_indices().rev().nth(7).map_or(before, |(at, _)| &before[at..]);
    let answer = whole.rfind(content)?;
    let start = whole[..answer].rfind(tail)? + tail.len();
    Some(&whole[start..])
}

/// Where the answer ends in what follows the prompt; `None` where the template has changed its words.
fn end_of_answer(rest: &str, content: &str) -> Option<usize> {
    let space = rest.len() - rest.trim_start().len();
    let start = if rest[space..].starts_with(content) { space } else { rest.rfind(content)? };
    Some(start + content.len())
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
