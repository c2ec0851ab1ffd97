//! Hidden states and logits at the tokens that are asked about, and nowhere else: with a large vocabulary the logits of
//! whole prompts would cost more than the model.

use burn::tensor::{Int, Tensor, TensorData};

use crate::{
    data::padded_right,
    model::{Decoder, Layout},
};

/// Positions whose logits are computed at a time: 49,152 logits each are 50 MB.
const CHUNK: usize = 256;

/// A text in tokens, and where the part begins that is asked about (1 or later: the first token follows nothing).
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub ids: &'a [u32],
    pub from: usize,
}

impl Row<'_> {
    /// The tokens that are asked about.
    pub fn asked(&self) -> &[u32] {
        &self.ids[self.from..]
    }
}

/// The hidden state before each token that is asked about, of all rows, one after the other: `[1, tokens, hidden]`.
pub(super) fn hidden_before(decoder: &Decoder, rows: &[Row]) -> Tensor<3> {
    let device = decoder.token_embedding.device();
    // What stands under padding on the right does not matter: nothing real looks at it.
    let (input, _) = padded_right(&rows.iter().map(|row| row.ids).collect::<Vec<_>>(), 0, &device);
    let [batch, sequence] = input.dims();
    let wanted: Vec<i32> = rows
        .iter()
        .enumerate()
        .flat_map(|(row, text)| (text.from..text.ids.len()).map(move |at| (row * sequence + at - 1) as i32))
        .collect();
    let count = wanted.len();
    let wanted = Tensor::<1, Int>::from_data(TensorData::new(wanted, [count]), &device);
    decoder.hidden_states_at(input, &Layout::causal(batch, sequence, &device), None, &wanted)
}

/// `[1, tokens, hidden]` in pieces of few enough tokens for their logits, with the place of each piece.
pub(super) fn pieces(hidden: &Tensor<3>) -> impl Iterator<Item = (usize, Tensor<3>)> + '_ {
    let [_, tokens, size] = hidden.dims();
    (0..tokens).step_by(CHUNK).map(move |start| {
        let end = (start + CHUNK).min(tokens);
        (start, hidden.clone().slice([0..1, start..end, 0..size]))
    })
}
