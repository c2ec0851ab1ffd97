//! Writes a whole model directory: weights, configuration, tokenizer, lineage; it appears by rename or not at all.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    super::{
        config::{DecoderConfig, set_dtype},
        decoder::Decoder,
        error::ModelError,
        gguf::GgufFile,
        heads::RewardModel,
        weights::NamedTensor,
    },
    lineage::{self, Lineage},
    padding::Padding,
    partial::{Partial, remove_stale},
    weights::{WriteOptions, write_weights, writing},
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

/// Where transformers keeps the chat templates that a tokenizer has besides its first (one for tools, say).
pub(super) const MORE_TEMPLATES: &str = "additional_chat_templates";

/// Tokenizer, chat template and generation settings: what is written beside new weights.
#[derive(Debug, Clone, Default)]
pub struct Companions {
    pub(super) files: Vec<(String, Vec<u8>)>,
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
        let folder = directory.join(MORE_TEMPLATES);
        if folder.is_dir() {
            for entry in fs::read_dir(&folder).map_err(ModelError::file(&folder))? {
                let path = entry.map_err(ModelError::file(&folder))?.path();
                if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_file()) {
                    let content = fs::read(&path).map_err(ModelError::file(&path))?;
                    companions = companions.with(&format!("{MORE_TEMPLATES}/{name}"), content);
                }
            }
        }
        Ok(companions)
    }

    /// What ends a text by a GGUF file, without its tokenizer.
    pub(super) fn ends_of_gguf(config: &DecoderConfig) -> Self {
        let mut generation = Map::new();
        generation.insert("bos_token_id".into(), json!(config.bos_token_id));
        generation.insert("eos_token_id".into(), json!(config.eos_token_ids));
        generation.insert("pad_token_id".into(), json!(config.pad_token_id));
        Self::none().with("generation_config.json", pretty(&generation))
    }

    pub(super) fn of_gguf(gguf: &GgufFile, config: &DecoderConfig) -> Result<Self, ModelError> {
        Ok(Self::ends_of_gguf(config)
            .with("tokenizer.json", gguf.tokenizer_json()?)
            .with("tokenizer_config.json", pretty(&gguf.tokenizer_config())))
    }
}

/// Fails when something other than an empty directory stands at `out`: models are never overwritten. What a writer that was
/// killed left half written beside it is removed.
pub fn ensure_free(out: &Path) -> Result<(), ModelError> {
    remove_stale(out);
    let Ok(metadata) = fs::symlink_metadata(out) else { return Ok(()) };
    let is_empty = metadata.is_dir() && fs::read_dir(out).map_err(ModelError::file(out))?.next().is_none();
    if is_empty {
        return Ok(());
    }
    let taken = io::Error::new(io::ErrorKind::AlreadyExists, "already exists; name another place");
    Err(ModelError::file(out)(taken))
}

/// Writes a language model to `out` in float32, adapters merged into the weights.
pub fn write_decoder(
    out: &Path,
    decoder: &Decoder,
    companions: &Companions,
    lineage: &Lineage,
) -> Result<(), ModelError> {
    write_decoder_as(out, decoder, companions, lineage, &WriteOptions::default())
}

/// As [`write_decoder`], in the number format and the shards that `options` say.
pub fn write_decoder_as(
    out: &Path,
    decoder: &Decoder,
    companions: &Companions,
    lineage: &Lineage,
    options: &WriteOptions,
) -> Result<(), ModelError> {
    let config = in_format(decoder.config().to_json(), options);
    write(out, &config, &decoder.named_tensors(), companions, lineage, options)
}

/// Writes a reward model (or value model) to `out` in float32, adapters merged into the weights.
pub fn write_reward_model(
    out: &Path,
    model: &RewardModel,
    companions: &Companions,
    lineage: &Lineage,
) -> Result<(), ModelError> {
    write_reward_model_as(out, model, companions, lineage, &WriteOptions::default())
}

/// As [`write_reward_model`], in the number format and the shards that `options` say. Its padding is a token that ends nothing,
/// where the tokenizer has one ([`Padding`]): other programs find by it where a score is to be read.
pub fn write_reward_model_as(
    out: &Path,
    model: &RewardModel,
    companions: &Companions,
    lineage: &Lineage,
    options: &WriteOptions,
) -> Result<(), ModelError> {
    let mut config = in_format(model.decoder.config().to_reward_json(), options);
    let Some(padding) = Padding::of(model.decoder.config(), companions) else {
        return write(out, &config, &model.named_tensors(), companions, lineage, options);
    };
    config.insert("pad_token_id".into(), json!(padding.id));
    write(out, &config, &model.named_tensors(), &padding.named_in(companions), lineage, options)
}

fn in_format(mut config: Map<String, Value>, options: &WriteOptions) -> Map<String, Value> {
    set_dtype(&mut config, options.format.name());
    config
}

fn write(
    out: &Path,
    config: &Map<String, Value>,
    tensors: &[NamedTensor],
    companions: &Companions,
    lineage: &Lineage,
    options: &WriteOptions,
) -> Result<(), ModelError> {
    let transfer = writing(out, tensors, options.format);
    write_directory(out, companions, lineage, |directory| {
        write_file(&directory.join("config.json"), pretty(config).as_bytes())?;
        write_weights(directory, tensors, options, &transfer)
    })
}

/// A directory with companions, `laurel.json` and what `rest` puts into it, which appears at `out` by rename.
pub(super) fn write_directory(
    out: &Path,
    companions: &Companions,
    lineage: &Lineage,
    rest: impl FnOnce(&Path) -> Result<(), ModelError>,
) -> Result<(), ModelError> {
    ensure_free(out)?;
    let partial = Partial::beside(out)?;
    let written = write_companions(partial.path(), companions, lineage).and_then(|()| rest(partial.path()));
    written.map_err(|error| partial.told(error))?;
    partial.appear()
}

fn write_companions(directory: &Path, companions: &Companions, lineage: &Lineage) -> Result<(), ModelError> {
    for (name, content) in &companions.files {
        let path = directory.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(ModelError::file(folder))?;
        }
        write_file(&path, content)?;
    }
    write_file(&directory.join(lineage::FILE), pretty(lineage).as_bytes())
}

/// Writes a file that a power cut does not empty once the directory has its name, and the checkpoints before it are gone.
pub(super) fn write_file(path: &Path, content: &[u8]) -> Result<(), ModelError> {
    let written = fs::File::create(path).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(ModelError::file(path))
}

pub(super) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("plain data is always JSON");
    text.push('\n');
    text
}
