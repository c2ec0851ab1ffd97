//! Episodes, prompts with the answers that were drawn, and many of them as one tensor that models can read.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use rayon::prelude::*;

use super::super::completion::{chunks_by_tokens, log_probs_of, places};
use crate::{
    data::padded_right,
    generate::{Generated, Kept},
    model::{Decoder, Layout, RewardModel, ScalarHead},
    rlhf::logprobs,
};

/// Positions whose logits are computed at once where nothing is learned from them.
const POSITIONS: usize = 256;

/// A prompt with the answer that was drawn, as tokens.
#[derive(Debug, Clone)]
pub struct Episode {
    pub prompt: Vec<u32>,
    pub answer: Vec<u32>,
    /// A stop token ended the answer: it is its last token. Otherwise the answer was cut and ends without one.
    pub finished: bool,
    /// log π of each token of the answer, under the law that it was drawn from.
    pub log_probs: Vec<f32>,
    /// For each token of the answer, those that it was drawn from; empty where the law was not truncated.
    pub kept: Vec<Kept>,
}

impl Episode {
    pub fn new(prompt: Vec<u32>, generated: Generated) -> Self {
        let Generated { tokens, finished, logprobs, kept } = generated;
        Self { prompt, answer: tokens, finished, log_probs: logprobs, kept }
    }

    /// Prompt and answer as the models read them. An answer that was cut is left as it was cut: no end of text is added,
    /// so it is judged as what it is.
    pub fn text(&self) -> Vec<u32> {
        [self.prompt.as_slice(), self.answer.as_slice()].concat()
    }

    pub fn tokens(&self) -> usize {
        self.prompt.len() + self.answer.len()
    }
}

/// Some episodes in one tensor, padded on the right, and where their answers lie in it.
pub struct Rows {
    input_ids: Tensor<2, Int>,
    layout: Layout,
    /// For each token of each answer, the flat position of the token before it.
    before: Vec<i32>,
    /// The tokens of the answers, flat.
    targets: Vec<i32>,
    /// What each of them was drawn from; empty where no law was truncated.
    kept: Vec<Kept>,
    /// `[row][response]` → place in the flat list; past the end for padding.
    places: Vec<i32>,
    shape: [usize; 2],
}

impl Rows {
    /// `width`: the response dimension of what comes back, at least the longest answer.
    pub fn new(episodes: &[&Episode], width: usize, pad_id: u32, device: &Device) -> Self {
        let texts: Vec<Vec<u32>> = episodes.iter().map(|episode| episode.text()).collect();
        let texts: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        let (input_ids, _) = padded_right(&texts, pad_id, device);
        let [rows, length] = input_ids.dims();
        let count: usize = episodes.iter().map(|episode| episode.answer.len()).sum();
        let (mut before, mut targets) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut places = vec![count as i32; rows * width];
        for (row, episode) in episodes.iter().enumerate() {
            for (at, token) in episode.answer.iter().enumerate() {
                places[row * width + at] = targets.len() as i32;
                before.push((row * length + episode.prompt.len() + at) as i32 - 1);
                targets.push(*token as i32);
            }
        }
        let layout = Layout::causal(rows, length, device);
        let kept = episodes.iter().flat_map(|episode| episode.kept.iter().cloned()).collect();
        Self { input_ids, layout, before, targets, kept, places, shape: [rows, width] }
    }

    /// Hidden states before each token of the answers, of all rows, one after the other: `[1, tokens, hidden]`.
    pub fn hidden(&self, decoder: &Decoder) -> Tensor<3> {
        let before = places(self.before.clone(), &self.input_ids.device());
        decoder.hidden_states_at(self.input_ids.clone(), &self.layout, None, &before)
    }

    /// log π of the answers' tokens under logits / `temperature`, among the tokens that each was drawn from: `[row, response]`,
    /// zero on padding. `hidden` is [`Self::hidden`] of the same policy. Also Σ over the tokens of the entropy of the law
    /// that each is drawn from, in full over its tokens, in nats.
    pub fn log_probs(&self, policy: &Decoder, hidden: Tensor<3>, temperature: f64) -> (Tensor<2>, f64) {
        let logits = only_kept(logits_of(policy, hidden, temperature), &self.kept);
        let [_, count, vocabulary] = logits.dims();
        let entropies = logprobs::entropies(logits.clone().detach().reshape([count, vocabulary]));
        let entropy = entropies.into_iter().map(f64::from).sum();
        (self.spread(log_probs_of(logits, self.targets.clone())), entropy)
    }

    /// log π alone, a few positions at a time: logits over a large vocabulary take more room than the model itself.
    fn log_probs_in_pieces(&self, policy: &Decoder, temperature: f64) -> Tensor<2> {
        let hidden = self.hidden(policy);
        let pieces = (0..self.before.len()).step_by(POSITIONS).map(|first| {
            let piece = first..(first + POSITIONS).min(self.before.len());
            let hidden = hidden.clone().narrow(1, first, piece.len());
            let logits = logits_of(policy, hidden, temperature);
            let kept = self.kept.get(piece.clone()).unwrap_or_default();
            log_probs_of(only_kept(logits, kept), self.targets[piece].to_vec())
        });
        self.spread(Tensor::cat(pieces.collect(), 0))
    }

    /// V before each token of the answers: `[row, response]`, zero on padding. `hidden` is [`Self::hidden`] of the trunk
    /// under the head.
    pub fn values(&self, head: &ScalarHead, hidden: Tensor<3>) -> Tensor<2> {
        let values = head.forward(hidden);
        let count = self.before.len();
        self.spread(values.reshape([count]))
    }

    fn spread(&self, flat: Tensor<1>) -> Tensor<2> {
        let device = flat.device();
        let places = TensorData::new(self.places.clone(), [self.places.len()]);
        let nothing = Tensor::zeros([1], &device);
        let places = Tensor::<1, Int>::from_data(places, &device);
        Tensor::cat(vec![flat, nothing], 0).select(0, places).reshape(self.shape)
    }
}

/// Logits / `temperature` after some hidden states: `[1, tokens, vocabulary]`.
fn logits_of(policy: &Decoder, hidden: Tensor<3>, temperature: f64) -> Tensor<3> {
    let logits = policy.logits(hidden);
    if temperature == 1.0 { logits } else { logits / temperature }
}

/// Logits `[1, tokens, vocabulary]`, −∞ where a token could not be drawn; as they are where `kept` is empty.
///
/// Every policy and the reference are asked of the same tokens, those that the policy that sampled had kept: π, the π that
/// sampled and π_ref are then laws over one set, so that the first ratios are 1 and no divergence is infinite or, in
/// expectation, negative (DeepSeek-AI 2025, DeepSeek-V3.2, "keep sampling mask").
fn only_kept(logits: Tensor<3>, kept: &[Kept]) -> Tensor<3> {
    if kept.is_empty() {
        return logits;
    }
    let shape @ [_, tokens, vocabulary] = logits.dims();
    assert_eq!(kept.len(), tokens, "every token of a truncated law has its set");
    let mut removed = vec![false; tokens * vocabulary];
    removed.par_chunks_mut(vocabulary).zip(kept).for_each(|(removed, kept)| kept.mark_removed(removed));
    let removed = Tensor::<3, Bool>::from_data(TensorData::new(removed, shape), &logits.device());
    logits.mask_fill(removed, f32::NEG_INFINITY)
}

/// How rollouts are read by models that learn nothing from it.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The device without gradients.
    pub device: Device,
    pub pad_id: u32,
    /// Tokens that go through a model at once.
    pub tokens: usize,
    /// Divides the logits, as when the answers were drawn.
    pub temperature: f64,
}

impl Reading {
    /// log π of every token of every answer under `policy`: `[batch, response]`, zero on padding.
    pub fn log_probs(&self, policy: &Decoder, episodes: &[Episode]) -> Tensor<2> {
        self.collect(episodes, &|rows| rows.log_probs_in_pieces(policy, self.temperature))
    }

    /// V before every token of every answer: `[batch, response]`, zero on padding.
    pub fn values(&self, model: &RewardModel, episodes: &[Episode]) -> Tensor<2> {
        self.collect(episodes, &|rows| rows.values(&model.score, rows.hidden(&model.decoder)))
    }

    /// What `of` gives for some rows at a time, rows of like length together, in the order of the episodes.
    fn collect(&self, episodes: &[Episode], of: &dyn Fn(&Rows) -> Tensor<2>) -> Tensor<2> {
        let width = width(episodes);
        let (mut parts, mut place) = (vec![], vec![0i32; episodes.len()]);
        let mut done = 0;
        for chunk in chunks_by_tokens((0..episodes.len()).collect(), |row| episodes[row].tokens(), self.tokens) {
            let rows: Vec<&Episode> = chunk.iter().map(|&row| &episodes[row]).collect();
            parts.push(of(&Rows::new(&rows, width, self.pad_id, &self.device)));
            for row in chunk {
                place[row] = done;
                done += 1;
            }
        }
        let place = Tensor::<1, Int>::from_data(TensorData::new(place, [episodes.len()]), &self.device);
        Tensor::cat(parts, 0).select(0, place)
    }
}

/// Tokens of the longest answer, at least 1.
pub fn width(episodes: &[Episode]) -> usize {
    episodes.iter().map(|episode| episode.answer.len()).max().unwrap_or(0).max(1)
}
