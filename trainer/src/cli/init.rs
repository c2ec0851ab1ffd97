//! `init`: a new model with a tokenizer of its own and random weights.

use std::{fs, path::PathBuf};

use anyhow::Context;
use serde_json::json;

use super::{Common, WrongInput, numbers, output};
use crate::{
    data::{DataError, corpus, new_tokenizer::NewTokenizer},
    model::{
        Decoder, DecoderConfig, PRESETS,
        hf::{Lineage, ensure_free, write_decoder},
    },
    terminal::{self, counted},
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
        DecoderConfig::from_json(raw).with_context(|| self.config.clone())
    }
}
