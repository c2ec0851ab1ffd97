//! `logprobs`: the log-probability of every token of given sequences, and the logits after the last.

use std::{
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use anyhow::Context;
use burn::tensor::{Device, Int, Tensor, TensorData, activation::log_softmax};
use serde::Serialize;

use super::{Common, precision::PrecisionArgs};
use crate::{
    data::records::{self, TokenIds},
    model::{Decoder, Layout, ModelDirectory},
};

/// Log-probabilities of token ids: a line {"input_ids":[…]} in, {"token_logprobs":[…],"last_logits":[…]} out
///
/// Works on token ids, so the model needs no tokenizer. token_logprobs has one number for each token but the first;
/// last_logits has one for each token of the vocabulary. Results go to standard output in the order of the lines.
#[derive(Debug, clap::Args)]
pub struct Logprobs {
    /// A language model
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// A JSONL file with input_ids; - is standard input
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    #[command(flatten)]
    precision: PrecisionArgs,
}

#[derive(Serialize)]
struct Answer {
    token_logprobs: Vec<f32>,
    last_logits: Vec<f32>,
}

impl Logprobs {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let device = common.device.open()?;
        let precision = self.precision.on(&device)?;
        let model = ModelDirectory::open(&self.model)?;
        let config = model.config();
        let rows = records::token_ids(&self.data, config.vocabulary_size, config.context_length)?;
        let decoder = model.load_decoder(&device)?.with_precision(precision);

        let mut out = BufWriter::new(io::stdout().lock());
        for row in &rows {
            let answer = serde_json::to_string(&log_probabilities(&decoder, row, &device))?;
            writeln!(out, "{answer}").and_then(|()| out.flush()).context("standard output")?;
        }
        Ok(())
    }
}

fn log_probabilities(decoder: &Decoder, row: &TokenIds, device: &Device) -> Answer {
    let length = row.input_ids.len();
    let ids: Vec<i32> = row.input_ids.iter().map(|&id| id as i32).collect();
    let input_ids = Tensor::<2, Int>::from_data(TensorData::new(ids.clone(), [1, length]), device);
    let logits = decoder.logits(decoder.hidden_states(input_ids, &Layout::causal(1, length, device), None));
    let last_logits = values(logits.clone().narrow(1, length - 1, 1));
    if length == 1 {
        return Answer { token_logprobs: vec![], last_logits };
    }
    let targets = Tensor::<3, Int>::from_data(TensorData::new(ids[1..].to_vec(), [1, length - 1, 1]), device);
    let law = log_softmax(logits.narrow(1, 0, length - 1), 2);
    Answer { token_logprobs: values(law.gather(2, targets)), last_logits }
}

fn values(tensor: Tensor<3>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_to_vec().expect("the data was just converted to f32")
}
