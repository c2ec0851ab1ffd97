//! One answer that is being written.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{
    End, Listener, Request, RequestId, Sampled, Verdict,
    law::{LogitChanges, TokenLogprobs},
};
use crate::generate::sampling::SamplingSettings;

/// A row of the batch.
#[derive(Debug)]
pub(super) struct Row {
    pub request: RequestId,
    answer: usize,
    settings: SamplingSettings,
    /// Most tokens, by the settings and by what the context has room for.
    limit: usize,
    changes: LogitChanges,
    top_logprobs: Option<usize>,
    rng: ChaCha8Rng,
    tokens: Vec<u32>,
    ended: bool,
}

/// A token that was drawn for a row.
#[derive(Debug)]
pub(super) struct Drawn {
    token: u32,
    logprob: f32,
    of_model: Option<TokenLogprobs>,
}

impl Row {
    /// The rows of a request: one for each of its seeds.
    pub fn all_of(id: RequestId, request: &Request, context: usize) -> Vec<Self> {
        let row = |(answer, &seed): (usize, &u64)| Self {
            request: id,
            answer,
            settings: request.settings,
            limit: request.settings.max_new_tokens.min(context - request.prompt.len()),
            changes: request.changes.clone(),
            top_logprobs: request.top_logprobs,
            rng: ChaCha8Rng::seed_from_u64(seed),
            tokens: vec![],
            ended: false,
        };
        request.seeds.iter().enumerate().map(row).collect()
    }

    /// Draws the next token and tells it.
    pub fn take(&mut self, logits: &[f32], stop_ids: &[u32], listener: Listener) {
        let drawn = self.draw(logits);
        self.tell(drawn, stop_ids, listener);
    }

    /// Draws the next token from its logits; nothing is told yet. `None` when the row has ended.
    pub fn draw(&mut self, logits: &[f32]) -> Option<Drawn> {
        if self.ended {
            return None;
        }
        let (token, logprob) = if self.changes.is_empty() {
            self.settings.sample(logits, &mut self.rng)
        } else {
            self.settings.sample(&self.changes.apply(logits, &self.tokens), &mut self.rng)
        };
        let of_model = self.top_logprobs.map(|count| TokenLogprobs::new(logits, token, count));
        Some(Drawn { token, logprob, of_model })
    }

    /// Tells of the token that was drawn.
    pub fn tell(&mut self, drawn: Option<Drawn>, stop_ids: &[u32], listener: Listener) {
        let Some(Drawn { token, logprob, of_model }) = drawn else { return };
        self.tokens.push(token);
        let end = if stop_ids.contains(&token) {
            Some(End::StopToken)
        } else {
            (self.tokens.len() >= self.limit).then_some(End::Length)
        };
        let sampled = Sampled { request: self.request, answer: self.answer, token, logprob, of_model, end };
        self.ended = listener(sampled) == Verdict::Leave || end.is_some();
    }

    /// Ends without another word.
    pub fn leave(&mut self) {
        self.ended = true;
    }

    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// What the model is fed with next.
    pub fn last_token(&self) -> u32 {
        self.tokens.last().copied().unwrap_or_default()
    }
}
