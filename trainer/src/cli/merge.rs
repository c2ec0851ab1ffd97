//! `laurel-trainer merge`: a base and an adapter become one model.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Common, output};
use crate::model::{
    ModelDirectory,
    hf::{Lineage, ModelKind, WriteOptions, ensure_free, write_decoder_as, write_reward_model_as},
};

/// Put an adapter (PEFT's files) into the weights of its base: a whole model that needs neither
#[derive(Debug, Clone, Args)]
pub struct Merge {
    /// The adapter: a folder with adapter_config.json and adapter_model.safetensors
    #[arg(long, value_name = "DIR")]
    adapter: PathBuf,
    /// The model that it changes; when not given, the one that it names
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// Where the merged model appears, whole
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
}

impl Merge {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        ensure_free(&self.out)?;
        output::prepare_model(&self.out)?;
        let directory = match &self.model {
            Some(base) => ModelDirectory::open(base)?.with_adapter(&self.adapter)?,
            None => ModelDirectory::open(&self.adapter)?,
        };
        if !directory.is_adapter() {
            let text = format!("{} is a whole model already, not an adapter", self.adapter.display());
            return Err(super::WrongInput(text).into());
        }
        let device = common.device.open()?;
        let lineage = Lineage { parent: Some(directory.digest()?), ..Lineage::of("merge") };
        let options = WriteOptions::default();
        match directory.kind() {
            ModelKind::LanguageModel => {
                let (companions, decoder) = (directory.companions()?, directory.load_decoder(&device)?);
                write_decoder_as(&self.out, &decoder, &companions, &lineage, &options)?;
            }
            ModelKind::RewardModel => {
                let companions = directory.reward_companions(&device)?;
                let model = directory.load_reward_model(&device)?;
                write_reward_model_as(&self.out, &model, &companions, &lineage, &options)?;
            }
        }
        common.result(&format!("{}", self.out.display()), json!({ "out": self.out.to_string_lossy() }))
    }
}
