//! The storage types of GGUF: how many bytes a block takes, and which numbers it stands for.
//!
//! Layouts are those of ggml's `ggml-quants.c`; a block holds a fixed count of weights that share their scales.

use half::{bf16, f16};

/// A supported storage type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    F32,
    F16,
    BF16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
}

impl Storage {
    /// From the number that the file gives (`ggml_type`).
    pub(super) fn from_number(kind: u32) -> Option<Self> {
        Some(match kind {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            30 => Self::BF16,
            _ => return None,
        })
    }

    /// (weights, bytes) of one block.
    fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q8_0 => (32, 34),
            Self::Q4K => (256, 144),
            Self::Q5K => (256, 176),
            Self::Q6K => (256, 210),
        }
    }

    /// The bytes that `count` weights take; `None` when they do not fill their blocks, or are more than there can be.
    pub(super) fn bytes_for(self, count: usize) -> Option<usize> {
        let (weights, bytes) = self.block();
        if count.is_multiple_of(weights) { (count / weights).checked_mul(bytes) } else { None }
    }

    /// The weights of whole blocks.
    pub(super) fn dequantise(self, bytes: &[u8]) -> Vec<f32> {
        let (weights, size) = self.block();
        let mut out = Vec::with_capacity(bytes.len() / size * weights);
        let decode: fn(&[u8], &mut Vec<f32>) = match self {
            Self::F32 => |b, out| out.push(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            Self::F16 => |b, out| out.push(half_at(b, 0)),
            Self::BF16 => |b, out| out.push(bf16::from_le_bytes([b[0], b[1]]).to_f32()),
            Self::Q4_0 => q4_0,
            Self::Q4_1 => q4_1,
            Self::Q5_0 => q5_0,
            Self::Q5_1 => q5_1,
            Self::Q8_0 => q8_0,
            Self::Q4K => q4_k,
            Self::Q5K => q5_k,
            Self::Q6K => q6_k,
        };
        bytes.chunks_exact(size).for_each(|block| decode(block, &mut out));
        out
    }
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Low halves of 16 bytes, then their high halves.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = u8> {
    bytes.iter().map(|byte| byte & 15).chain(bytes.iter().map(|byte| byte >> 4))
}

fn q4_0(block: &[u8], out: &mut Vec<f32>) {
    let scale = half_at(block, 0);
    out.extend(nibbles(&block[2..]).map(|q| (q as f32 - 8.0) * scale));
}

fn q4_1(block: &[u8], out: &mut Vec<f32>) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    out.extend(nibbles(&block[4..]).map(|q| q as f32 * scale + least));
}

/// The fifth bits of 32 weights lie together in four bytes.
fn five_bits(high: &[u8], low: &[u8]) -> impl Iterator<Item = u8> {
    let high = u32::from_le_bytes([high[0], high[1], high[2], high[3]]);
    nibbles(low).enumerate().map(move |(i, q)| q | (((high >> i) & 1) as u8) << 4)
}

fn q5_0(block: &[u8], out: &mut Vec<f32>) {
    let scale = half_at(block, 0);
    out.extend(five_bits(&block[2..6], &block[6..]).map(|q| (q as f32 - 16.0) * scale));
}

fn q5_1(block: &[u8], out: &mut Vec<f32>) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    out.extend(five_bits(&block[4..8], &block[8..]).map(|q| q as f32 * scale + least));
}

fn q8_0(block: &[u8], out: &mut Vec<f32>) {
    let scale = half_at(block, 0);
    out.extend(block[2..].iter().map(|&q| (q as i8) as f32 * scale));
}

/// Scale and minimum (six bits each) of the eight sub-blocks of a Q4_K or Q5_K block.
fn scale_and_minimum(packed: &[u8], index: usize) -> (f32, f32) {
    let (scale, minimum) = if index < 4 {
        (packed[index] & 63, packed[index + 4] & 63)
    } else {
        ((packed[index + 4] & 15) | (packed[index - 4] >> 6) << 4, (packed[index + 4] >> 4) | (packed[index] >> 6) << 4)
    };
    (scale as f32, minimum as f32)
}

fn q4_k(block: &[u8], out: &mut Vec<f32>) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    let (packed, quants) = (&block[4..16], &block[16..]);
    for (pair, quants) in quants.chunks_exact(32).enumerate() {
        for (part, shift) in [0, 4].into_iter().enumerate() {
            let (s, m) = scale_and_minimum(packed, 2 * pair + part);
            let (s, m) = (scale * s, least * m);
            out.extend(quants.iter().map(|q| s * (q >> shift & 15) as f32 - m));
        }
    }
}

fn q5_k(block: &[u8], out: &mut Vec<f32>) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    let (packed, high, quants) = (&block[4..16], &block[16..48], &block[48..]);
    for (pair, quants) in quants.chunks_exact(32).enumerate() {
        for (part, shift) in [0, 4].into_iter().enumerate() {
            let index = 2 * pair + part;
            let (s, m) = scale_and_minimum(packed, index);
            let (s, m) = (scale * s, least * m);
            let weights = quants.iter().zip(high).map(|(q, h)| (q >> shift & 15) | (h >> index & 1) << 4);
            out.extend(weights.map(|q| s * q as f32 - m));
        }
    }
}

fn q6_k(block: &[u8], out: &mut Vec<f32>) {
    let scale = half_at(block, 208);
    for half in 0..2 {
        let low = &block[64 * half..64 * half + 64];
        let high = &block[128 + 32 * half..128 + 32 * half + 32];
        let scales = &block[192 + 8 * half..192 + 8 * half + 8];
        for quarter in 0..4 {
            let (offset, shift) = (32 * (quarter % 2), 4 * (quarter / 2));
            for i in 0..32 {
                let q = (low[offset + i] >> shift & 15) | (high[i] >> (2 * quarter) & 3) << 4;
                let sub = scales[2 * quarter + i / 16] as i8;
                out.push(scale * sub as f32 * (q as f32 - 32.0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of random bytes and what llama.cpp's own Python package (`gguf.quants`) reads from them: written by
    /// scripts/gguf_reference.py.
    #[test]
    fn every_storage_type_gives_what_llama_cpp_reads() {
        let text = include_str!("../../../tests/gguf_files/blocks.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        assert_eq!(cases.len(), 11, "every storage type has a case");
        for case in cases {
            let kind = case["type"].as_u64().unwrap() as u32;
            let bytes: Vec<u8> = serde_json::from_value(case["bytes"].clone()).unwrap();
            let expected: Vec<f32> = serde_json::from_value(case["values"].clone()).unwrap();
            let storage = Storage::from_number(kind).unwrap();
            assert_eq!(storage.bytes_for(expected.len()), Some(bytes.len()), "{storage:?}");
            let found = storage.dequantise(&bytes);
            assert_eq!(found.len(), expected.len(), "{storage:?}");
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let tolerance = 1e-6 * expected.abs().max(1.0);
                assert!((found - expected).abs() <= tolerance, "{storage:?} weight {i}: {found} and not {expected}");
            }
        }
    }
}
