//! Rows that come into a cache and leave it while others are being written: what continuous batching needs.
//!
//! Rows are aligned at their newest token, so what differs between them is the padding on their left.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};

use super::{BLOCK, Entry, KvCache};

impl KvCache {
    /// Takes the rows of `other` in, behind those that are here already. The shorter of the two is moved to the right.
    pub fn join(&mut self, other: Self) {
        if self.batch == 0 || other.batch == 0 {
            if self.batch == 0 {
                *self = other;
            }
            return;
        }
        let length = self.length.max(other.length);
        let (ours, theirs) = (length - self.length, length - other.length);
        let batch = self.batch + other.batch;
        // A step follows, which needs room for one more token.
        let capacity = (length + 1).div_ceil(BLOCK) * BLOCK;
        let pads = [self.padding(ours), other.padding(theirs)].concat();
        let rows = [0..self.batch, self.batch..batch];
        let places = [ours..length, theirs..length];
        let lengths = [self.length, other.length];
        let merged = |left: Tensor<4>, right: Tensor<4>| {
            let [_, heads, _, size] = left.dims();
            let room = Tensor::zeros([batch, heads, capacity, size], (&left.device(), left.dtype()));
            [left, right].into_iter().enumerate().fold(room, |room, (side, tensor)| {
                let filled = [0..tensor.dims()[0], 0..heads, 0..lengths[side], 0..size];
                room.slice_assign([rows[side].clone(), 0..heads, places[side].clone(), 0..size], tensor.slice(filled))
            })
        };
        for (mine, other) in self.layers.iter_mut().zip(other.layers) {
            if let (Some(left), Some(right)) = (mine.take(), other) {
                *mine = Some(Entry { keys: merged(left.keys, right.keys), values: merged(left.values, right.values) });
            }
        }
        (self.batch, self.length, self.capacity) = (batch, length, capacity);
        self.set_padding(pads);
    }

    /// Keeps only these rows, in this order, and drops the padding that all of them have on their left: the cache is as long
    /// as its longest row, however many came and went.
    pub fn keep(&mut self, rows: &[usize]) {
        let padding = self.padding(0);
        let shift = rows.iter().map(|&row| padding[row]).min().unwrap_or(0);
        if shift == 0 {
            return self.select(rows);
        }
        let length = self.length - shift;
        let capacity = (length + 1).div_ceil(BLOCK) * BLOCK;
        let indices: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [rows.len()]), &self.device);
        let kept = |tensor: Tensor<4>| {
            let [batch, heads, _, size] = tensor.dims();
            let seen: [Range<usize>; 4] = [0..batch, 0..heads, shift..self.length, 0..size];
            let room = Tensor::zeros([rows.len(), heads, capacity, size], (&self.device, tensor.dtype()));
            room.slice_assign(
                [0..rows.len(), 0..heads, 0..length, 0..size],
                tensor.slice(seen).select(0, indices.clone()),
            )
        };
        for entry in &mut self.layers {
            *entry = entry.take().map(|entry| Entry { keys: kept(entry.keys), values: kept(entry.values) });
        }
        (self.batch, self.length, self.capacity) = (rows.len(), length, capacity);
        self.set_padding(rows.iter().map(|&row| padding[row] - shift).collect());
    }

    /// Padding of every row, with `more` before it.
    fn padding(&self, more: usize) -> Vec<usize> {
        (0..self.batch).map(|row| self.pads.get(row).copied().unwrap_or(0) + more).collect()
    }

    fn set_padding(&mut self, pads: Vec<usize>) {
        // No padding at all is written as none: steps then need no mask.
        self.pads = if pads.iter().all(|&pad| pad == 0) { vec![] } else { pads };
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Int, Tensor, TensorData};

    use crate::model::{Decoder, DecoderConfig, KvCache, Layout};

    const VOCABULARY: usize = 61;

    fn decoder(preset: &str) -> Decoder {
        let config = DecoderConfig::preset(preset).unwrap().with_vocabulary(VOCABULARY, None, vec![], None);
        let mut decoder = Decoder::init_with_seed(&DecoderConfig { layers: 2, ..config }, 3, &Device::flex());
        decoder.for_each_linear(&mut |_, linear| linear.weight = linear.weight.clone().map(|weight| weight * 5.0));
        decoder
    }

    fn ids(values: &[u32]) -> Tensor<2, Int> {
        let values: Vec<i32> = values.iter().map(|&id| id as i32).collect();
        let length = values.len();
        Tensor::from_data(TensorData::new(values, [1, length]), &Device::flex())
    }

    /// The cache of one prompt, with nothing to spare.
    fn read(decoder: &Decoder, prompt: &[u32]) -> KvCache {
        let mut cache = decoder.new_cache(1, prompt.len());
        decoder.hidden_states(ids(prompt), &Layout::causal(1, prompt.len(), &Device::flex()), Some(&mut cache));
        cache
    }

    /// Logits after one more token for every row.
    fn step(decoder: &Decoder, cache: &mut KvCache, tokens: &[u32]) -> Vec<Vec<f32>> {
        let layout = Layout::step(cache);
        let input = ids(tokens).reshape([tokens.len(), 1]);
        let logits = decoder.logits(decoder.hidden_states(input, &layout, Some(cache)));
        let values: Vec<f32> = logits.into_data_as::<f32>().try_to_vec().unwrap();
        values.chunks(VOCABULARY).map(<[f32]>::to_vec).collect()
    }

    /// Logits after the last of `tokens`, by a forward pass over all of them.
    fn whole(decoder: &Decoder, tokens: &[u32]) -> Vec<f32> {
        let layout = Layout::causal(1, tokens.len(), &Device::flex());
        let hidden = decoder.hidden_states(ids(tokens), &layout, None).narrow(1, tokens.len() - 1, 1);
        decoder.logits(hidden).into_data_as::<f32>().try_to_vec().unwrap()
    }

    #[track_caller]
    fn assert_close(found: &[f32], expected: &[f32]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
        }
    }

    #[test]
    fn rows_that_came_at_different_times_see_their_own_past_and_nothing_else() {
        for preset in ["gpt2-tiny", "llama-tiny", "qwen2-tiny"] {
            let decoder = decoder(preset);
            // A short row runs; a longer one joins, then a shorter one; the longest leaves.
            let mut texts: Vec<Vec<u32>> = vec![vec![5, 9, 2], vec![7, 7, 1, 30, 22, 41, 8], vec![50]];
            let mut cache = read(&decoder, &texts[0]);
            let mut rows = vec![0];
            let mut advance = |cache: &mut KvCache, rows: &[usize], token: u32| {
                let tokens: Vec<u32> = rows.iter().map(|&row| token + row as u32).collect();
                let logits = step(&decoder, cache, &tokens);
                for ((&row, token), logits) in rows.iter().zip(tokens).zip(&logits) {
                    texts[row].push(token);
                    assert_close(logits, &whole(&decoder, &texts[row]));
                }
            };
            advance(&mut cache, &rows, 11);
            for newcomer in [1, 2] {
                let prompt: Vec<u32> = [vec![], vec![7, 7, 1, 30, 22, 41, 8], vec![50]][newcomer].clone();
                cache.join(read(&decoder, &prompt));
                rows.push(newcomer);
                advance(&mut cache, &rows, 20);
                advance(&mut cache, &rows, 33);
            }
            cache.keep(&[2, 0]);
            rows = vec![2, 0];
            assert_eq!(cache.length(), 8, "as long as the row that is longest now");
            advance(&mut cache, &rows, 40);
            cache.keep(&[0]);
            assert_eq!((cache.length(), cache.pads().len()), (4, 0));
            advance(&mut cache, &[2], 4);
        }
    }
}
