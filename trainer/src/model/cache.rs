//! Keys and values of the tokens already seen, so that a new token costs one token's work.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{config::DecoderConfig, precision::Precision};

mod join;

/// Room is added in blocks of this many tokens.
const BLOCK: usize = 256;

/// Keys and values of every layer, `[batch, key_value_heads, capacity, head_size]` each, filled from the left.
///
/// The buffers are written in place: a step copies one token's keys and values, never the cache.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<Option<Entry>>,
    heads: usize,
    head_size: usize,
    batch: usize,
    capacity: usize,
    length: usize,
    pads: Vec<usize>,
    device: Device,
}

#[derive(Debug)]
struct Entry {
    keys: Tensor<4>,
    values: Tensor<4>,
}

impl KvCache {
    /// An empty cache for `batch` rows with room for `capacity` tokens each; it grows by blocks when they are more. Keys and
    /// values are kept in `precision`.
    pub fn new(config: &DecoderConfig, batch: usize, capacity: usize, precision: Precision, device: &Device) -> Self {
        let room = || {
            let shape = [batch, config.key_value_heads, capacity, config.head_size];
            Tensor::zeros(shape, (device, precision.dtype().into()))
        };
        let entry = || Some(Entry { keys: room(), values: room() });
        Self {
            layers: (0..config.layers).map(|_| entry()).collect(),
            heads: config.key_value_heads,
            head_size: config.head_size,
            batch,
            capacity,
            length: 0,
            pads: vec![],
            device: device.clone(),
        }
    }

    /// Bytes that a row takes which has grown to so many tokens. Every row of a batch takes what the longest does.
    pub fn row_bytes(config: &DecoderConfig, tokens: usize, precision: Precision) -> u64 {
        let of_token = 2 * config.layers * config.key_value_heads * config.head_size * precision.size();
        of_token as u64 * tokens.next_multiple_of(BLOCK) as u64
    }

    /// Tokens already seen, padding included.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Rows of the batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Padding on the left of each row; empty when there is none.
    pub fn pads(&self) -> &[usize] {
        &self.pads
    }

    /// The device that the buffers are on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Keeps only these rows, in this order (a row may come twice): drops finished rows, or repeats a prompt.
    pub fn select(&mut self, rows: &[usize]) {
        let indices: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [rows.len()]), &self.device);
        for entry in self.layers.iter_mut().flatten() {
            entry.keys = entry.keys.clone().select(0, indices.clone());
            entry.values = entry.values.clone().select(0, indices.clone());
        }
        if !self.pads.is_empty() {
            self.pads = rows.iter().map(|&row| self.pads[row]).collect();
        }
        self.batch = rows.len();
    }

    /// Makes room for `sequence` more tokens, and takes over the padding of the prompt.
    pub(super) fn begin(&mut self, sequence: usize, pads: &[usize]) {
        if self.length == 0 {
            self.pads = pads.to_vec();
        }
        let needed = self.length + sequence;
        if needed > self.capacity {
            self.grow(needed.div_ceil(BLOCK) * BLOCK);
        }
    }

    /// Stores the new tokens' keys and values `[batch, heads, sequence, head_size]` of one layer and returns all of the
    /// layer's, old and new: `[batch, heads, length + sequence, head_size]`.
    pub(super) fn append(&mut self, layer: usize, keys: Tensor<4>, values: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let sequence = keys.dims()[2];
        let (batch, heads, size) = (self.batch, self.heads, self.head_size);
        let end = self.length + sequence;
        let written = [0..batch, 0..heads, self.length..end, 0..size];
        let seen = [0..batch, 0..heads, 0..end, 0..size];
        // The entry is taken out while it is written, so that its buffers have one owner and are changed in place.
        let entry = match self.layers[layer].take() {
            Some(entry) => Entry {
                keys: entry.keys.slice_assign(written.clone(), keys),
                values: entry.values.slice_assign(written, values),
            },
            None => Entry { keys, values },
        };
        let views = (entry.keys.clone().slice(seen.clone()), entry.values.clone().slice(seen));
        self.layers[layer] = Some(entry);
        views
    }

    /// Counts the tokens that every layer has stored.
    pub(super) fn advance(&mut self, sequence: usize) {
        self.length += sequence;
    }

    fn grow(&mut self, capacity: usize) {
        let (batch, heads, size, length) = (self.batch, self.heads, self.head_size, self.length);
        let filled = [0..batch, 0..heads, 0..length, 0..size];
        let device = self.device.clone();
        let wider = |tensor: Tensor<4>| {
            let room = Tensor::zeros([batch, heads, capacity, size], (&device, tensor.dtype()));
            if length == 0 {
                return room;
            }
            room.slice_assign(filled.clone(), tensor.slice(filled.clone()))
        };
        for entry in self.layers.iter_mut().flatten() {
            entry.keys = wider(entry.keys.clone());
            entry.values = wider(entry.values.clone());
        }
        self.capacity = capacity;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_takes_what_is_reckoned_for_it() {
        let config = DecoderConfig::preset("llama-tiny").unwrap();
        for precision in Precision::ALL {
            let mut cache = KvCache::new(&config, 3, 5, precision, &Device::flex());
            cache.begin(BLOCK + 1, &[]);
            let bytes = |tensor: &Tensor<4>| tensor.dims().iter().product::<usize>() * tensor.dtype().size();
            let held: usize =
                cache.layers.iter().flatten().map(|entry| bytes(&entry.keys) + bytes(&entry.values)).sum();
            assert_eq!(3 * KvCache::row_bytes(&config, BLOCK + 1, precision), held as u64, "{precision:?}");
        }
    }
}
