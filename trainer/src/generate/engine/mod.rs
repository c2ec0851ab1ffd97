//! Continuous batching: requests join the running batch between two tokens, and rows leave it when they end.
//!
//! The engine knows token ids only. Whoever drives it calls [`Engine::step`] again and again and is told each token as it is
//! sampled; what the token means, and who waits for it, is the caller's affair. What a row gets depends on its prompt, its
//! settings and its seed, not on the rows beside it.

mod law;
mod reading;
mod row;
#[cfg(test)]
mod tests;
mod whole;

use std::collections::VecDeque;

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::{awake_on_the_cpu, sampling::SamplingSettings};
use crate::model::{Decoder, KvCache, Layout};
pub use law::{LogitChanges, TokenLogprobs};
use reading::Reading;
use row::Row;
pub use whole::answer_all;

/// How much an engine does at once.
#[derive(Debug, Clone, Copy)]
pub struct EngineLimits {
    /// Answers that are written together.
    pub rows: usize,
    /// Tokens of prompts that are read between two tokens of the answers under way: what a newcomer costs the others.
    pub prompt_tokens: usize,
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self { rows: 32, prompt_tokens: 256 }
    }
}

/// A prompt and how it is to be answered.
#[derive(Debug, Clone)]
pub struct Request {
    /// At least one token, and fewer than the model's context has.
    pub prompt: Vec<u32>,
    pub settings: SamplingSettings,
    /// One answer for each, with random numbers of its own.
    pub seeds: Vec<u64>,
    pub changes: LogitChanges,
    /// Tell each token's log-probability by the model itself, and so many of the likeliest tokens with theirs.
    pub top_logprobs: Option<usize>,
}

impl Request {
    /// Answers to a prompt, one for each seed.
    pub fn new(prompt: Vec<u32>, settings: SamplingSettings, seeds: Vec<u64>) -> Self {
        Self { prompt, settings, seeds, changes: LogitChanges::default(), top_logprobs: None }
    }
}

/// Names a request in the order in which requests came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u64);

/// A token that was just sampled.
#[derive(Debug)]
pub struct Sampled {
    pub request: RequestId,
    /// Which of the request's answers, from 0.
    pub answer: usize,
    pub token: u32,
    /// Under the law that it was drawn from.
    pub logprob: f32,
    /// By the model, where the request asks for it.
    pub of_model: Option<TokenLogprobs>,
    /// Whether the answer ends with this token, and why.
    pub end: Option<End>,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a token that ends answers.
    StopToken,
    /// At the limit of tokens, or of the model's context.
    Length,
}

/// What becomes of a row after its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    GoOn,
    /// Nobody wants more of it.
    Leave,
}

/// What an engine is told after each token of each row.
pub type Listener<'a> = &'a mut dyn FnMut(Sampled) -> Verdict;

/// A decoder with the batch that it is writing and the requests that wait.
#[derive(Debug)]
pub struct Engine {
    decoder: Decoder,
    stop_ids: Vec<u32>,
    pad_id: u32,
    limits: EngineLimits,
    waiting: VecDeque<(RequestId, Request)>,
    reading: Option<Reading>,
    rows: Vec<Row>,
    cache: Option<KvCache>,
    requests: u64,
    prompt_tokens_read: u64,
}

impl Engine {
    /// An engine with nothing to do. `stop_ids`: tokens that end an answer.
    pub fn new(decoder: &Decoder, stop_ids: &[u32], pad_id: u32, limits: EngineLimits) -> Self {
        Self {
            // Without gradients: sampling remembers nothing of its way.
            decoder: if limits.rows > 1 { decoder.to_answer().packed() } else { decoder.to_answer() },
            stop_ids: stop_ids.to_vec(),
            pad_id,
            limits: EngineLimits { rows: limits.rows.max(1), prompt_tokens: limits.prompt_tokens.max(1) },
            waiting: VecDeque::new(),
            reading: None,
            rows: vec![],
            cache: None,
            requests: 0,
            prompt_tokens_read: 0,
        }
    }

    /// Takes a request up; its first token comes at one of the next steps. `None` when it can never be answered: its
    /// prompt is empty or fills the model's context, or it wants no answer or more than there are rows.
    pub fn submit(&mut self, request: Request) -> Option<RequestId> {
        let fits = !request.prompt.is_empty() && request.prompt.len() < self.decoder.config().context_length;
        if !fits || request.seeds.is_empty() || request.seeds.len() > self.limits.rows {
            return None;
        }
        let id = RequestId(self.requests);
        self.requests += 1;
        self.waiting.push_back((id, request));
        Some(id)
    }

    /// Forgets a request, wherever it stands. What is left of a prompt that nobody waits for is not read.
    pub fn cancel(&mut self, id: RequestId) {
        self.waiting.retain(|(other, _)| *other != id);
        if self.reading.as_mut().is_some_and(|reading| !reading.cancel(id)) {
            self.reading = None;
        }
        self.rows.iter_mut().filter(|row| row.request == id).for_each(Row::leave);
    }

    /// One unit of work: at most [`EngineLimits::prompt_tokens`] of prompts are read, then every row gets a token. The
    /// first tokens of prompts that have now been read are told first.
    pub fn step(&mut self, listener: Listener) {
        self.drop_ended();
        let device = self.decoder.token_embedding.device();
        awake_on_the_cpu(&device, || {
            self.read(listener);
            self.write(listener);
        });
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.reading.is_none() && self.rows.is_empty()
    }

    /// Answers being written.
    pub fn running(&self) -> usize {
        self.rows.len()
    }

    /// Requests whose prompts are not read yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.reading.as_ref().map_or(0, Reading::requests)
    }

    /// Tokens of prompts that were read so far.
    pub fn prompt_tokens_read(&self) -> u64 {
        self.prompt_tokens_read
    }

    /// Reads a part of the prompts that are next, and lets those in that are read to their end.
    fn read(&mut self, listener: Listener) {
        if self.reading.is_none() {
            let free = self.limits.rows - self.rows.len();
            self.reading = Reading::begin(&mut self.waiting, free, self.limits.prompt_tokens);
        }
        let Some(reading) = &mut self.reading else { return };
        let Some(hidden) = reading.advance(&self.decoder, self.pad_id, self.limits.prompt_tokens) else { return };
        let Some(reading) = self.reading.take() else { return };
        self.prompt_tokens_read += reading.tokens();
        let logits = self.logits(hidden);
        let context = self.decoder.config().context_length;
        let (mut cache, rows) = reading.into_rows(context);
        let (mut newcomers, mut places) = (vec![], vec![]);
        for (place, mut row) in rows {
            row.take(&logits[place], &self.stop_ids, listener);
            if !row.has_ended() {
                newcomers.push(row);
                places.push(place);
            }
        }
        if newcomers.is_empty() {
            return;
        }
        if !places.iter().copied().eq(0..cache.batch()) {
            cache.keep(&places);
        }
        self.rows.extend(newcomers);
        match &mut self.cache {
            Some(running) => running.join(cache),
            None => self.cache = Some(cache),
        }
    }

    /// One more token for every row.
    fn write(&mut self, listener: Listener) {
        let Some(cache) = &mut self.cache else { return };
        let last: Vec<i32> = self.rows.iter().map(|row| row.last_token() as i32).collect();
        let input_ids = Tensor::from_data(TensorData::new(last, [self.rows.len(), 1]), cache.device());
        let layout = Layout::step(cache);
        let hidden = self.decoder.hidden_states(input_ids, &layout, Some(cache));
        let logits = self.logits(hidden);
        // Drawing looks at every token of the vocabulary, so rows draw side by side; then they are told of in their order.
        let drawn: Vec<_> = self.rows.par_iter_mut().zip(&logits).map(|(row, logits)| row.draw(logits)).collect();
        for (row, drawn) in self.rows.iter_mut().zip(drawn) {
            row.tell(drawn, &self.stop_ids, listener);
        }
        self.drop_ended();
    }

    /// Logits of each row's last position: hidden `[batch, 1, hidden]` → `batch` vectors.
    fn logits(&self, hidden: Tensor<3>) -> Vec<Vec<f32>> {
        let logits = self.decoder.logits(hidden);
        let vocabulary = logits.dims()[2];
        let values: Vec<f32> = logits.into_data_as::<f32>().try_to_vec().expect("the data was just converted to f32");
        values.chunks(vocabulary).map(<[f32]>::to_vec).collect()
    }

    fn drop_ended(&mut self) {
        let going: Vec<usize> = (0..self.rows.len()).filter(|&at| !self.rows[at].has_ended()).collect();
        if going.len() == self.rows.len() {
            return;
        }
        self.rows.retain(|row| !row.has_ended());
        match &mut self.cache {
            Some(cache) if !going.is_empty() => cache.keep(&going),
            _ => self.cache = None,
        }
    }
}
