//! `init`: a new model with a tokenizer of its own and random weights.

use std::{fs, path::PathBuf};

use anyhow::{Context, bail};
use burn::tensor::Device;
use indicatif::DecimalBytes;
use serde_json::json;

use super::{Common, WrongInput, device::free_memory, numbers, output};
use crate::{
    data::{
        DataError, corpus,
        new_tokenizer::{NewTokenizer, SMALLEST},
    },
    model::{
        Architecture, Decoder, DecoderConfig, PRESETS,
        hf::{Lineage, ensure_free, write_decoder},
    },
    terminal::{self, counted},
    train::free_room,
};

/// Make a new model: a tokenizer learned from text, and random weights
#[derive(Debug, clap::Args)]
pub struct Init {
    /// A config.json, or one of: gpt2-tiny, llama-tiny, qwen2-tiny, llama-15m, gpt2-124m, llama-135m
    #[arg(long, value_name = "FILE|NAME")]
    config: String,
    /// Text to learn the tokenizer from: plain text, or JSONL (.jsonl, .json) with "text" or with messages
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    corpus: Vec<PathBuf>,
    /// Tokens in the vocabulary, at most; by default as many as the configuration says
    #[arg(long, value_name = "N", value_parser = numbers::whole::<usize>)]
    vocabulary: Option<usize>,
    /// Where the model goes
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
}

impl Init {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        ensure_free(&self.out)?;
        output::prepare_model(&self.out)?;
        let config = self.config()?;
        let device = common.device.open()?;
        // Before a tokenizer is learned, which takes its time.
        self.ensure_room(&config.clone().with_vocabulary(SMALLEST, None, vec![], None), &device)?;
        let mut texts = vec![];
        for path in &self.corpus {
            texts.extend(corpus::documents(path)?);
        }
        let wanted = self.vocabulary.unwrap_or(config.vocabulary_size);
        if !common.quiet && !common.json {
            terminal::say(format!("learning at most {wanted} tokens from {}", counted(texts.len(), "text")));
        }
        let tokenizer = NewTokenizer::learn(&texts, wanted).map_err(WrongInput)?;
        let config =
            config.with_vocabulary(tokenizer.vocabulary_size(), None, tokenizer.eos_ids(), Some(tokenizer.pad_id()));
        self.ensure_room(&config, &device)?;
        let decoder = Decoder::init_with_seed(&config, common.seed, &device);

        let mut lineage = Lineage::of("init");
        lineage.data = Some(corpus::digest(&texts));
        lineage.settings = json!({"config": self.config, "vocabulary": wanted, "seed": common.seed});
        write_decoder(&self.out, &decoder, &tokenizer.companions(config.context_length), &lineage)?;

        let (vocabulary, parameters) = (config.vocabulary_size, config.parameters());
        let mut summary = format!(
            "{}: {} with {parameters} weights and {vocabulary} tokens, context {}",
            self.out.display(),
            config.architecture.language_model_class(),
            config.context_length
        );
        if vocabulary < wanted {
            summary += &format!("\nthe text gave fewer tokens than the {wanted} that were asked for");
        }
        let fields = json!({"out": self.out.to_string_lossy(), "parameters": parameters, "vocabulary": vocabulary});
        common.result(&summary, fields)
    }

    fn config(&self) -> anyhow::Result<DecoderConfig> {
        if let Some(config) = DecoderConfig::preset(&self.config) {
            return Ok(config);
        }
        let text = match fs::read_to_string(&self.config) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let why = format!("{}: no such file, and none of {}", self.config, PRESETS.join(", "));
                return Err(WrongInput(why).into());
            }
            text => text.map_err(|source| DataError::File { path: (&self.config).into(), source })?,
        };
        let raw = serde_json::from_str(&text).map_err(|error| WrongInput(format!("{}: {error}", self.config)))?;
        let config = DecoderConfig::from_json(raw).with_context(|| self.config.clone())?;
        // It could be computed, but transformers would not load what is written.
        if config.architecture == Architecture::Llama && !config.hidden_size.is_multiple_of(config.heads) {
            let (hidden, heads) = (config.hidden_size, config.heads);
            let why = format!("{}: hidden size {hidden} is not a multiple of {heads} heads", self.config);
            return Err(WrongInput(why).into());
        }
        Ok(config)
    }

    /// Refuses weights that memory or the disk has no room for: the system would end the program without a word.
    fn ensure_room(&self, config: &DecoderConfig, device: &Device) -> anyhow::Result<()> {
        let folder = output::folder_of(&self.out);
        ensure_room(config.parameters(), "memory", free_memory(device))?;
        ensure_room(config.parameters(), &folder.display().to_string(), free_room(folder))
    }
}

/// Refuses so many weights where fewer bytes are `free`. Where nobody knows how many are, nothing is said.
fn ensure_room(parameters: usize, place: &str, free: Option<u64>) -> anyhow::Result<()> {
    let bytes = (parameters as u64).saturating_mul(size_of::<f32>() as u64);
    match free {
        Some(free) if free < bytes => {
            let (bytes, free) = (DecimalBytes(bytes), DecimalBytes(free));
            bail!(
                "{place} has room for {free}, and the model's {parameters} weights take {bytes}; \
                 make room or name a smaller model"
            )
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_a_place_has_no_room_for_are_refused_with_what_is_free() {
        let refused = |parameters, free| ensure_room(parameters, "memory", free).map_err(|error| error.to_string());
        assert_eq!([refused(500, Some(2000)), refused(usize::MAX, None)], [Ok(()), Ok(())]);
        let why = refused(1_000_000_000, Some(1_500_000_000)).unwrap_err();
        let expected = "memory has room for 1.50 GB, and the model's 1000000000 weights take 4.00 GB;";
        assert!(why.starts_with(expected), "{why}");
        assert!(refused(usize::MAX, Some(u64::MAX - 1)).is_err(), "more than can be counted");
    }
}
