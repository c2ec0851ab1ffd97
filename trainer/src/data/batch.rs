//! Examples as tensors: padded or packed for SFT, padded with the place of the score for reward models.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::example::Example;
use crate::model::{Branches, Layout};

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

    /// Several examples a row, each seeing itself only, in rows of at most `length` tokens (or of the longest example's, when
    /// that is more), padded to the fullest. Fewer rows than examples: that is the point.
    pub fn packed(examples: &[&Example], length: usize, pad_id: u32, device: &Device) -> Self {
        let lengths: Vec<usize> = examples.iter().map(|example| example.ids.len()).collect();
        let length = lengths.iter().copied().max().unwrap_or(0).max(length);
        let members = first_fit(&lengths, length);
        let tokens = |row: &Vec<usize>| row.iter().map(|&index| lengths[index]).sum::<usize>();
        let fullest = members.iter().map(tokens).max().unwrap_or(0);
        let rows: Vec<Row> = members
            .iter()
            .map(|members| {
                let members: Vec<&Example> = members.iter().map(|&index| examples[index]).collect();
                Row::of(&members, fullest, pad_id)
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

/// First fit, longest first: which items share a row of `capacity`; an item that is longer has a row to itself. Rows that are
/// taken out together with their items leave the others as they are.
pub fn first_fit(lengths: &[usize], capacity: usize) -> Vec<Vec<usize>> {
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

/// Answers to be scored, several to each prompt. A prompt with its answers is one row, which begins with what they share, the
/// prompt, and from which they branch off: the prompt is computed once and not once an answer, answers are not padded to
/// each other's length, and every score is what it would be in a row of its own. Very long answers have rows of their own.
#[derive(Debug, Clone)]
pub struct RewardBatch {
    /// `[rows, sequence]`, padded on the right
    pub input_ids: Tensor<2, Int>,
    /// `[answers]`: where each answer's last token, whose state is scored, lies among the tokens of all rows; all answers of
    /// the first prompt, then all of the second, ….
    pub ends: Tensor<1, Int>,
    pub layout: Layout,
    /// The ranks of each prompt's answers, in the order of `ends`.
    pub ranks: Vec<Vec<u32>>,
}

impl RewardBatch {
    /// `prompts`: for each prompt its answers as examples, and their ranks.
    pub fn new(prompts: &[(&[Example], &[u32])], pad_id: u32, device: &Device) -> Self {
        let rows: Vec<AnswerRow> = prompts.iter().flat_map(|(answers, _)| AnswerRow::all_of(answers)).collect();
        let length = rows.iter().map(AnswerRow::tokens).max().unwrap_or(0);
        let mut ids = Vec::with_capacity(rows.len() * length);
        let mut ends = Vec::new();
        for row in &rows {
            let start = ids.len();
            ids.extend(row.ids().map(|id| id as i32));
            ids.resize(start + length, pad_id as i32);
            ends.extend(row.branches.ends().map(|end| (start + end) as i32));
        }
        let layouts: Vec<Branches> = rows.iter().map(|row| row.branches.clone()).collect();
        let (shape, answers) = ([rows.len(), length], ends.len());
        Self {
            input_ids: Tensor::from_data(TensorData::new(ids, shape), device),
            ends: Tensor::from_data(TensorData::new(ends, [answers]), device),
            layout: Layout::branching(&layouts, length, device),
            ranks: prompts.iter().map(|(_, ranks)| ranks.to_vec()).collect(),
        }
    }

    /// How many rows a prompt's answers take, and the tokens of the longest.
    pub fn shape_of(answers: &[Example]) -> [usize; 2] {
        let rows = AnswerRow::all_of(answers);
        [rows.len(), rows.iter().map(AnswerRow::tokens).max().unwrap_or(0)]
    }
}

/// A row of up to so many tokens is always shared.
const SHORT_ROW: usize = 1024;

/// One row of a [`RewardBatch`].
struct AnswerRow<'a> {
    answers: &'a [Example],
    branches: Branches,
}

impl<'a> AnswerRow<'a> {
    fn new(answers: &'a [Example]) -> Self {
        Self { answers, branches: branches(answers) }
    }

    /// The rows of a prompt's answers: one, unless attention over all of them at once would cost far more than over each,
    /// as it does on devices that make the whole matrix of scores.
    fn all_of(answers: &'a [Example]) -> Vec<Self> {
        let shared = Self::new(answers);
        let area = |tokens: usize| tokens * tokens;
        let apart: usize = answers.iter().map(|answer| area(answer.ids.len())).sum();
        if shared.tokens() <= SHORT_ROW || area(shared.tokens()) <= 2 * apart {
            return vec![shared];
        }
        answers.chunks(1).map(Self::new).collect()
    }

    fn tokens(&self) -> usize {
        self.branches.tokens()
    }

    fn ids(&self) -> impl Iterator<Item = u32> {
        let shared = self.branches.shared;
        let first = self.answers.first().map_or(&[][..], |answer| &answer.ids[..shared]);
        first.iter().chain(self.answers.iter().flat_map(move |answer| &answer.ids[shared..])).copied()
    }
}

/// What the answers to a prompt share, and how long each goes on: at least a token of its own, where it is scored.
fn branches(answers: &[Example]) -> Branches {
    let Some((first, others)) = answers.split_first() else { return Branches { shared: 0, lengths: vec![] } };
    let shortest = answers.iter().map(|answer| answer.ids.len()).min().unwrap_or(0);
    let alike = |other: &Example| first.ids.iter().zip(&other.ids).take_while(|(one, other)| one == other).count();
    let shared = others.iter().map(alike).fold(shortest.saturating_sub(1), usize::min);
    Branches { shared, lengths: answers.iter().map(|answer| answer.ids.len() - shared).collect() }
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
