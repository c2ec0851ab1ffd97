//! Rankings as DPO learns them: the tokens of their answers, the pairs, and what the reference policy thinks of each answer.

use burn::tensor::{IndexingUpdateOp, Tensor};
use laurel_records::{RankingRecord, ResponseRecord};
use rayon::prelude::*;

use super::super::{
    TrainError,
    completion::{chunks_by_tokens, log_probs_of, places},
};
use crate::{
    data::{DataError, Example, ModelTokenizer, padded_right},
    model::{Decoder, Layout},
};

/// How answers are read.
pub(super) struct Reading {
    pub pad_id: u32,
    pub micro_batch_tokens: usize,
}

impl Reading {
    /// log π of whole answers, the end of turn included where they have one: `[answers]`.
    pub fn log_probs(&self, policy: &Decoder, answers: &[&Example]) -> Tensor<1> {
        let device = policy.token_embedding.device();
        let ids: Vec<&[u32]> = answers.iter().map(|answer| answer.ids.as_slice()).collect();
        let (input_ids, _) = padded_right(&ids, self.pad_id, &device);
        let [rows, length] = input_ids.dims();
        let (mut before, mut targets, mut row_of) = (vec![], vec![], vec![]);
        for (row, answer) in answers.iter().enumerate() {
            for at in learned_places(answer) {
                before.push((row * length + at) as i32 - 1);
                targets.push(answer.ids[at] as i32);
                row_of.push(row as i32);
            }
        }
        let before = places(before, &device);
        let hidden = policy.hidden_states_at(input_ids, &Layout::causal(rows, length, &device), None, &before);
        let flat = log_probs_of(policy.logits(hidden), targets);
        let row_of = places(row_of, &device);
        let zeros = Tensor::<1>::zeros([rows], &device);
        zeros.scatter(0, row_of, flat, IndexingUpdateOp::Add)
    }
}

/// The answers to one prompt, as tokens.
pub(super) struct Ranked {
    pub answers: Vec<Example>,
    /// log π_ref of each.
    pub reference: Vec<f32>,
    /// (better, worse), by place.
    pub pairs: Vec<(usize, usize)>,
}

impl Ranked {
    /// How many answers it has, and the tokens of the longest.
    pub fn shape(&self) -> [usize; 2] {
        [self.answers.len(), self.answers.iter().map(|answer| answer.ids.len()).max().unwrap_or(0)]
    }
}

/// Rankings that say something.
pub(super) struct Preferences {
    pub rankings: Vec<Ranked>,
    /// Answers without a token to learn, which are left out.
    pub without_tokens: usize,
}

impl Preferences {
    /// Tokens, pairs, and what the reference policy thinks of each answer, asked once.
    pub fn new(
        records: Vec<RankingRecord>,
        tokenizer: &ModelTokenizer,
        reference: &Decoder,
        reading: &Reading,
    ) -> Result<Self, TrainError> {
        let (mut rankings, mut without_tokens) = (Vec::with_capacity(records.len()), 0);
        // On all cores: a million answers take minutes on one.
        let tokenised = |record: &RankingRecord| {
            let tokens = |one: &ResponseRecord| tokenizer.example_of(&record.prompt, &one.content, one.is_finished());
            record.responses.iter().map(tokens).collect::<Result<Vec<Example>, DataError>>()
        };
        let tokenised: Vec<_> = records.par_iter().map(tokenised).collect();
        for (record, answers) in records.into_iter().zip(tokenised) {
            let answers = answers?;
            // An empty text that no end of text follows has log π = 0 under every policy: nothing about it can be learned.
            let (answers, ranks): (Vec<Example>, Vec<u32>) =
                answers.into_iter().zip(record.ranks).filter(|(answer, _)| answer.teaches()).unzip();
            without_tokens += record.responses.len() - answers.len();
            let pairs = (0..ranks.len()).flat_map(|a| (0..ranks.len()).map(move |b| (a, b)));
            let pairs: Vec<(usize, usize)> = pairs.filter(|&(a, b)| ranks[a] < ranks[b]).collect();
            // All ties: nothing to learn, nothing to judge by.
            if !pairs.is_empty() {
                rankings.push(Ranked { reference: vec![0.0; answers.len()], answers, pairs });
            }
        }
        let all: Vec<(usize, usize)> = rankings
            .iter()
            .enumerate()
            .flat_map(|(ranking, ranked)| (0..ranked.answers.len()).map(move |answer| (ranking, answer)))
            .collect();
        let answer = |item: usize| &rankings[all[item].0].answers[all[item].1];
        let mut found = Vec::with_capacity(all.len());
        for chunk in
            chunks_by_tokens((0..all.len()).collect(), |item| answer(item).ids.len(), reading.micro_batch_tokens)
        {
            let answers: Vec<&Example> = chunk.iter().map(|&item| answer(item)).collect();
            let values = numbers(reading.log_probs(reference, &answers));
            found.extend(chunk.into_iter().zip(values));
        }
        for (item, value) in found {
            let (ranking, answer) = all[item];
            rankings[ranking].reference[answer] = value;
        }
        Ok(Self { rankings, without_tokens })
    }

    pub fn pairs(&self) -> usize {
        self.rankings.iter().map(|ranked| ranked.pairs.len()).sum()
    }
}

/// Where the tokens are that an answer is learned by: nothing foretells the first of all.
fn learned_places(answer: &Example) -> impl Iterator<Item = usize> {
    answer.completion_mask.iter().enumerate().skip(1).filter(|(_, on)| **on == 1).map(|(at, _)| at)
}

/// The numbers of a tensor, without a gradient.
pub(super) fn numbers(tensor: Tensor<1>) -> Vec<f32> {
    tensor.inner().into_data_as::<f32>().try_to_vec().expect("the data was just converted to f32")
}
