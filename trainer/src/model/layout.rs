//! Where each token stands and what it may look at: positions and attention mask of one forward pass.

use std::sync::OnceLock;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

use super::cache::KvCache;

/// What is added to the score of a key that must not be seen. Finite, so that a row with nothing to see (padding) gives
/// a meaningless but finite result instead of NaN.
const HIDDEN: f32 = -1e30;

/// A text from which others branch off, all in one row: first what they share, then each branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branches {
    /// Tokens that all branches begin with.
    pub shared: usize,
    /// Tokens of each branch beyond those; at least one.
    pub lengths: Vec<usize>,
}

impl Branches {
    /// Tokens of the row.
    pub fn tokens(&self) -> usize {
        self.shared + self.lengths.iter().sum::<usize>()
    }

    /// The place of each branch's last token in the row.
    pub fn ends(&self) -> impl Iterator<Item = usize> {
        self.lengths.iter().scan(self.shared, |end, length| {
            *end += length;
            Some(*end - 1)
        })
    }
}

/// Positions and attention mask of a batch of token ids: every token sees itself and what came before, from a first key on,
/// and what its row shares.
#[derive(Debug, Clone)]
pub struct Layout {
    /// `[batch or 1, sequence]`
    positions: Tensor<2, Int>,
    /// The first key that each token sees, `[batch, sequence]`; empty: all see from the first key on.
    starts: Vec<u32>,
    /// Tokens at the beginning of each row that its branches see, `[batch]`; empty: nothing branches.
    shared: Vec<u32>,
    sequence: usize,
    /// Tokens in the cache before the first.
    before: usize,
    /// The mask as numbers, made when somebody asks for it.
    bias: OnceLock<Option<Tensor<4>>>,
    /// The same within a window, with the window that it was made for: all layers of a model that slide have one.
    narrow_bias: OnceLock<(usize, Tensor<4>)>,
    /// How many tokens on the left of each row are padding (empty: none).
    pads: Vec<usize>,
    device: Device,
}

impl Layout {
    /// Rows that start at their first token. Padding on the right needs no mask of its own: nothing real looks at it.
    pub fn causal(_batch: usize, sequence: usize, device: &Device) -> Self {
        Self::unpadded(0, sequence, device)
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
        Self::unpadded(before, sequence, device)
    }

    /// Several texts in one row: a token sees its own segment only, and positions start again with each segment.
    /// `segments[row][token]` is the number of the text that the token belongs to; rows are of equal length.
    pub fn packed(segments: &[Vec<usize>], device: &Device) -> Self {
        let (batch, sequence) = (segments.len(), segments.first().map_or(0, Vec::len));
        let mut positions = Vec::with_capacity(batch * sequence);
        let mut starts = Vec::with_capacity(batch * sequence);
        for segment in segments {
            let mut start = 0;
            for query in 0..sequence {
                if query > 0 && segment[query] != segment[query - 1] {
                    start = query;
                }
                positions.push((query - start) as i32);
                starts.push(start as u32);
            }
        }
        let positions = int_tensor(positions, [batch, sequence], device);
        Self { starts, ..Self::new(positions, 0, sequence, device) }
    }

    /// A text with branches in every row: a branch sees what is shared and itself, at the positions that it would have in a
    /// row of its own. Rows are padded on the right to `sequence` tokens.
    pub fn branching(rows: &[Branches], sequence: usize, device: &Device) -> Self {
        let mut positions = Vec::with_capacity(rows.len() * sequence);
        let mut starts = Vec::with_capacity(rows.len() * sequence);
        for row in rows {
            let end = positions.len() + sequence;
            positions.extend((0..row.shared).map(|at| at as i32));
            starts.resize(starts.len() + row.shared, 0);
            let mut start = row.shared;
            for &length in &row.lengths {
                positions.extend((row.shared..row.shared + length).map(|at| at as i32));
                starts.resize(starts.len() + length, start as u32);
                start += length;
            }
            positions.resize(end, 0);
            starts.resize(end, start as u32);
        }
        let positions = int_tensor(positions, [rows.len(), sequence], device);
        let shared = rows.iter().map(|row| row.shared as u32).collect();
        Self { starts, shared, ..Self::new(positions, 0, sequence, device) }
    }

    fn unpadded(before: usize, sequence: usize, device: &Device) -> Self {
        let (start, end) = (before as i64, (before + sequence) as i64);
        Self::new(Tensor::<1, Int>::arange(start..end, device).unsqueeze(), before, sequence, device)
    }

    fn padded_after(pads: &[usize], before: usize, sequence: usize, device: &Device) -> Self {
        let batch = pads.len();
        let mut positions = Vec::with_capacity(batch * sequence);
        let mut starts = Vec::with_capacity(batch * sequence);
        for &pad in pads {
            for query in 0..sequence {
                positions.push((before + query).saturating_sub(pad) as i32);
                starts.push(pad as u32);
            }
        }
        let positions = int_tensor(positions, [batch, sequence], device);
        Self { starts, pads: pads.to_vec(), ..Self::new(positions, before, sequence, device) }
    }

    fn new(positions: Tensor<2, Int>, before: usize, sequence: usize, device: &Device) -> Self {
        let (starts, shared, pads) = (vec![], vec![], vec![]);
        let (bias, narrow_bias) = (OnceLock::new(), OnceLock::new());
        Self { positions, starts, shared, sequence, before, bias, narrow_bias, pads, device: device.clone() }
    }

    /// The first key that each token sees, `[batch, sequence]`; the last is the token itself. A token of padding may stand
    /// before its first key: it sees nothing.
    fn starts(&self, batch: usize) -> Vec<u32> {
        if self.starts.is_empty() { vec![0; batch * self.sequence] } else { self.starts.clone() }
    }

    /// The same where each token sees `window` keys at most, itself among them. `None` where a branch would see the end of what
    /// its row shares, which no first key can say.
    pub(super) fn starts_within(&self, window: Option<usize>, batch: usize) -> Option<Vec<u32>> {
        let mut starts = self.starts(batch);
        if let Some(window) = self.narrower(window) {
            if !self.shared.is_empty() {
                return None;
            }
            for (line, start) in starts.iter_mut().enumerate() {
                let end = self.before + line % self.sequence + 1;
                *start = (*start).max(end.saturating_sub(window) as u32);
            }
        }
        Some(starts)
    }

    /// A window that hides something from somebody.
    fn narrower(&self, window: Option<usize>) -> Option<usize> {
        window.filter(|&window| window < self.before + self.sequence)
    }

    /// Tokens at the beginning of each row that every token sees whose first key lies beyond, `[batch]`; empty: none.
    pub(super) fn shared(&self) -> &[u32] {
        &self.shared
    }

    /// `[batch or 1, sequence]`
    pub fn positions(&self) -> Tensor<2, Int> {
        self.positions.clone()
    }

    /// What is added to the attention scores, `[batch or 1, 1, sequence, keys]`; `None` where every key is visible.
    fn bias(&self) -> Option<&Tensor<4>> {
        self.bias.get_or_init(|| self.make_bias()).as_ref()
    }

    /// As [`Self::bias`] where each token sees `window` keys at most, itself among them.
    pub(super) fn bias_within(&self, window: Option<usize>) -> Option<Tensor<4>> {
        let Some(window) = self.narrower(window) else { return self.bias().cloned() };
        let (made_for, bias) = self.narrow_bias.get_or_init(|| (window, self.bias_of(window)));
        Some(if *made_for == window { bias.clone() } else { self.bias_of(window) })
    }

    fn make_bias(&self) -> Option<Tensor<4>> {
        let (sequence, keys) = (self.sequence, self.before + self.sequence);
        if self.starts.is_empty() {
            return (sequence > 1).then(|| causal_bias(sequence, keys, &self.device));
        }
        Some(self.bias_of(usize::MAX))
    }

    fn bias_of(&self, window: usize) -> Tensor<4> {
        let (sequence, keys) = (self.sequence, self.before + self.sequence);
        let starts = self.starts(1);
        let batch = starts.len() / sequence;
        let mut bias = vec![HIDDEN; batch * sequence * keys];
        for ((line, &start), bias) in starts.iter().enumerate().zip(bias.chunks_exact_mut(keys)) {
            let (start, end) = (start as usize, self.before + line % sequence + 1);
            let own = start.max(end.saturating_sub(window));
            if own < end {
                bias[own..end].fill(0.0);
            }
            // A branch goes on where what it shares ends, wherever in the row it begins.
            let shared = self.shared.get(line / sequence).map_or(0, |&shared| shared as usize).min(start);
            let first = (shared + end).saturating_sub(start.saturating_add(window));
            if first < shared {
                bias[first..shared].fill(0.0);
            }
        }
        Tensor::from_data(TensorData::new(bias, [batch, 1, sequence, keys]), &self.device)
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
