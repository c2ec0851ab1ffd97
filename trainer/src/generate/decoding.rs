//! Decodes many prompts at once: padded on the left, one token a step for each, finished rows dropped.

use std::collections::HashMap;

use burn::tensor::{Device, Int, Tensor, TensorData};
use laurel_kernels::packed;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{awake_on_the_cpu, kept::Kept, sampling::SamplingSettings};
use crate::{
    model::{Decoder, KvCache, Layout},
    profile,
};

/// Tokens to write from which on a decoder is packed first: that takes about as long as two of them.
const WORTH_PACKING: usize = 16;

/// What was sampled after a prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Generated {
    /// The answer's tokens, with the stop token that ended it.
    pub tokens: Vec<u32>,
    /// Whether a stop token ended it, rather than the limit of tokens or the model's context.
    pub finished: bool,
    /// The log-probability of each token under the law that it was drawn from.
    pub logprobs: Vec<f32>,
    /// For each token, those that it was drawn from; empty where the law was not truncated.
    pub kept: Vec<Kept>,
}

impl Generated {
    /// Whether some of its tokens were drawn from what is no law: the answer means nothing then, and [`super::NO_LAW`] says why.
    pub(crate) fn means_nothing(&self) -> bool {
        self.logprobs.iter().any(|logprob| logprob.is_nan())
    }
}

/// Samples an answer to each prompt, all in one batch. Prompts that come several times are read once.
///
/// `seed_of_row`: each row draws from random numbers of its own. `progress` is told, after each step, how many rows have
/// ended. A prompt that is empty or fills the model's context gets no tokens.
pub fn generate(
    decoder: &Decoder,
    prompts: &[Vec<u32>],
    settings: &SamplingSettings,
    stop_ids: &[u32],
    pad_id: u32,
    seed_of_row: &[u64],
    progress: &mut dyn FnMut(usize),
) -> Vec<Generated> {
    let context = decoder.config().context_length;
    let rows: Vec<Row> = prompts
        .iter()
        .zip(seed_of_row)
        .enumerate()
        .filter(|(_, (prompt, _))| !prompt.is_empty() && prompt.len() < context)
        .map(|(index, (prompt, &seed))| Row {
            index,
            limit: settings.max_new_tokens.min(context - prompt.len()),
            rng: ChaCha8Rng::seed_from_u64(seed),
            out: Generated::default(),
        })
        .collect();
    let mut answers = vec![Generated::default(); prompts.len()];
    let skipped = prompts.len() - rows.len();
    if rows.is_empty() {
        progress(skipped);
        return answers;
    }
    let room = rows.iter().map(|row| row.limit).max().unwrap_or(0);
    let decoder = ready_to_write(decoder, rows.len(), room);
    let wanted: Vec<&[u32]> = rows.iter().map(|row| prompts[row.index].as_slice()).collect();
    awake_on_the_cpu(&decoder.token_embedding.device(), || {
        let begun = read_prompts(&decoder, &wanted, pad_id, room);
        let told = &mut |ended: usize| progress(skipped + ended);
        for row in write_answers(&decoder, rows, begun, settings, stop_ids, told) {
            answers[row.index] = row.out;
        }
    });
    answers
}

/// Draws token after token for all rows, until each has ended. `begun`: the hidden states of each row's last token so far, and the
/// cache. `told`: how many rows have ended.
fn write_answers(
    decoder: &Decoder,
    mut rows: Vec<Row>,
    begun: (Tensor<3>, KvCache),
    settings: &SamplingSettings,
    stop_ids: &[u32],
    told: &mut dyn FnMut(usize),
) -> Vec<Row> {
    let (mut hidden, mut cache) = begun;
    let mut answered = Vec::with_capacity(rows.len());
    loop {
        let logits = decoder.logits(hidden);
        let vocabulary = logits.dims()[2];
        let logits: Vec<f32> = logits.into_data_as::<f32>().try_to_vec().expect("the data was just converted to f32");
        rows.par_iter_mut()
            .zip(logits.par_chunks(vocabulary))
            .for_each(|(row, logits)| row.take(logits, settings, stop_ids));
        let going: Vec<usize> = (0..rows.len()).filter(|&at| !rows[at].has_ended()).collect();
        if going.len() < rows.len() {
            let (kept, ended): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(|row| !row.has_ended());
            rows = kept;
            answered.extend(ended);
            if !rows.is_empty() {
                cache.select(&going);
            }
        }
        told(answered.len());
        if rows.is_empty() {
            return answered;
        }
        let last: Vec<i32> = rows.iter().filter_map(|row| row.out.tokens.last()).map(|&id| id as i32).collect();
        let shape = [rows.len(), 1];
        let input_ids = Tensor::from_data(TensorData::new(last, shape), cache.device());
        let layout = Layout::step(&cache);
        hidden = decoder.hidden_states(input_ids, &layout, Some(&mut cache));
    }
}

/// The decoder without gradients, as sampling remembers nothing of its way; with its matrices put in order where that is worth
/// its time: one answer alone is read from memory as fast without, and very many are multiplied faster otherwise. What is in
/// order already stays so: a caller with several batches asks for all of them at once.
pub(crate) fn ready_to_write(decoder: &Decoder, rows: usize, tokens: usize) -> Decoder {
    let _part = profile::part("packing");
    let decoder = decoder.to_answer();
    let is_worth_it = (2..=packed::MOST).contains(&rows) && tokens >= WORTH_PACKING;
    if is_worth_it { decoder.packed() } else { decoder }
}

/// As [`generate`], in batches of at most `batch` rows: prompts of like length together, so that little is padding.
///
/// `keeps_laws`: whether answers come with what their tokens were drawn from, where the law was truncated. That is some kilobytes a
/// token: of very many answers it would fill the memory.
#[expect(clippy::too_many_arguments, reason = "generate's, and what is said of a batch")]
pub fn generate_in_batches(
    decoder: &Decoder,
    prompts: &[Vec<u32>],
    settings: &SamplingSettings,
    stop_ids: &[u32],
    pad_id: u32,
    seed_of_row: &[u64],
    batch: usize,
    keeps_laws: bool,
    progress: &mut dyn FnMut(usize),
) -> Vec<Generated> {
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    // Longest first: what does not fit the memory fails at once.
    order.sort_by_key(|&index| (std::cmp::Reverse(prompts[index].len()), index));
    let mut answers = vec![Generated::default(); prompts.len()];
    let decoder = &ready_to_write(decoder, prompts.len().min(batch), settings.max_new_tokens);
    let mut before = 0;
    for members in order.chunks(batch.max(1)) {
        let rows: Vec<Vec<u32>> = members.iter().map(|&index| prompts[index].clone()).collect();
        let seeds: Vec<u64> = members.iter().map(|&index| seed_of_row[index]).collect();
        let mut told = |ended: usize| progress(before + ended);
        let generated = generate(decoder, &rows, settings, stop_ids, pad_id, &seeds, &mut told);
        for (&index, mut answer) in members.iter().zip(generated) {
            if !keeps_laws {
                answer.kept = vec![];
            }
            answers[index] = answer;
        }
        before += members.len();
    }
    answers
}

/// A seed for one answer to one prompt, from the seed of the whole run (the finaliser of SplitMix64, Steele et al. 2014).
pub fn row_seed(seed: u64, prompt: u64, sample: u64) -> u64 {
    let mix = |state: u64| {
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    [prompt, sample]
        .iter()
        .fold(seed, |state, &part| mix(state.wrapping_add(part + 1).wrapping_add(0x9e37_79b9_7f4a_7c15)))
}

/// A row of the batch that is still being written.
struct Row {
    /// Its place among the prompts.
    index: usize,
    limit: usize,
    rng: ChaCha8Rng,
    out: Generated,
}

impl Row {
    fn take(&mut self, logits: &[f32], settings: &SamplingSettings, stop_ids: &[u32]) {
        let _part = profile::part("sampling");
        let (token, logprob, kept) = settings.sample_of(logits, &mut self.rng);
        self.out.tokens.push(token);
        self.out.logprobs.push(logprob);
        self.out.kept.extend(kept);
        self.out.finished = stop_ids.contains(&token);
    }

    fn has_ended(&self) -> bool {
        self.out.finished || self.out.tokens.len() >= self.limit
    }
}

/// Runs the prompts through the decoder: hidden states of each row's last token `[batch, 1, hidden]`, and the cache with
/// room for `room` more tokens. Equal prompts are computed once and copied.
fn read_prompts(decoder: &Decoder, prompts: &[&[u32]], pad_id: u32, room: usize) -> (Tensor<3>, KvCache) {
    let mut place: HashMap<&[u32], usize> = HashMap::new();
    let mut distinct: Vec<&[u32]> = vec![];
    let row_of: Vec<usize> = prompts
        .iter()
        .map(|&prompt| {
            *place.entry(prompt).or_insert_with(|| {
                distinct.push(prompt);
                distinct.len() - 1
            })
        })
        .collect();
    let device = decoder.token_embedding.device();
    let longest = distinct.iter().map(|prompt| prompt.len()).max().unwrap_or(0);
    let pads: Vec<usize> = distinct.iter().map(|prompt| longest - prompt.len()).collect();
    let layout = Layout::left_padded(&pads, longest, &device);
    let mut cache = decoder.new_cache(distinct.len(), longest + room);
    let input_ids = padded_left(&distinct, &pads, pad_id, &device);
    let hidden = decoder.last_hidden_states(input_ids, &layout, &mut cache);
    if distinct.len() == prompts.len() {
        return (hidden, cache);
    }
    cache.select(&row_of);
    let indices: Vec<i32> = row_of.iter().map(|&row| row as i32).collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [prompts.len()]), &device);
    (hidden.select(0, indices), cache)
}

fn padded_left(rows: &[&[u32]], pads: &[usize], pad_id: u32, device: &Device) -> Tensor<2, Int> {
    let length = rows.first().map_or(0, |row| row.len()) + pads.first().unwrap_or(&0);
    let mut ids = Vec::with_capacity(rows.len() * length);
    for (row, &pad) in rows.iter().zip(pads) {
        ids.resize(ids.len() + pad, pad_id as i32);
        ids.extend(row.iter().map(|&id| id as i32));
    }
    Tensor::from_data(TensorData::new(ids, [rows.len(), length]), device)
}
