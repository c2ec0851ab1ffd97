//! What a reward model gives texts, without a gradient, in batches of a few tokens.

use burn::tensor::{Int, Tensor};

use super::super::completion::chunks_by_tokens;
use crate::{
    data::padded_right,
    model::{Layout, Members, RewardModel},
};

/// The score of each text at its last token, in the order of `rows`, as the head gives it. No gradient.
pub(in crate::train) fn scores_of(model: &RewardModel, rows: &[&[u32]], pad_id: u32, budget: usize) -> Vec<f64> {
    let of_batch = |ids: Tensor<2, Int>, layout: &Layout, last| host(model.rewards(ids, layout, last));
    batched(model, rows, pad_id, budget, of_batch)
}

/// What each member gives each text: one list a text.
pub(super) fn member_scores_of(
    model: &RewardModel,
    members: &Members,
    rows: &[&[u32]],
    pad_id: u32,
    budget: usize,
) -> Vec<Vec<f64>> {
    let of_batch = |ids: Tensor<2, Int>, layout: &Layout, last| {
        let scores = host(members.scores(&model.decoder, ids, layout, last));
        scores.chunks(members.count()).map(<[f64]>::to_vec).collect()
    };
    batched(model, rows, pad_id, budget, of_batch)
}

fn batched<T: Clone + Default>(
    model: &RewardModel,
    rows: &[&[u32]],
    pad_id: u32,
    budget: usize,
    of_batch: impl Fn(Tensor<2, Int>, &Layout, Tensor<1, Int>) -> Vec<T>,
) -> Vec<T> {
    let device = model.decoder.token_embedding.device();
    let mut scores = vec![T::default(); rows.len()];
    for chunk in chunks_by_tokens((0..rows.len()).collect(), |row| rows[row].len(), budget) {
        let ids: Vec<&[u32]> = chunk.iter().map(|&row| rows[row]).collect();
        let (input_ids, last) = padded_right(&ids, pad_id, &device);
        let [batch, sequence] = input_ids.dims();
        let found = of_batch(input_ids, &Layout::causal(batch, sequence, &device), last);
        chunk.into_iter().zip(found).for_each(|(row, score)| scores[row] = score);
    }
    scores
}

/// The numbers of a tensor, row-major.
pub(super) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    let values: Vec<f32> = tensor.inner().into_data_as::<f32>().try_to_vec().unwrap_or_default();
    values.into_iter().map(f64::from).collect()
}
