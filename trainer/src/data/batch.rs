//! Examples as tensors: padded or packed for SFT, padded with the place of the score for reward models.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::example::Example;
use crate::model::Layout;

/// A batch to learn answers from.
#[derive(Debug, Clone)]
pub struct SftBatch {
    /// `[batch, sequence]`
    pub input_ids: Tensor<2, Int>,
    /// `[batch, sequence]`: 1 on the tokens to be learned. Never on the first token of a text, which nothing predicts.
    pub completion_mask: Tensor<2>,
    pub layout: Layout,
}

impl SftBatch {
    /// One example a row, padded on the right.
    pub fn padded(examples: &[&Example], pad_id: u32, device: &Device) -> Self {
        let length = examples.iter().map(|example| example.ids.len()).max().unwrap_or(0);
        let rows: Vec<Row> = examples.iter().map(|example| Row::of(&[example], length, pad_id)).collect();
        Self::from_rows(&rows, Layout::causal(rows.len(), length, device), device)
    }

    /// Several examples a row, each seeing itself only, in rows of `length` tokens (or of the longest example's, when
    /// that is more). Fewer rows than examples: that is the point.
    pub fn packed(examples: &[&Example], length: usize, pad_id: u32, device: &Device) -> Self {
        let lengths: Vec<usize> = examples.iter().map(|example| example.ids.len()).collect();
        let length = lengths.iter().copied().max().unwrap_or(0).max(length);
        let rows: Vec<Row> = first_fit(&lengths, length)
            .iter()
            .map(|members| {
                let members: Vec<&Example> = members.iter().map(|&index| examples[index]).collect();
                Row::of(&members, length, pad_id)
            })
            .collect();
        let segments: Vec<Vec<usize>> = rows.iter().map(|row| row.segments.clone()).collect();
        Self::from_rows(&rows, Layout::packed(&segments, device), device)
    }

    fn from_rows(rows: &[Row], layout: Layout, device: &Device) -> Self {
        let shape = [rows.len(), rows.first().map_or(0, |row| row.ids.len())];
        let ids: Vec<i32> = rows.iter().flat_map(|row| &row.ids).map(|&id| id as i32).collect();
        let mask: Vec<f32> = rows.iter().flat_map(|row| &row.mask).map(|&on| f32::from(on)).collect();
        Self {
            input_ids: Tensor::from_data(TensorData::new(ids, shape), device),
            completion_mask: Tensor::from_data(TensorData::new(mask, shape), device),
            layout,
        }
    }
}

/// One row of a batch before it becomes a tensor.
struct Row {
    ids: Vec<u32>,
    mask: Vec<u8>,
    /// The number of the text that each token belongs to; padding is a text of its own.
    segments: Vec<usize>,
}

impl Row {
    fn of(examples: &[&Example], length: usize, pad_id: u32) -> Self {
        let mut row = Self { ids: vec![], mask: vec![], segments: vec![] };
        for (segment, example) in examples.iter().enumerate() {
            let start = row.ids.len();
            row.ids.extend(&example.ids);
            row.mask.extend(&example.completion_mask);
            row.segments.resize(row.ids.len(), segment);
            if let Some(first) = row.mask.get_mut(start) {
                *first = 0;
            }
        }
        row.ids.resize(length, pad_id);
        row.mask.resize(length, 0);
        row.segments.resize(length, examples.len());
        row
    }
}

/// First fit, longest first: which items share a row of `capacity`.
fn first_fit(lengths: &[usize], capacity: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(lengths[index]));
    let mut rows: Vec<(usize, Vec<usize>)> = vec![];
    for index in order {
        let length = lengths[index];
        match rows.iter_mut().find(|(used, _)| used + length <= capacity) {
            Some((used, members)) => {
                *used += length;
                members.push(index);
            }
            None => rows.push((length, vec![index])),
        }
    }
    rows.into_iter().map(|(_, members)| members).collect()
}

/// Answers to be scored, several to each prompt, flat: all answers of the first prompt, then all of the second, ….
#[derive(Debug, Clone)]
pub struct RewardBatch {
    /// `[answers, sequence]`, conversation with answer, padded on the right
    pub input_ids: Tensor<2, Int>,
    /// `[answers]`: the index of the last real token, where the score is read
    pub last: Tensor<1, Int>,
    pub layout: Layout,
    /// The ranks of each prompt's answers, in the order of the rows.
    pub ranks: Vec<Vec<u32>>,
}

impl RewardBatch {
    /// `prompts`: for each prompt its answers as examples, and their ranks.
    pub fn new(prompts: &[(&[Example], &[u32])], pad_id: u32, device: &Device) -> Self {
        let answers: Vec<&Example> = prompts.iter().flat_map(|(examples, _)| examples.iter()).collect();
        let ids: Vec<&[u32]> = answers.iter().map(|example| example.ids.as_slice()).collect();
        let (input_ids, last) = padded_right(&ids, pad_id, device);
        let [batch, sequence] = input_ids.dims();
        let ranks = prompts.iter().map(|(_, ranks)| ranks.to_vec()).collect();
        Self { input_ids, last, layout: Layout::causal(batch, sequence, device), ranks }
    }
}

/// Rows of tokens padded on the right, `[batch, sequence]`, and the index of each row's last real token, `[batch]`.
pub fn padded_right(rows: &[&[u32]], pad_id: u32, device: &Device) -> (Tensor<2, Int>, Tensor<1, Int>) {
    let length = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let mut ids = Vec::with_capacity(rows.len() * length);
    for row in rows {
        ids.extend(row.iter().map(|&id| id as i32));
        ids.resize(ids.len() + length - row.len(), pad_id as i32);
    }
    let last: Vec<i32> = rows.iter().map(|row| row.len().saturating_sub(1) as i32).collect();
    (
        Tensor::from_data(TensorData::new(ids, [rows.len(), length]), device),
        Tensor::from_data(TensorData::new(last, [rows.len()]), device),
    )
}
