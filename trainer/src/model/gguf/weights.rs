//! Tensors of a GGUF file under their Hugging Face names, dequantised, with llama.cpp's changes undone.

use super::{
    super::{
        config::{Architecture, DecoderConfig},
        error::ModelError,
        linear::transpose,
        weights::WeightSource,
    },
    blocks::Storage,
    container::GgufFile,
};
use crate::transfer::Transfer;

/// A GGUF file as a source of weights.
pub struct GgufWeights<'a> {
    file: &'a GgufFile,
    config: &'a DecoderConfig,
    transfer: Transfer,
}

impl GgufFile {
    /// The file's tensors under the names that a decoder of `config` asks for.
    pub fn weights<'a>(&'a self, config: &'a DecoderConfig) -> GgufWeights<'a> {
        GgufWeights { file: self, config, transfer: Transfer::reading(self.path(), self.data_len() as u64) }
    }

    /// The values of a tensor by its GGUF name, row-major.
    pub(super) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let (storage, bytes) = self.stored(name, shape)?;
        Ok(storage.dequantise(bytes))
    }

    /// A tensor as it lies in the file.
    fn stored(&self, name: &str, shape: &[usize]) -> Result<(Storage, &[u8]), ModelError> {
        let Some(tensor) = self.tensor(name) else {
            return Err(ModelError::Missing { tensor: name.into(), expected: shape.to_vec() });
        };
        if tensor.shape != shape {
            return Err(ModelError::Shape {
                tensor: name.into(),
                expected: shape.to_vec(),
                found: tensor.shape.clone(),
            });
        }
        let Some(storage) = Storage::from_number(tensor.kind) else {
            return Err(ModelError::Format { tensor: name.into(), format: format!("GGUF type {}", tensor.kind) });
        };
        let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
        let length = count.and_then(|count| storage.bytes_for(count));
        let bytes = length.and_then(|length| self.bytes(tensor, length));
        let bytes =
            bytes.ok_or_else(|| ModelError::malformed(self.path(), format!("ends before tensor {name} does")))?;
        Ok((storage, bytes))
    }
}

impl GgufWeights<'_> {
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let (storage, bytes) = self.file.stored(name, shape)?;
        let values = storage.dequantise(bytes);
        self.transfer.add(bytes.len());
        Ok(values)
    }
}

impl WeightSource for GgufWeights<'_> {
    fn load(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let Some(stored) = gguf_name(name) else {
            return Err(ModelError::Missing { tensor: name.into(), expected: shape.to_vec() });
        };
        if let [rows, columns] = *shape
            && is_conv1d(name)
        {
            // GPT-2's Conv1D is [in, out] for transformers, but [out, in] here, like every other matrix.
            let values = self.values(&stored, &[columns, rows])?;
            return Ok(transpose(&values, columns, rows));
        }
        let values = self.values(&stored, shape)?;
        let heads = match name {
            _ if self.config.architecture != Architecture::Llama => None,
            _ if name.contains(".q_proj.") => Some(self.config.heads),
            _ if name.contains(".k_proj.") => Some(self.config.key_value_heads),
            _ => None,
        };
        Ok(match heads {
            Some(heads) => unpermute(&values, heads, shape[0] / heads),
            None => values,
        })
    }
}

fn is_conv1d(name: &str) -> bool {
    name.starts_with("transformer.h.") && name.ends_with(".weight") && !name.contains(".ln_")
}

/// llama.cpp turns neighbouring pairs of rows, transformers turns rows half a head apart; its converter therefore
/// reorders the rows of Llama's q and k. This puts row `2i + t` of each head back to `t · head_size/2 + i`.
fn unpermute(values: &[f32], heads: usize, head_size: usize) -> Vec<f32> {
    let columns = values.len() / (heads * head_size);
    let mut out = vec![0.0; values.len()];
    for head in 0..heads {
        for row in 0..head_size {
            let target = head * head_size + row % 2 * (head_size / 2) + row / 2;
            let source = head * head_size + row;
            out[target * columns..(target + 1) * columns]
                .copy_from_slice(&values[source * columns..(source + 1) * columns]);
        }
    }
    out
}

/// `model.layers.3.self_attn.q_proj.weight` → `blk.3.attn_q.weight`
fn gguf_name(name: &str) -> Option<String> {
    match name {
        "model.embed_tokens.weight" | "transformer.wte.weight" => return Some("token_embd.weight".into()),
        "transformer.wpe.weight" => return Some("position_embd.weight".into()),
        "lm_head.weight" => return Some("output.weight".into()),
        _ => {}
    }
    let (module, part) = name.rsplit_once('.')?;
    if module == "model.norm" || module == "transformer.ln_f" {
        return Some(format!("output_norm.{part}"));
    }
    let layer = module.strip_prefix("model.layers.").or_else(|| module.strip_prefix("transformer.h."))?;
    let (layer, module) = layer.split_once('.')?;
    let module = match module {
        "input_layernorm" | "ln_1" => "attn_norm",
        "post_attention_layernorm" | "ln_2" => "ffn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" | "attn.c_proj" => "attn_output",
        "attn.c_attn" => "attn_qkv",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" | "mlp.c_fc" => "ffn_up",
        "mlp.down_proj" | "mlp.c_proj" => "ffn_down",
        _ => return None,
    };
    Some(format!("blk.{layer}.{module}.{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::testing::watched;

    #[test]
    fn what_is_read_of_a_file_is_counted() {
        let header = [&b"GGUF"[..], &3u32.to_le_bytes(), &1u64.to_le_bytes(), &0u64.to_le_bytes()].concat();
        let name = b"output_norm.weight";
        let shape = [&1u32.to_le_bytes()[..], &4u64.to_le_bytes()].concat();
        // Kind 0 is float32; the values stand at the beginning of the data.
        let tensor = [&(name.len() as u64).to_le_bytes()[..], name, &shape, &[0; 12]].concat();
        let mut bytes = [header, tensor].concat();
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend([1.0f32, 2.0, 3.0, 4.0].map(f32::to_le_bytes).concat());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.gguf");
        std::fs::write(&path, bytes).unwrap();
        let file = GgufFile::open(&path).unwrap();
        let config = DecoderConfig::preset("llama-tiny").unwrap();
        let (values, told) = watched(|| file.weights(&config).load("model.norm.weight", &[4]).unwrap());
        assert_eq!(values, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(told, [("Reading model.gguf".to_owned(), 16, 16)]);
    }

    #[test]
    fn rows_permuted_as_llama_cpp_does_come_back() {
        // convert_hf_to_gguf: w.reshape(heads, 2, size/2, columns).swapaxes(1, 2).reshape(w.shape)
        let (heads, size, columns) = (2, 6, 3);
        let original: Vec<f32> = (0..heads * size * columns).map(|i| i as f32).collect();
        let mut permuted = Vec::new();
        for head in 0..heads {
            for i in 0..size / 2 {
                for t in 0..2 {
                    let row = head * size + t * size / 2 + i;
                    permuted.extend_from_slice(&original[row * columns..(row + 1) * columns]);
                }
            }
        }
        assert_eq!(unpermute(&permuted, heads, size), original);
    }

    #[test]
    fn a_tensor_that_claims_more_than_any_file_holds_is_refused() {
        let size = (1u64 << 31).to_le_bytes().to_vec();
        let header = [&b"GGUF"[..], &3u32.to_le_bytes(), &1u64.to_le_bytes(), &0u64.to_le_bytes()].concat();
        let tensor = [&1u64.to_le_bytes()[..], b"t", &2u32.to_le_bytes(), &size, &size, &[0; 12]].concat();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.gguf");
        std::fs::write(&path, [header, tensor].concat()).unwrap();
        // Four bytes each: a multiple of 2⁶⁴.
        let found = GgufFile::open(&path).unwrap().values("t", &[1 << 31, 1 << 31]);
        assert!(found.unwrap_err().to_string().contains("ends before tensor t does"));
    }
}
