//! Prompts on their way into the cache: several short ones in one pass, or a long one in parts.

use std::collections::VecDeque;

use burn::tensor::{Int, Tensor, TensorData};

use super::{Request, RequestId, row::Row};
use crate::model::{Decoder, KvCache, Layout};

/// Requests whose prompts are being read.
#[derive(Debug)]
pub(super) struct Reading {
    members: Vec<(RequestId, Request)>,
    cancelled: Vec<RequestId>,
    cache: Option<KvCache>,
    /// Tokens of the (only) prompt that are read.
    done: usize,
}

impl Reading {
    /// Takes the requests that are next, as many as there are free rows for and as can be read in one pass of
    /// `prompt_tokens`, padding included; a longer prompt goes alone, in parts. Nobody overtakes the first in line.
    pub fn begin(waiting: &mut VecDeque<(RequestId, Request)>, mut free: usize, prompt_tokens: usize) -> Option<Self> {
        let mut members: Vec<(RequestId, Request)> = vec![];
        let mut longest = 0;
        while let Some((_, next)) = waiting.front() {
            longest = longest.max(next.prompt.len());
            let is_too_much = !members.is_empty() && longest * (members.len() + 1) > prompt_tokens;
            if next.seeds.len() > free || is_too_much {
                break;
            }
            free -= next.seeds.len();
            members.extend(waiting.pop_front());
        }
        (!members.is_empty()).then_some(Self { members, cancelled: vec![], cache: None, done: 0 })
    }

    /// Nobody waits for this one any more. Says whether somebody waits for another of them.
    pub fn cancel(&mut self, id: RequestId) -> bool {
        self.cancelled.push(id);
        self.members.iter().any(|(member, _)| !self.cancelled.contains(member))
    }

    /// How many requests these are.
    pub fn requests(&self) -> usize {
        self.members.len()
    }

    /// Tokens of their prompts together.
    pub fn tokens(&self) -> u64 {
        self.members.iter().map(|(_, request)| request.prompt.len() as u64).sum()
    }

    /// Reads on, at most `prompt_tokens` where it is one prompt; when all is read, gives the hidden states of each
    /// prompt's last token `[requests, 1, hidden]`.
    pub fn advance(&mut self, decoder: &Decoder, pad_id: u32, prompt_tokens: usize) -> Option<Tensor<3>> {
        let longest = self.members.iter().map(|(_, request)| request.prompt.len()).max().unwrap_or(0);
        let cache = self.cache.get_or_insert_with(|| decoder.new_cache(self.members.len(), longest));
        let device = cache.device().clone();
        let (from, to) = match &self.members[..] {
            [_] => (self.done, longest.min(self.done + prompt_tokens)),
            _ => (0, longest),
        };
        let pads: Vec<usize> = self.members.iter().map(|(_, request)| longest - request.prompt.len()).collect();
        let mut ids = Vec::with_capacity(self.members.len() * (to - from));
        for ((_, request), &pad) in self.members.iter().zip(&pads) {
            ids.extend(std::iter::repeat_n(pad_id as i32, pad));
            ids.extend(request.prompt[from..to - pad].iter().map(|&id| id as i32));
        }
        let input_ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [self.members.len(), to - from]), &device);
        let layout =
            if from == 0 { Layout::left_padded(&pads, to, &device) } else { Layout::following(cache, to - from) };
        let hidden = decoder.last_hidden_states(input_ids, &layout, cache);
        self.done = to;
        (to == longest).then_some(hidden)
    }

    /// The rows to be written, each with its prompt's place in the cache.
    pub fn into_rows(self, context: usize) -> (KvCache, Vec<(usize, Row)>) {
        let mut rows = vec![];
        for (place, (id, request)) in self.members.iter().enumerate() {
            if !self.cancelled.contains(id) {
                rows.extend(Row::all_of(*id, request, context).into_iter().map(|row| (place, row)));
            }
        }
        (self.cache.expect("the prompts were read"), rows)
    }
}
