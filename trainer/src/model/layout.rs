//! Where each token stands and what it may look at: positions and attention mask of one forward pass.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::cache::KvCache;

/// What is added to the score of a key that must not be seen. Finite, so that a row with nothing to see (padding) gives
/// a meaningless but finite result instead of NaN.
const HIDDEN: f32 = -1e30;

/// Positions and attention mask of a batch of token ids.
#[derive(Debug, Clone)]
pub struct Layout {
    /// `[batch or 1, sequence]`
    positions: Tensor<2, Int>,
    /// Added to the attention scores: `[batch or 1, 1, sequence, keys]`; `None` where every key is visible.
    bias: Option<Tensor<4>>,
    /// How many tokens on the left of each row are padding (empty: none).
    pads: Vec<usize>,
}

impl Layout {
    /// Rows that start at their first token. Padding on the right needs no mask of its own: nothing real looks at it.
    pub fn causal(_batch: usize, sequence: usize, device: &Device) -> Self {
        Self {
            positions: Tensor::<1, Int>::arange(0..sequence as i64, device).unsqueeze(),
            bias: (sequence > 1).then(|| causal_bias(sequence, sequence, device)),
            pads: vec![],
        }
    }

    /// Rows of equal length whose first `pads[row]` tokens are padding; positions count from the first real token.
    pub fn left_padded(pads: &[usize], sequence: usize, device: &Device) -> Self {
        if pads.iter().all(|&pad| pad == 0) {
            return Self::causal(pads.len(), sequence, device);
        }
        Self::padded_after(pads, 0, sequence, device)
    }

    /// One more token for every row of the cache.
    pub fn step(cache: &KvCache) -> Self {
        Self::following(cache, 1)
    }

    /// `sequence` more tokens for every row of the cache.
    pub fn following(cache: &KvCache, sequence: usize) -> Self {
        let (before, device) = (cache.length(), cache.device());
        if cache.pads().iter().any(|&pad| pad > 0) {
            return Self::padded_after(cache.pads(), before, sequence, device);
        }
        let (start, end) = (before as i64, (before + sequence) as i64);
        Self {
            positions: Tensor::<1, Int>::arange(start..end, device).unsqueeze(),
            bias: (sequence > 1).then(|| causal_bias(sequence, before + sequence, device)),
            pads: vec![],
        }
    }

    /// Several texts in one row: a token sees its own segment only, and positions start again with each segment.
    /// `segments[row][token]` is the number of the text that the token belongs to; rows are of equal length.
    pub fn packed(segments: &[Vec<usize>], device: &Device) -> Self {
        let (batch, sequence) = (segments.len(), segments.first().map_or(0, Vec::len));
        let mut positions = Vec::with_capacity(batch * sequence);
        let mut bias = vec![HIDDEN; batch * sequence * sequence];
        for (row, segment) in segments.iter().enumerate() {
            let mut start = 0;
            for query in 0..sequence {
                if query > 0 && segment[query] != segment[query - 1] {
                    start = query;
                }
                positions.push((query - start) as i32);
                let line = (row * sequence + query) * sequence;
                bias[line + start..=line + query].fill(0.0);
            }
        }
        Self {
            positions: int_tensor(positions, [batch, sequence], device),
            bias: Some(Tensor::from_data(TensorData::new(bias, [batch, 1, sequence, sequence]), device)),
            pads: vec![],
        }
    }

    fn padded_after(pads: &[usize], before: usize, sequence: usize, device: &Device) -> Self {
        let (batch, keys) = (pads.len(), before + sequence);
        let mut positions = Vec::with_capacity(batch * sequence);
        let mut bias = vec![HIDDEN; batch * sequence * keys];
        for (row, &pad) in pads.iter().enumerate() {
            for query in 0..sequence {
                let absolute = before + query;
                positions.push(absolute.saturating_sub(pad) as i32);
                let line = (row * sequence + query) * keys;
                if pad <= absolute {
                    bias[line + pad..=line + absolute].fill(0.0);
                }
            }
        }
        Self {
            positions: int_tensor(positions, [batch, sequence], device),
            bias: Some(Tensor::from_data(TensorData::new(bias, [batch, 1, sequence, keys]), device)),
            pads: pads.to_vec(),
        }
    }

    /// `[batch or 1, sequence]`
    pub fn positions(&self) -> Tensor<2, Int> {
        self.positions.clone()
    }

    /// What is added to the attention scores, `[batch or 1, 1, sequence, keys]`.
    pub fn bias(&self) -> Option<&Tensor<4>> {
        self.bias.as_ref()
    }

    /// Padding on the left of each row; empty when there is none.
    pub fn pads(&self) -> &[usize] {
        &self.pads
    }
}

/// The last `queries` of `keys` tokens, each seeing itself and what came before: `[1, 1, queries, keys]`.
fn causal_bias(queries: usize, keys: usize, device: &Device) -> Tensor<4> {
    let hidden = Tensor::<2, Bool>::tril_mask([queries, keys], (keys - queries) as i64, device);
    Tensor::<2>::zeros([queries, keys], device).mask_fill(hidden, HIDDEN).reshape([1, 1, queries, keys])
}

fn int_tensor(values: Vec<i32>, shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
