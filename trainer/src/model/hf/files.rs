//! What goes with a model besides its weights: tokenizer, chat template, what ends a text; an adapter's own before its base's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{
    super::{
        config::{self, DecoderConfig},
        error::{ModelError, refuse_pointer},
        gguf::GgufFile,
    },
    Companions, ModelDirectory, read_object,
    write::pretty,
};

const TOKENIZER: &str = "tokenizer.json";
/// What is no part of a tokenizer among the files that go with a model.
const GENERATION: &str = "generation_config.json";

impl ModelDirectory {
    /// A file of the model: the adapter's own where it has one; `None` where a GGUF file says the same in its metadata. Where the
    /// adapter has a tokenizer, nothing of the base's is read beside that, as transformers reads a tokenizer from one folder: the
    /// base's template may stand in another file.
    fn file(&self, name: &str) -> Option<PathBuf> {
        let own = self.adapter.as_ref().map(|adapter| &adapter.path);
        let is_whole = own.is_some_and(|path| name != GENERATION && path.join(TOKENIZER).exists());
        let own = own.filter(|path| is_whole || path.join(name).exists());
        let base = self.gguf.is_none().then_some(&self.path);
        own.or(base).map(|directory| directory.join(name))
    }

    /// The content of `tokenizer.json`; for a GGUF file, made from its metadata. `None` when the model has none.
    pub fn tokenizer_json(&self) -> Result<Option<String>, ModelError> {
        match (self.file(TOKENIZER), &self.gguf) {
            (Some(file), _) => read_text_if_there(&file),
            (None, gguf) => gguf.as_ref().map(GgufFile::tokenizer_json).transpose(),
        }
    }

    /// The content of `tokenizer_config.json`; empty when there is none.
    pub fn tokenizer_config(&self) -> Result<Map<String, Value>, ModelError> {
        match (self.file("tokenizer_config.json"), &self.gguf) {
            (Some(file), _) => read_object_if_there(&file),
            (None, gguf) => Ok(gguf.as_ref().map(GgufFile::tokenizer_config).unwrap_or_default()),
        }
    }

    /// What the tokenizer's files say, special tokens above all, as transformers reads them: `tokenizer_config.json`; where that
    /// has no `added_tokens_decoder`, what `special_tokens_map.json` names goes before it.
    pub fn named_tokens(&self) -> Result<Map<String, Value>, ModelError> {
        let mut named = self.tokenizer_config()?;
        if !named.contains_key("added_tokens_decoder")
            && let Some(file) = self.file("special_tokens_map.json")
        {
            named.extend(read_object_if_there(&file)?);
        }
        Ok(named)
    }

    /// The content of `generation_config.json`; empty when there is none.
    pub fn generation_config(&self) -> Result<Map<String, Value>, ModelError> {
        self.file(GENERATION).map_or_else(|| Ok(Map::new()), |file| read_object_if_there(&file))
    }

    /// The chat template: `chat_template.jinja`, else the field of `tokenizer_config.json` (the one named `default` when
    /// there are several).
    pub fn chat_template(&self) -> Result<Option<String>, ModelError> {
        if let Some(file) = self.file("chat_template.jinja")
            && let Some(template) = read_text_if_there(&file)?
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

    /// The files that belong to the model besides its weights and configuration, to be written beside new weights.
    pub fn companions(&self) -> Result<Companions, ModelError> {
        let own = self.adapter.as_ref().map(|adapter| Companions::of_directory(&adapter.path)).transpose()?;
        let has_tokenizer = own.as_ref().is_some_and(|own| own.get(TOKENIZER).is_some());
        let mut companions = match &self.gguf {
            // The base's own may be of a kind that is not read.
            Some(_) if has_tokenizer => Companions::ends_of_gguf(&self.config),
            Some(gguf) => Companions::of_gguf(gguf, &self.config)?,
            None => Companions::of_directory(&self.path)?,
        };
        if has_tokenizer {
            companions.files.retain(|(name, _)| name == GENERATION);
        }
        for (name, content) in own.into_iter().flat_map(|own| own.files) {
            companions = companions.with(&name, content);
        }
        Ok(companions)
    }
}

impl Companions {
    /// With `token` among those that end a text by `generation_config.json`, which transformers and vLLM stop by: that of a base
    /// model may name its end of text alone, and a policy that learned to end its turns as the chat template does would go on
    /// there for ever. Without the file they go by the configuration; what that says is then said in the new one.
    pub fn ending_with(self, token: u32, decoder: &DecoderConfig) -> Self {
        let file = self.get(GENERATION).and_then(|content| serde_json::from_slice::<Map<String, Value>>(content).ok());
        let named = file.as_ref().map(|file| config::tokens(file, "eos_token_id"));
        if named.as_ref().unwrap_or(&decoder.eos_token_ids).contains(&token) {
            return self;
        }
        let mut ends = named.filter(|ends| !ends.is_empty()).unwrap_or_else(|| decoder.eos_token_ids.clone());
        if !ends.contains(&token) {
            ends.push(token);
        }
        let mut generation = file.unwrap_or_else(|| {
            let others = [("bos_token_id", decoder.bos_token_id), ("pad_token_id", decoder.pad_token_id)];
            others.into_iter().filter_map(|(name, id)| Some((name.to_owned(), Value::from(id?)))).collect()
        });
        generation.insert("eos_token_id".into(), json!(ends));
        self.with(GENERATION, pretty(&generation))
    }
}

fn read_object_if_there(path: &Path) -> Result<Map<String, Value>, ModelError> {
    if path.exists() { read_object(path) } else { Ok(Map::new()) }
}

fn read_text_if_there(path: &Path) -> Result<Option<String>, ModelError> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path).map_err(ModelError::file(path))?;
    refuse_pointer(path, text.as_bytes())?;
    Ok(Some(text))
}
