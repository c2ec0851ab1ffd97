//! Reads weights from `model.safetensors`, or from shards named by `model.safetensors.index.json`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::{Path, PathBuf},
};

use half::{bf16, f16};
use memmap2::{Mmap, UncheckedAdvice};
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors, tensor::Metadata};

use super::{
    super::{
        config::DecoderConfig,
        decoder::embedding_name,
        error::{ModelError, refuse_pointer},
        weights::WeightSource,
    },
    read_object,
};
use crate::transfer::Transfer;

const OUTPUT: &str = "lm_head.weight";

/// The weights of a directory, mapped into memory and converted tensor by tensor.
pub(super) struct Checkpoint {
    shards: Vec<Shard>,
    /// Tensor name → number of its shard.
    places: BTreeMap<String, usize>,
    taken: BTreeSet<String>,
    /// The embedding where it is also the output matrix: a file may have the one matrix under either name.
    tied: Option<&'static str>,
    transfer: Transfer,
}

struct Shard {
    map: Mmap,
    metadata: Metadata,
    data_start: usize,
}

impl Checkpoint {
    /// The weights of a language model, and its configuration as they have it: an output matrix that is another than the embedding
    /// counts, whatever the configuration says of tied embeddings, as in transformers 5 (`tie_weights`).
    pub(super) fn with_output(directory: &Path, config: &DecoderConfig) -> Result<(Self, DecoderConfig), ModelError> {
        let (mut checkpoint, mut config) = (Self::open(directory)?, config.clone());
        if config.tied_embeddings {
            let embedding = embedding_name(config.architecture);
            config.tied_embeddings = !checkpoint.differ(embedding, OUTPUT)?;
            checkpoint.tied = config.tied_embeddings.then_some(embedding);
        }
        Ok((checkpoint, config))
    }

    pub(super) fn open(directory: &Path) -> Result<Self, ModelError> {
        let shards = files(directory)?.iter().map(|path| Shard::open(path)).collect::<Result<Vec<_>, _>>()?;
        let mut places = BTreeMap::new();
        for (number, shard) in shards.iter().enumerate() {
            for name in shard.metadata.offset_keys() {
                places.insert(name, number);
            }
        }
        let bytes: usize = shards.iter().map(|shard| shard.metadata.data_len()).sum();
        let transfer = Transfer::reading(directory, bytes as u64);
        Ok(Self { shards, places, taken: BTreeSet::new(), tied: None, transfer })
    }

    /// Refuses tensors that nobody asked for: a checkpoint of some other model would otherwise load in silence.
    pub(super) fn finish(&self, config: &DecoderConfig) -> Result<(), ModelError> {
        let is_surplus = |name: &&String| !self.taken.contains(*name) && !is_harmless(name, config);
        let tensors: Vec<_> = self.places.keys().filter(is_surplus).take(5).cloned().collect();
        if tensors.is_empty() { Ok(()) } else { Err(ModelError::Unexpected { tensors }) }
    }

    /// Whether two matrices are both there and not the same.
    fn differ(&self, one: &str, other: &str) -> Result<bool, ModelError> {
        let (Some(one), Some(other)) = (self.resolve(one), self.resolve(other)) else { return Ok(false) };
        let values = |name: &str| {
            let shard = &self.shards[self.places[name]];
            let shape = shard.metadata.info(name).map(|info| info.shape.clone()).unwrap_or_default();
            shard.read(name, &shape)
        };
        Ok(values(&one)? != values(&other)?)
    }

    /// Older checkpoints were saved without the outer module, hence without its name in front.
    fn resolve(&self, name: &str) -> Option<String> {
        let bare = name.strip_prefix("transformer.").or_else(|| name.strip_prefix("model."));
        let output = self.tied.filter(|embedding| *embedding == name).map(|_| OUTPUT);
        [Some(name), bare, output].into_iter().flatten().find(|name| self.places.contains_key(*name)).map(String::from)
    }
}

/// One safetensors file, for those who know what they look for.
pub(super) struct TensorFile(Shard);

impl TensorFile {
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Shard::open(path).map(Self)
    }

    pub fn names(&self) -> Vec<String> {
        self.0.metadata.offset_keys()
    }

    /// The shape of a tensor; `None` when there is none of that name.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.0.metadata.info(name).map(|info| info.shape.clone())
    }

    pub fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        self.0.read(name, shape)
    }

    /// What the file's own notes say under a name.
    pub fn note(&self, name: &str) -> Option<&str> {
        self.0.metadata.metadata().as_ref()?.get(name).map(String::as_str)
    }
}

impl WeightSource for Checkpoint {
    fn load(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let Some(stored) = self.resolve(name) else {
            return Err(ModelError::Missing { tensor: name.into(), expected: shape.to_vec() });
        };
        let shard = &self.shards[self.places[&stored]];
        let values = shard.read(&stored, shape)?;
        self.transfer.add(shard.bytes_of(&stored));
        self.taken.insert(stored);
        Ok(values)
    }
}

impl Shard {
    fn open(path: &Path) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(ModelError::file(path))?;
        // SAFETY: the map is read only; a model's files are never changed in place (they appear by rename).
        let map = unsafe { Mmap::map(&file) }.map_err(ModelError::file(path))?;
        refuse_pointer(path, &map)?;
        let (header, metadata) = SafeTensors::read_metadata(&map)
            .map_err(|error| ModelError::malformed(path, format!("is not a safetensors file: {error}")))?;
        let data_start = header + 8;
        if map.len() < data_start + metadata.data_len() {
            return Err(ModelError::malformed(path, "is shorter than its header says"));
        }
        Ok(Self { map, metadata, data_start })
    }

    fn read(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let Some(info) = self.metadata.info(name) else {
            return Err(ModelError::Missing { tensor: name.into(), expected: shape.to_vec() });
        };
        if info.shape != shape {
            return Err(ModelError::Shape { tensor: name.into(), expected: shape.to_vec(), found: info.shape.clone() });
        }
        let (start, end) = info.data_offsets;
        let (start, end) = (self.data_start + start, self.data_start + end);
        let bytes = &self.map[start..end];
        let values = match info.dtype {
            Dtype::F32 => read_as(bytes, f32::from_le_bytes),
            Dtype::F16 => read_as(bytes, |b| f16::from_le_bytes(b).to_f32()),
            Dtype::BF16 => read_as(bytes, |b| bf16::from_le_bytes(b).to_f32()),
            Dtype::F64 => read_as(bytes, |b| f64::from_le_bytes(b) as f32),
            other => return Err(ModelError::Format { tensor: name.into(), format: format!("{other:?}") }),
        };
        self.let_go(start, end);
        Ok(values)
    }

    /// What a tensor takes in the file.
    fn bytes_of(&self, name: &str) -> usize {
        self.metadata.info(name).map_or(0, |info| info.data_offsets.1 - info.data_offsets.0)
    }

    /// Takes what has been read out of this process's memory, where it would lie beside the values until all are loaded: the
    /// 135 M model then needs half as much at its peak. It stays in the system's cache and can be read again.
    fn let_go(&self, start: usize, end: usize) {
        // SAFETY: the map is of a file and never written, so its pages come back as they were. A failure changes nothing.
        let _ = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start) };
    }
}

/// Numbers of `N` bytes each, on all cores: where the file is in memory already, this is what loading a model takes.
fn read_as<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32 + Sync) -> Vec<f32> {
    const A_TASK: usize = 1 << 16;
    let (numbers, _) = bytes.as_chunks::<N>();
    let mut values = vec![0.0; numbers.len()];
    values.par_chunks_mut(A_TASK).zip(numbers.par_chunks(A_TASK)).for_each(|(values, numbers)| {
        for (value, number) in values.iter_mut().zip(numbers) {
            *value = convert(*number);
        }
    });
    values
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let single = directory.join("model.safetensors");
    if single.exists() {
        return Ok(vec![single]);
    }
    let index_path = directory.join("model.safetensors.index.json");
    if !index_path.exists() {
        return Err(ModelError::malformed(directory, "holds neither model.safetensors nor its index"));
    }
    let index = read_object(&index_path)?;
    let map = index.get("weight_map").and_then(|map| map.as_object());
    let map = map.ok_or_else(|| ModelError::malformed(&index_path, "has no weight_map"))?;
    let names: BTreeSet<_> = map.values().filter_map(|name| name.as_str()).collect();
    if names.iter().any(|name| name.contains(['/', '\\'])) {
        return Err(ModelError::malformed(&index_path, "names a shard outside its directory"));
    }
    Ok(names.into_iter().map(|name| directory.join(name)).collect())
}

/// Buffers that old versions of transformers saved, and the output matrix where it is the embedding's.
fn is_harmless(name: &str, config: &DecoderConfig) -> bool {
    name.ends_with(".attn.bias")
        || name.ends_with(".attn.masked_bias")
        || name.ends_with(".rotary_emb.inv_freq")
        || (name == OUTPUT && config.tied_embeddings)
}
