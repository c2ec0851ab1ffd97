//! The options of every command that samples answers.

use super::{WrongInput, numbers};
use crate::generate::SamplingSettings;

/// How answers are drawn.
#[derive(Debug, Clone, clap::Args)]
pub struct SamplingArgs {
    /// The longest answer, in tokens
    #[arg(long, default_value_t = 128, value_name = "N", value_parser = numbers::whole::<usize>)]
    pub max_new_tokens: usize,
    /// Divides the logits; 0 takes the likeliest token each time
    #[arg(long, default_value_t = 1.0, value_name = "X", value_parser = numbers::number)]
    temperature: f64,
    /// Only the N likeliest tokens; 0 means all
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = numbers::whole::<usize>)]
    top_k: usize,
    /// Only the likeliest tokens that together have this probability; 1 means all
    #[arg(long, default_value_t = 1.0, value_name = "P", value_parser = numbers::number)]
    top_p: f64,
}

impl SamplingArgs {
    /// The settings that the options say; numbers that no law can be made of are refused.
    pub fn settings(&self) -> Result<SamplingSettings, WrongInput> {
        let settings = SamplingSettings {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            max_new_tokens: self.max_new_tokens,
        };
        settings.check().map_err(WrongInput)?;
        Ok(settings)
    }
}
