//! Writes a whole model directory: weights, configuration, tokenizer, lineage; it appears by rename or not at all.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    super::{
        config::DecoderConfig, decoder::Decoder, error::ModelError, gguf::GgufFile, heads::RewardModel,
        weights::NamedTensor,
    },
    lineage::{self, Lineage},
};

/// Files that go with a model unchanged, whatever is learned.
const COPIED: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "generation_config.json",
];

/// Tokenizer, chat template and generation settings: what is written beside new weights.
#[derive(Debug, Clone, Default)]
pub struct Companions {
    files: Vec<(String, Vec<u8>)>,
}

impl Companions {
    /// A model without a tokenizer.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a file, in place of one of the same name.
    pub fn with(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.retain(|(other, _)| other != name);
        self.files.push((name.into(), content.into()));
        self
    }

    /// The content of a file.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.files.iter().find(|(other, _)| other == name).map(|(_, content)| content.as_slice())
    }

    pub(super) fn of_directory(directory: &Path) -> Result<Self, ModelError> {
        let mut companions = Self::none();
        for name in COPIED {
            let path = directory.join(name);
            if path.exists() {
                companions = companions.with(name, fs::read(&path).map_err(ModelError::file(&path))?);
            }
        }
        Ok(companions)
    }

    pub(super) fn of_gguf(gguf: &GgufFile, config: &DecoderConfig) -> Result<Self, ModelError> {
        let mut generation = Map::new();
        generation.insert("bos_token_id".into(), json!(config.bos_token_id));
        generation.insert("eos_token_id".into(), json!(config.eos_token_ids));
        generation.insert("pad_token_id".into(), json!(config.pad_token_id));
        Ok(Self::none()
            .with("tokenizer.json", gguf.tokenizer_json()?)
            .with("tokenizer_config.json", pretty(&gguf.tokenizer_config()))
            .with("generation_config.json", pretty(&generation)))
    }
}

/// Fails when something other than an empty directory stands at `out`: models are never overwritten.
pub fn ensure_free(out: &Path) -> Result<(), ModelError> {
    let Ok(metadata) = fs::symlink_metadata(out) else { return Ok(()) };
    let is_empty = metadata.is_dir() && fs::read_dir(out).map_err(ModelError::file(out))?.next().is_none();
    if is_empty {
        return Ok(());
    }
    let taken = io::Error::new(io::ErrorKind::AlreadyExists, "already exists; name another place for the model");
    Err(ModelError::file(out)(taken))
}

/// Writes a language model to `out`, adapters merged into the weights.
pub fn write_decoder(
    out: &Path,
    decoder: &Decoder,
    companions: &Companions,
    lineage: &Lineage,
) -> Result<(), ModelError> {
    write(out, decoder.config().to_json(), decoder.named_tensors(), companions, lineage)
}

/// Writes a reward model (or value model) to `out`, adapters merged into the weights.
pub fn write_reward_model(
    out: &Path,
    model: &RewardModel,
    companions: &Companions,
    lineage: &Lineage,
) -> Result<(), ModelError> {
    let config = model.decoder.config().to_reward_json();
    write(out, config, model.named_tensors(), companions, lineage)
}

fn write(
    out: &Path,
    config: Map<String, Value>,
    tensors: Vec<NamedTensor>,
    companions: &Companions,
    lineage: &Lineage,
) -> Result<(), ModelError> {
    ensure_free(out)?;
    let parent = parent_of(out);
    fs::create_dir_all(&parent).map_err(ModelError::file(&parent))?;
    let partial =
        tempfile::Builder::new().prefix(".partial-").tempdir_in(&parent).map_err(ModelError::file(&parent))?;

    for (name, content) in &companions.files {
        write_file(&partial.path().join(name), content)?;
    }
    write_file(&partial.path().join("config.json"), pretty(&config).as_bytes())?;
    write_file(&partial.path().join(lineage::FILE), pretty(lineage).as_bytes())?;
    write_weights(&partial.path().join("model.safetensors"), tensors)?;

    let permissions = fs::Permissions::from_mode(0o755);
    fs::set_permissions(partial.path(), permissions).map_err(ModelError::file(partial.path()))?;
    if out.exists() {
        fs::remove_dir(out).map_err(ModelError::file(out))?;
    }
    fs::rename(partial.path(), out).map_err(ModelError::file(out))?;
    // Renamed: there is nothing left at the old path for the guard to remove.
    let _ = partial.keep();
    fs::File::open(&parent).and_then(|directory| directory.sync_all()).map_err(ModelError::file(&parent))
}

fn write_weights(path: &Path, tensors: Vec<NamedTensor>) -> Result<(), ModelError> {
    let named = tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor));
    // transformers refuses a safetensors file whose metadata does not say which framework wrote it.
    let metadata = [("format".to_string(), "pt".to_string())].into();
    safetensors::serialize_to_file(named, Some(metadata), path)
        .map_err(|error| ModelError::malformed(path, error.to_string()))?;
    // The library writes by way of a private temporary file; others may read the model.
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(ModelError::file(path))?;
    let file = fs::File::open(path).map_err(ModelError::file(path))?;
    file.sync_all().map_err(ModelError::file(path))
}

fn write_file(path: &Path, content: &[u8]) -> Result<(), ModelError> {
    fs::write(path, content).map_err(ModelError::file(path))
}

fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("plain data is always JSON");
    text.push('\n');
    text
}

fn parent_of(out: &Path) -> PathBuf {
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
