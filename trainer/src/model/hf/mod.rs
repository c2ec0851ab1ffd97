//! MODEL as people name it on the command line: a Hugging Face directory, or a GGUF file, opened and loaded.

mod digest;
mod lineage;
mod members;
mod partial;
mod safetensors;
mod weights;
mod write;

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use serde_json::{Map, Value};

use super::{
    config::{self, DecoderConfig},
    decoder::Decoder,
    ensemble::Members,
    error::ModelError,
    gguf::GgufFile,
    heads::{RewardModel, ScalarHead},
    weights::WeightSource,
};
use safetensors::Checkpoint;

pub use digest::sha256_of_file;
pub use lineage::Lineage;
pub use weights::{WeightFormat, WriteOptions};
pub use write::{Companions, ensure_free, write_decoder, write_decoder_as, write_reward_model, write_reward_model_as};

/// What a model gives: a distribution over tokens, or a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelKind {
    LanguageModel,
    RewardModel,
}

/// A model on disk whose configuration has been read and understood; weights are read when they are asked for.
#[derive(Debug)]
pub struct ModelDirectory {
    path: PathBuf,
    config: DecoderConfig,
    kind: ModelKind,
    gguf: Option<GgufFile>,
}

impl ModelDirectory {
    /// Opens a directory with a `config.json`, a `.gguf` file, or a directory that holds exactly one `.gguf` file.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ModelError> {
        let path = path.into();
        let metadata = fs::metadata(&path).map_err(ModelError::file(&path))?;
        if metadata.is_file() {
            return Self::open_gguf(path.clone(), &path);
        }
        if !path.join("config.json").exists()
            && let Some(file) = only_gguf_file(&path)?
        {
            return Self::open_gguf(path, &file);
        }
        let raw = read_object(&path.join("config.json"))?;
        let class = raw.get("architectures").and_then(|list| list.get(0));
        let class = class.and_then(Value::as_str).unwrap_or_default();
        let kind = if class.ends_with("ForSequenceClassification") {
            ModelKind::RewardModel
        } else {
            ModelKind::LanguageModel
        };
        let config = DecoderConfig::from_json(raw)?;
        Ok(Self { path, config, kind, gguf: None })
    }

    fn open_gguf(path: PathBuf, file: &Path) -> Result<Self, ModelError> {
        let gguf = GgufFile::open(file)?;
        let config = gguf.config()?;
        Ok(Self { path, config, kind: ModelKind::LanguageModel, gguf: Some(gguf) })
    }

    /// Where the model was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    pub fn kind(&self) -> ModelKind {
        self.kind
    }

    /// The language model. Refuses a reward model, and a checkpoint that does not fit its configuration.
    pub fn load_decoder(&self, device: &Device) -> Result<Decoder, ModelError> {
        if self.kind == ModelKind::RewardModel {
            return Err(ModelError::Unsupported(format!(
                "{} is a reward model; a language model is needed here",
                self.path.display()
            )));
        }
        match &self.gguf {
            Some(gguf) => self.load_from(&mut gguf.weights(&self.config), device),
            None => {
                let mut checkpoint = Checkpoint::open(&self.path)?;
                let decoder = self.load_from(&mut checkpoint, device)?;
                checkpoint.finish(&self.config)?;
                Ok(decoder)
            }
        }
    }

    fn load_from(&self, source: &mut dyn WeightSource, device: &Device) -> Result<Decoder, ModelError> {
        Decoder::load(&self.config, source, true, device)
    }

    /// The reward model. Refuses a language model, and a checkpoint that does not fit its configuration.
    pub fn load_reward_model(&self, device: &Device) -> Result<RewardModel, ModelError> {
        if self.kind == ModelKind::LanguageModel {
            return Err(ModelError::Unsupported(format!(
                "{} is a language model; a reward model is needed here",
                self.path.display()
            )));
        }
        let mut checkpoint = Checkpoint::open(&self.path)?;
        let decoder = Decoder::load(&self.config, &mut checkpoint, false, device)?;
        let score = ScalarHead::load(&mut checkpoint, self.config.hidden_size, device)?;
        checkpoint.finish(&self.config)?;
        Ok(RewardModel { decoder, score })
    }

    /// The heads of a reward model that is an ensemble; `None` when it has one head alone.
    pub fn load_members(&self, device: &Device) -> Result<Option<Members>, ModelError> {
        members::read(&self.path, self.config.hidden_size, device)
    }

    /// The content of `tokenizer.json`; for a GGUF file, made from its metadata. `None` when the model has none.
    pub fn tokenizer_json(&self) -> Result<Option<String>, ModelError> {
        match &self.gguf {
            Some(gguf) => gguf.tokenizer_json().map(Some),
            None => read_text_if_there(&self.path.join("tokenizer.json")),
        }
    }

    /// The content of `tokenizer_config.json`; empty when there is none.
    pub fn tokenizer_config(&self) -> Result<Map<String, Value>, ModelError> {
        match &self.gguf {
            Some(gguf) => Ok(gguf.tokenizer_config()),
            None => read_object_if_there(&self.path.join("tokenizer_config.json")),
        }
    }

    /// The content of `generation_config.json`; empty when there is none.
    pub fn generation_config(&self) -> Result<Map<String, Value>, ModelError> {
        if self.gguf.is_some() {
            return Ok(Map::new());
        }
        read_object_if_there(&self.path.join("generation_config.json"))
    }

    /// The chat template: `chat_template.jinja`, else the field of `tokenizer_config.json` (the one named `default` when
    /// there are several).
    pub fn chat_template(&self) -> Result<Option<String>, ModelError> {
        if self.gguf.is_none()
            && let Some(template) = read_text_if_there(&self.path.join("chat_template.jinja"))?
        {
            return Ok(Some(template));
        }
        let config = self.tokenizer_config()?;
        Ok(match config.get("chat_template") {
            Some(Value::String(template)) => Some(template.clone()),
            Some(Value::Array(named)) => named
                .iter()
                .find(|one| one["name"] == "default")
                .and_then(|one| one["template"].as_str())
                .map(String::from),
            _ => None,
        })
    }

    /// Every token that ends a text, by `config.json` and `generation_config.json` together.
    pub fn stop_token_ids(&self) -> Result<Vec<u32>, ModelError> {
        let mut ids = self.config.eos_token_ids.clone();
        for id in config::tokens(&self.generation_config()?, "eos_token_id") {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// Where the model came from, if Laurel wrote it.
    pub fn lineage(&self) -> Result<Option<Lineage>, ModelError> {
        if self.gguf.is_some() {
            return Ok(None);
        }
        Lineage::read(&self.path)
    }

    /// SHA-256 (hexadecimal) over the files that decide what the model does: names and contents of everything but
    /// `laurel.json`; of a GGUF file, its content.
    pub fn digest(&self) -> Result<String, ModelError> {
        match &self.gguf {
            Some(gguf) => sha256_of_file(gguf.path()),
            None => digest::of_directory(&self.path),
        }
    }

    /// The files that belong to the model besides its weights and configuration, to be written beside new weights.
    pub fn companions(&self) -> Result<Companions, ModelError> {
        match &self.gguf {
            Some(gguf) => Companions::of_gguf(gguf, &self.config),
            None => Companions::of_directory(&self.path),
        }
    }
}

fn only_gguf_file(directory: &Path) -> Result<Option<PathBuf>, ModelError> {
    let mut found = None;
    for entry in fs::read_dir(directory).map_err(ModelError::file(directory))? {
        let path = entry.map_err(ModelError::file(directory))?.path();
        if path.extension().is_some_and(|extension| extension == "gguf") {
            if found.is_some() {
                return Err(ModelError::malformed(directory, "holds several GGUF files; name one of them"));
            }
            found = Some(path);
        }
    }
    Ok(found)
}

fn read_object(path: &Path) -> Result<Map<String, Value>, ModelError> {
    let text = fs::read_to_string(path).map_err(ModelError::file(path))?;
    serde_json::from_str(&text).map_err(|error| ModelError::malformed(path, format!("is not a JSON object: {error}")))
}

fn read_object_if_there(path: &Path) -> Result<Map<String, Value>, ModelError> {
    if path.exists() { read_object(path) } else { Ok(Map::new()) }
}

fn read_text_if_there(path: &Path) -> Result<Option<String>, ModelError> {
    if !path.exists() {
        return Ok(None);
    }
    fs::read_to_string(path).map(Some).map_err(ModelError::file(path))
}
