//! Weights on their way to disk: the number format they are written in, and the files they are spread over.

use std::{borrow::Cow, cell::RefCell, collections::HashMap, fs, os::unix::fs::PermissionsExt, path::Path};

use half::{bf16, f16};
use safetensors::{Dtype, SafeTensorError, tensor::View};
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::{
    super::error::ModelError,
    write::{self, pretty},
};
use crate::{
    model::weights::NamedTensor,
    transfer::{Counted, Transfer},
};

/// The number format of written weights, by the names that `transformers` gives them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightFormat {
    #[default]
    Float32,
    /// 8 bits of exponent, 7 of mantissa: the range of float32.
    Bfloat16,
    /// 5 bits of exponent, 10 of mantissa: nothing above 65,504.
    Float16,
}

impl WeightFormat {
    /// As `dtype` of `config.json` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Bfloat16 => "bfloat16",
            Self::Float16 => "float16",
        }
    }

    /// Bytes of one weight.
    pub fn size(self) -> usize {
        if self == Self::Float32 { 4 } else { 2 }
    }

    fn dtype(self) -> Dtype {
        match self {
            Self::Float32 => Dtype::F32,
            Self::Bfloat16 => Dtype::BF16,
            Self::Float16 => Dtype::F16,
        }
    }

    /// The bytes of values, rounded to the nearest; the second says whether one was finite and is no longer.
    fn encode(self, values: &[f32]) -> (Vec<u8>, bool) {
        match self {
            Self::Float32 => (values.iter().flat_map(|value| value.to_le_bytes()).collect(), false),
            Self::Bfloat16 => {
                let rounded = values.iter().map(|&value| bf16::from_f32(value));
                let overflow =
                    rounded.clone().zip(values).any(|(found, value)| value.is_finite() && !found.is_finite());
                (rounded.flat_map(bf16::to_le_bytes).collect(), overflow)
            }
            Self::Float16 => {
                let rounded = values.iter().map(|&value| f16::from_f32(value));
                let overflow =
                    rounded.clone().zip(values).any(|(found, value)| value.is_finite() && !found.is_finite());
                (rounded.flat_map(f16::to_le_bytes).collect(), overflow)
            }
        }
    }
}

/// How the weights of a model are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    pub format: WeightFormat,
    /// Models of more bytes are written in shards of at most so many (a tensor that is larger has a shard to itself).
    pub max_shard_bytes: u64,
}

impl Default for WriteOptions {
    /// Float32, in shards of 5 GB.
    fn default() -> Self {
        Self { format: WeightFormat::Float32, max_shard_bytes: 5_000_000_000 }
    }
}

/// A tensor that is rounded to `format` when it is written.
struct Encoded<'a> {
    tensor: &'a NamedTensor,
    format: WeightFormat,
    /// Where the name of a tensor goes whose values the format cannot hold.
    overflow: &'a RefCell<Option<String>>,
}

impl View for Encoded<'_> {
    fn dtype(&self) -> Dtype {
        self.format.dtype()
    }

    fn shape(&self) -> &[usize] {
        View::shape(self.tensor)
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let (bytes, overflow) = self.format.encode(&self.tensor.values());
        if overflow {
            self.overflow.borrow_mut().get_or_insert_with(|| self.tensor.name.clone());
        }
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.format.size() * View::shape(self.tensor).iter().product::<usize>()
    }
}

/// The writing of tensors to a model at `out`.
pub(super) fn writing(out: &Path, tensors: &[NamedTensor], format: WeightFormat) -> Transfer {
    Transfer::writing(out, tensors.iter().map(|tensor| bytes_of(tensor, format)).sum())
}

/// Writes `model.safetensors` into `directory`, or shards with their index. Fails on a value that the format cannot hold.
pub(super) fn write_weights(
    directory: &Path,
    tensors: &[NamedTensor],
    options: &WriteOptions,
    transfer: &Transfer,
) -> Result<(), ModelError> {
    let shards = shards(tensors, options);
    if let [all] = shards.as_slice() {
        return write_file(&directory.join("model.safetensors"), all, options.format, HashMap::new(), transfer);
    }
    let (mut places, mut bytes) = (Map::new(), 0);
    for (number, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{:05}.safetensors", number + 1, shards.len());
        write_file(&directory.join(&name), shard, options.format, HashMap::new(), transfer)?;
        for tensor in shard {
            places.insert(tensor.name.clone(), json!(name));
            bytes += bytes_of(tensor, options.format);
        }
    }
    let index = json!({ "metadata": { "total_size": bytes }, "weight_map": places });
    let path = directory.join("model.safetensors.index.json");
    write::write_file(&path, pretty(&index).as_bytes())
}

/// Which tensors share a file: in their order, a new file where the next one would not fit.
fn shards<'a>(tensors: &'a [NamedTensor], options: &WriteOptions) -> Vec<Vec<&'a NamedTensor>> {
    let (mut shards, mut used) = (vec![vec![]], 0);
    for tensor in tensors {
        let bytes = bytes_of(tensor, options.format);
        if used > 0 && used + bytes > options.max_shard_bytes {
            shards.push(vec![]);
            used = 0;
        }
        used += bytes;
        if let Some(last) = shards.last_mut() {
            last.push(tensor);
        }
    }
    shards
}

fn bytes_of(tensor: &NamedTensor, format: WeightFormat) -> u64 {
    (format.size() * View::shape(tensor).iter().product::<usize>()) as u64
}

/// Writes tensors to one safetensors file, with `notes` of our own.
pub(super) fn write_file(
    path: &Path,
    tensors: &[&NamedTensor],
    format: WeightFormat,
    mut notes: HashMap<String, String>,
    transfer: &Transfer,
) -> Result<(), ModelError> {
    let overflow = RefCell::new(None);
    let encoded = |tensor| Counted::new(Encoded { tensor, format, overflow: &overflow }, transfer);
    let named = tensors.iter().map(|&tensor| (tensor.name.clone(), encoded(tensor)));
    // transformers refuses a safetensors file whose metadata does not say which framework wrote it.
    notes.insert("format".into(), "pt".into());
    safetensors::serialize_to_file(named, Some(notes), path).map_err(|error| match error {
        // A full disk, say: what is written is not at fault.
        SafeTensorError::IoError(source) => ModelError::File { path: path.into(), source },
        other => ModelError::malformed(path, other.to_string()),
    })?;
    if let Some(tensor) = overflow.into_inner() {
        let format = format.name().to_owned();
        return Err(ModelError::Overflow { tensor, format });
    }
    readable_and_synced(path)
}

/// The library writes by way of a private temporary file; others may read the model.
fn readable_and_synced(path: &Path) -> Result<(), ModelError> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(ModelError::file(path))?;
    let file = fs::File::open(path).map_err(ModelError::file(path))?;
    file.sync_all().map_err(ModelError::file(path))
}
