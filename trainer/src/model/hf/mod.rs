//! MODEL as people name it on the command line: a Hugging Face directory, or a GGUF file, opened and loaded.

mod adapter;
mod digest;
mod files;
mod lineage;
mod members;
mod padding;
mod partial;
mod pattern;
mod safetensors;
mod weights;
mod write;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use serde_json::{Map, Value};

use super::{
    config::DecoderConfig,
    decoder::Decoder,
    ensemble::Members,
    error::ModelError,
    gguf::GgufFile,
    heads::{RewardModel, ScalarHead},
};
use adapter::AdapterFiles;
use safetensors::Checkpoint;

pub use adapter::{AdapterOf, write_adapter, write_reward_adapter};
pub use digest::{file_names, is_file_name, sha256_of_file};
pub use lineage::Lineage;
pub use padding::Padding;
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
    /// Where the model is an adapter, and `path` the model that it changes.
    adapter: Option<Adapted>,
}

/// An adapter, and where it lies.
#[derive(Debug)]
struct Adapted {
    path: PathBuf,
    files: AdapterFiles,
}

/// `transformers` takes names of models on Hugging Face where it takes paths: who gives one here is told how to fetch it.
fn with_how_to_fetch(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::NotFound {
        return error;
    }
    let why =
        "no such directory or file; a model on Hugging Face is fetched first: hf download NAME --local-dir DIRECTORY";
    io::Error::new(io::ErrorKind::NotFound, why)
}

impl ModelDirectory {
    /// Opens a directory with a `config.json`, a `.gguf` file, a directory that holds exactly one `.gguf` file, or PEFT's
    /// files of an adapter whose base is where it says.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ModelError> {
        let path = path.into();
        let metadata = fs::metadata(&path).map_err(|error| ModelError::file(&path)(with_how_to_fetch(error)))?;
        if metadata.is_file() {
            return Self::open_gguf(path.clone(), &path);
        }
        if let Some(files) = AdapterFiles::open(&path)? {
            let base = files.base()?;
            return Self::open(base)?.with_adapter_files(path, files);
        }
        if !path.join("config.json").exists()
            && let Some(file) = only_gguf_file(&path)?
        {
            return Self::open_gguf(path, &file);
        }
        let raw = read_object(&path.join("config.json"))?;
        let class = raw.get("architectures").and_then(|list| list.get(0));
        let class = class.and_then(Value::as_str).unwrap_or_default();
        let kind = kind_of(class);
        let config = DecoderConfig::from_json(raw)?;
        Ok(Self { path, config, kind, gguf: None, adapter: None })
    }

    fn open_gguf(path: PathBuf, file: &Path) -> Result<Self, ModelError> {
        let gguf = GgufFile::open(file)?;
        let config = gguf.config()?;
        Ok(Self { path, config, kind: ModelKind::LanguageModel, gguf: Some(gguf), adapter: None })
    }

    /// The same model changed by the adapter that lies in `directory`, whatever base that names.
    pub fn with_adapter(self, directory: impl Into<PathBuf>) -> Result<Self, ModelError> {
        let directory = directory.into();
        match AdapterFiles::open(&directory)? {
            Some(files) => self.with_adapter_files(directory, files),
            None => Err(ModelError::malformed(
                &directory,
                "holds no adapter: one is a directory with adapter_config.json and no config.json",
            )),
        }
    }

    fn with_adapter_files(mut self, path: PathBuf, files: AdapterFiles) -> Result<Self, ModelError> {
        if self.adapter.is_some() {
            let text = "is an adapter of an adapter; merge that one into its base first (laurel-trainer merge)";
            return Err(ModelError::malformed(&path, text));
        }
        if files.is_reward_model() {
            self.kind = ModelKind::RewardModel;
        }
        self.adapter = Some(Adapted { path, files });
        Ok(self)
    }

    /// Where the model was opened.
    pub fn path(&self) -> &Path {
        self.adapter.as_ref().map_or(&self.path, |adapter| &adapter.path)
    }

    /// The model without its adapter, by its whole path: what an adapter that is learned here is an adapter of.
    pub fn base_path(&self) -> PathBuf {
        adapter::full_path(&self.path)
    }

    /// Whether the model is a base with an adapter.
    pub fn is_adapter(&self) -> bool {
        self.adapter.is_some()
    }

    /// What the model without its adapter gives.
    fn base_kind(&self) -> ModelKind {
        let class = self.config.raw.get("architectures").and_then(|list| list.get(0)).and_then(Value::as_str);
        kind_of(class.unwrap_or_default())
    }

    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    pub fn kind(&self) -> ModelKind {
        self.kind
    }

    /// The language model, an adapter merged into its weights. Refuses a reward model, and a checkpoint that does not fit its
    /// configuration.
    pub fn load_decoder(&self, device: &Device) -> Result<Decoder, ModelError> {
        self.language_model()?;
        let decoder = self.load_language_model(device)?;
        match &self.adapter {
            Some(adapter) => Ok(adapter.files.attach(decoder, false)?.merged()),
            None => Ok(decoder),
        }
    }

    /// As [`Self::load_decoder`], to be learned on: an adapter stays beside the weights, which are frozen.
    pub fn load_decoder_to_learn(&self, device: &Device) -> Result<Decoder, ModelError> {
        self.language_model()?;
        let decoder = self.load_language_model(device)?;
        match &self.adapter {
            Some(adapter) => adapter.files.attach(decoder, true),
            None => Ok(decoder),
        }
    }

    fn language_model(&self) -> Result<(), ModelError> {
        if self.kind == ModelKind::RewardModel {
            return Err(ModelError::Unsupported(format!(
                "{} is a reward model; a language model is needed here",
                self.path().display()
            )));
        }
        Ok(())
    }

    fn load_language_model(&self, device: &Device) -> Result<Decoder, ModelError> {
        match &self.gguf {
            Some(gguf) => Decoder::load(&self.config, &mut gguf.weights(&self.config), true, device),
            None => {
                let (mut checkpoint, config) = Checkpoint::with_output(&self.path, &self.config)?;
                let decoder = Decoder::load(&config, &mut checkpoint, true, device)?;
                checkpoint.finish(&config)?;
                Ok(decoder)
            }
        }
    }

    /// The reward model, an adapter merged into its weights. Refuses a language model, and a checkpoint that does not fit its
    /// configuration.
    pub fn load_reward_model(&self, device: &Device) -> Result<RewardModel, ModelError> {
        let RewardModel { decoder, score } = self.reward_model(device, false)?;
        Ok(RewardModel { decoder: decoder.merged(), score })
    }

    /// As [`Self::load_reward_model`], to be learned on: an adapter stays beside the weights, which are frozen.
    pub fn load_reward_model_to_learn(&self, device: &Device) -> Result<RewardModel, ModelError> {
        self.reward_model(device, true)
    }

    fn reward_model(&self, device: &Device, frozen: bool) -> Result<RewardModel, ModelError> {
        if self.kind == ModelKind::LanguageModel {
            return Err(ModelError::Unsupported(format!(
                "{} is a language model; a reward model is needed here",
                self.path().display()
            )));
        }
        let Some(Adapted { files, .. }) = &self.adapter else { return self.load_whole_reward_model(device) };
        let (decoder, score) = match files.score(self.config.hidden_size, device)? {
            // The base is the policy that the reward model began from, or a reward model whose head is not used.
            Some((score, mean)) => {
                let decoder = match self.base_kind() {
                    ModelKind::LanguageModel => self.load_language_model(device)?,
                    ModelKind::RewardModel => self.load_whole_reward_model(device)?.decoder,
                };
                let mut model = RewardModel { decoder: RewardModel::value_from_policy(&decoder).decoder, score };
                model.set_score_mean(mean);
                (model.decoder, model.score)
            }
            None if self.base_kind() == ModelKind::RewardModel => {
                let RewardModel { decoder, score } = self.load_whole_reward_model(device)?;
                (decoder, score)
            }
            None => {
                let tensor = "base_model.model.score.weight".into();
                return Err(ModelError::Missing { tensor, expected: vec![1, self.config.hidden_size] });
            }
        };
        Ok(RewardModel { decoder: files.attach(decoder, frozen)?, score })
    }

    fn load_whole_reward_model(&self, device: &Device) -> Result<RewardModel, ModelError> {
        let labels = self.config.raw.get("id2label").and_then(Value::as_object).map_or(1, Map::len);
        if labels != 1 {
            let path = self.path.display();
            let text = format!("{path} is a classifier with {labels} labels; a reward model has one, the score");
            return Err(ModelError::Unsupported(text));
        }
        let mut checkpoint = Checkpoint::open(&self.path)?;
        let decoder = Decoder::load(&self.config, &mut checkpoint, false, device)?;
        let score = ScalarHead::load(&mut checkpoint, self.config.hidden_size, device)?;
        checkpoint.finish(&self.config)?;
        Ok(RewardModel { decoder, score })
    }

    /// The heads of a reward model that is an ensemble; `None` when it has one head alone.
    pub fn load_members(&self, device: &Device) -> Result<Option<Members>, ModelError> {
        members::read(self.path(), self.config.hidden_size, device)
    }

    /// Where the model came from, if Laurel wrote it.
    pub fn lineage(&self) -> Result<Option<Lineage>, ModelError> {
        if self.gguf.is_some() && self.adapter.is_none() {
            return Ok(None);
        }
        Lineage::read(self.path())
    }

    /// SHA-256 (hexadecimal) over the files that decide what the model does: names and contents of everything but
    /// `laurel.json`; of a GGUF file, its content.
    pub fn digest(&self) -> Result<String, ModelError> {
        let base = self.base_digest()?;
        match &self.adapter {
            Some(adapter) => Ok(digest::of_both(&base, &digest::of_directory(&adapter.path)?)),
            None => Ok(base),
        }
    }

    fn base_digest(&self) -> Result<String, ModelError> {
        match &self.gguf {
            Some(gguf) => sha256_of_file(gguf.path()),
            None => digest::of_directory(&self.path),
        }
    }
}

fn kind_of(class: &str) -> ModelKind {
    if class.ends_with("ForSequenceClassification") { ModelKind::RewardModel } else { ModelKind::LanguageModel }
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
