//! A whole model, block after block: each block sees what the blocks before it give once they are compressed.

use std::{cell::RefCell, collections::BTreeMap};

use burn::tensor::{Int, Tensor, TensorData};
use serde::Serialize;

use super::{
    CompressError, InputStatistics, Int8, Matrix, SparseGptSettings, magnitude, refit, sparsegpt, strongest_inputs,
    wanda,
};
use crate::{
    model::{Block, Decoder, Layout, LinearInput},
    rlhf::sft::completion_nll,
};

/// So many tokens go through a block at once.
const BATCH_TOKENS: usize = 4096;
/// And so many to the logits, each as wide as the vocabulary.
const LOGIT_TOKENS: usize = 512;
/// What keeps the refit of feed-forward channels stable, as in SparseGPT.
const CHANNEL_DAMPING: f64 = 0.01;

/// How the linears of the blocks are compressed. Embeddings, norms and the output matrix stay as they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    Int8,
    Magnitude {
        sparsity: f64,
    },
    Wanda {
        sparsity: f64,
    },
    SparseGpt(SparseGptSettings),
    /// Whole inner channels of the feed-forward blocks; attention stays as it is.
    Channels {
        sparsity: f64,
    },
}

impl Method {
    /// Whether it has to see text.
    pub fn needs_calibration(&self) -> bool {
        !matches!(self, Self::Int8 | Self::Magnitude { .. })
    }
}

/// What became of one linear.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerReport {
    /// `layers.3.q_proj`
    pub name: String,
    /// The share of its weights that is zero or gone.
    pub sparsity: f64,
    /// Σ squared change of its outputs over Σ squared outputs, on the calibration text; not known without one.
    pub relative_error: Option<f64>,
}

/// Compresses every block of `decoder` in place. `calibration`: sequences of token ids; may be empty for methods that need
/// none. `progress` is called with the number of blocks that are done.
///
/// # Errors
/// What the method says of a layer; the blocks before it are compressed by then.
pub fn compress_decoder(
    decoder: &mut Decoder,
    calibration: &[Vec<u32>],
    method: &Method,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<LayerReport>, CompressError> {
    if method.needs_calibration() && calibration.iter().all(Vec::is_empty) {
        return Err(CompressError::NoCalibration);
    }
    let mut batches = batches(decoder, calibration);
    let mut reports = vec![];
    for index in 0..decoder.blocks.len() {
        let inputs = observe(decoder, index, &batches)?;
        reports.extend(compress_block(&mut decoder.blocks[index], index, &inputs, method)?);
        for batch in &mut batches {
            batch.hidden = decoder.forward_block(index, batch.hidden.clone(), &batch.layout, None);
        }
        progress(index + 1);
    }
    if let Method::Channels { .. } = method {
        decoder.adopt_intermediate_size();
    }
    Ok(reports)
}

/// The mean negative log-likelihood of every token but the first of each sequence, in nats. `progress` gets the number of
/// sequences done.
pub fn mean_nll(decoder: &Decoder, sequences: &[Vec<u32>], progress: &mut dyn FnMut(usize)) -> f64 {
    let (mut sum, mut tokens) = (0.0, 0.0);
    let mut done = sequences.iter().filter(|sequence| sequence.is_empty()).count();
    for rows in equal_lengths(sequences, LOGIT_TOKENS) {
        let (ids, layout) = ids_and_layout(decoder, rows);
        let logits = decoder.logits(decoder.hidden_states(ids.clone(), &layout, None));
        let (nll, count) = completion_nll(logits, ids.clone(), Tensor::ones(ids.dims(), &ids.device()));
        sum += nll.into_scalar::<f64>();
        tokens += count;
        done += rows.len();
        progress(done);
    }
    sum / tokens.max(1.0)
}

/// Sequences of one length on their way through the blocks.
struct Batch {
    /// What enters the next block: `[batch, sequence, hidden]`.
    hidden: Tensor<3>,
    layout: Layout,
}

fn batches(decoder: &Decoder, sequences: &[Vec<u32>]) -> Vec<Batch> {
    let batch = |rows| {
        let (ids, layout) = ids_and_layout(decoder, rows);
        Batch { hidden: decoder.embed(ids, &layout), layout }
    };
    equal_lengths(sequences, BATCH_TOKENS).map(batch).collect()
}

/// Neighbours of equal length, so many that they have about `tokens` tokens; empty sequences are left out.
fn equal_lengths(sequences: &[Vec<u32>], tokens: usize) -> impl Iterator<Item = &[Vec<u32>]> {
    sequences.chunk_by(|a, b| a.len() == b.len()).filter(|rows| !rows[0].is_empty()).flat_map(move |rows| {
        let at_once = (tokens / rows[0].len()).max(1);
        rows.chunks(at_once)
    })
}

fn ids_and_layout(decoder: &Decoder, rows: &[Vec<u32>]) -> (Tensor<2, Int>, Layout) {
    let (batch, sequence, device) = (rows.len(), rows[0].len(), decoder.token_embedding.device());
    let ids: Vec<i32> = rows.iter().flatten().map(|&id| id as i32).collect();
    let ids = Tensor::from_data(TensorData::new(ids, [batch, sequence]), &device);
    (ids, Layout::causal(batch, sequence, &device))
}

type BlockInputs = BTreeMap<LinearInput, InputStatistics>;

/// The second moments of what the linears of a block are fed with, over all batches.
fn observe(decoder: &Decoder, index: usize, batches: &[Batch]) -> Result<BlockInputs, CompressError> {
    let seen = RefCell::new((BlockInputs::new(), Ok(())));
    let observer = |input: LinearInput, x: &Tensor<3>| {
        let [batch, sequence, size] = x.dims();
        let x = x.clone().reshape([batch * sequence, size]);
        let moments = x.clone().transpose().matmul(x).into_data_as::<f64>();
        let moments: Vec<f64> = moments.try_into_vec().expect("the data was just converted to f64");
        let (inputs, outcome) = &mut *seen.borrow_mut();
        let statistics = inputs.entry(input).or_insert_with(|| InputStatistics::new(size));
        if let Err(error) = statistics.add_moments(&moments, batch * sequence) {
            *outcome = Err(error);
        }
    };
    for batch in batches {
        decoder.forward_block(index, batch.hidden.clone(), &batch.layout, Some(&observer));
    }
    let (inputs, outcome) = seen.into_inner();
    outcome.map(|()| inputs)
}

fn compress_block(
    block: &mut Block,
    index: usize,
    inputs: &BlockInputs,
    method: &Method,
) -> Result<Vec<LayerReport>, CompressError> {
    if let Method::Channels { sparsity } = method {
        return narrow_feed_forward(block, index, inputs, *sparsity);
    }
    let (mut reports, mut outcome) = (vec![], Ok(()));
    block.for_each_linear(&mut |name, linear| {
        if outcome.is_err() {
            return;
        }
        let [columns, rows] = linear.weight.dims();
        let statistics = inputs.get(&LinearInput::of(name));
        let compressed = Matrix::from_f32(rows, columns, &linear.weight_rows()).and_then(|before| {
            let after = compress_layer(&before, statistics, method)?;
            let name = format!("layers.{index}.{name}");
            reports.push(report(name, &before, &after, statistics)?);
            Ok(after)
        });
        match compressed {
            Ok(after) => linear.set_weight_rows(&after.to_f32()),
            Err(error) => outcome = Err(error),
        }
    });
    outcome.map(|()| reports)
}

fn compress_layer(weight: &Matrix, inputs: Option<&InputStatistics>, method: &Method) -> Result<Matrix, CompressError> {
    let calibrated = inputs.ok_or(CompressError::NoCalibration);
    match method {
        Method::Int8 => Ok(Int8::quantise(weight).dequantise()),
        Method::Magnitude { sparsity } => magnitude(weight, *sparsity),
        Method::Wanda { sparsity } => wanda(weight, calibrated?, *sparsity),
        Method::SparseGpt(settings) => sparsegpt(weight, calibrated?, settings),
        // Channels are a matter of the block, not of one layer.
        Method::Channels { .. } => Ok(weight.clone()),
    }
}

fn report(
    name: String,
    before: &Matrix,
    after: &Matrix,
    inputs: Option<&InputStatistics>,
) -> Result<LayerReport, CompressError> {
    let relative_error = match inputs {
        Some(inputs) => {
            let whole = inputs.squared_output_error(before, &Matrix::zeros(before.rows(), before.columns()))?;
            let error = inputs.squared_output_error(before, after)?;
            Some(if whole > 0.0 { error / whole } else { 0.0 })
        }
        None => None,
    };
    Ok(LayerReport { name, sparsity: after.sparsity(), relative_error })
}

/// Removes inner channels of the feed-forward block; what reads the others makes up for them.
fn narrow_feed_forward(
    block: &mut Block,
    index: usize,
    inputs: &BlockInputs,
    sparsity: f64,
) -> Result<Vec<LayerReport>, CompressError> {
    let statistics = inputs.get(&LinearInput::FeedForwardOutput).ok_or(CompressError::NoCalibration)?;
    let down = &block.feed_forward.down_proj;
    let [columns, rows] = down.weight.dims();
    let before = Matrix::from_f32(rows, columns, &down.weight_rows())?;
    let kept = strongest_inputs(&before, statistics, sparsity)?;
    if kept.is_empty() {
        return Err(CompressError::Sparsity { sparsity });
    }
    let narrow = refit(&before, statistics, &kept, CHANNEL_DAMPING)?;
    // For the report: the same weight with zeros where channels are gone.
    let mut spread = Matrix::zeros(rows, columns);
    for row in 0..rows {
        kept.iter().zip(narrow.row(row)).for_each(|(j, value)| spread.row_mut(row)[*j] = *value);
    }
    let report = report(format!("layers.{index}.down_proj"), &before, &spread, Some(statistics))?;
    block.feed_forward.keep_channels(&kept, &narrow.to_f32());
    Ok(vec![report])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::model::DecoderConfig;

    fn decoder(preset: &str) -> Decoder {
        let config = DecoderConfig::preset(preset).unwrap().with_vocabulary(61, None, vec![2], None);
        let mut decoder = Decoder::init_with_seed(&config, 3, &Device::flex());
        // Weights large enough for every block to matter.
        decoder.for_each_linear(&mut |_, linear| linear.weight = linear.weight.clone().map(|weight| weight * 4.0));
        decoder
    }

    fn sequences() -> Vec<Vec<u32>> {
        let lengths = [24, 24, 24, 24, 24, 24, 17, 17, 9];
        (0..9).map(|row| (0..lengths[row as usize]).map(|i: u32| (i * i * 7 + i * row + row) % 61).collect()).collect()
    }

    fn logits(decoder: &Decoder) -> Vec<f32> {
        let (ids, layout) = ids_and_layout(decoder, &sequences()[..6]);
        decoder.logits(decoder.hidden_states(ids, &layout, None)).into_data_as::<f32>().try_into_vec().unwrap()
    }

    /// How far the logits are from the dense model's, in squares, relative.
    fn distance(preset: &str, method: &Method) -> f64 {
        let mut compressed = decoder(preset);
        compress_decoder(&mut compressed, &sequences(), method, &mut |_| ()).unwrap();
        let (dense, compressed) = (logits(&decoder(preset)), logits(&compressed));
        let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x * x)).sum::<f64>();
        squares(&mut dense.iter().zip(&compressed).map(|(a, b)| a - b)) / squares(&mut dense.iter().copied())
    }

    #[test]
    fn every_method_leaves_every_architecture_usable_and_sparsegpt_is_nearest() {
        for preset in ["gpt2-tiny", "llama-tiny", "qwen2-tiny"] {
            let by = |method| distance(preset, &method);
            let magnitude = by(Method::Magnitude { sparsity: 0.5 });
            let sparsegpt = by(Method::SparseGpt(SparseGptSettings::default()));
            let int8 = by(Method::Int8);
            assert!(int8 < 1e-3, "{preset}: int8 {int8}");
            assert!(sparsegpt < magnitude, "{preset}: SparseGPT {sparsegpt}, magnitude {magnitude}");
            assert!(by(Method::Wanda { sparsity: 0.25 }).is_finite());
        }
    }

    #[test]
    fn half_of_every_layer_goes_and_the_report_says_so() {
        let mut decoder = decoder("llama-tiny");
        let mut done = vec![];
        let method = Method::SparseGpt(SparseGptSettings { block_size: 16, ..SparseGptSettings::default() });
        let reports = compress_decoder(&mut decoder, &sequences(), &method, &mut |block| done.push(block)).unwrap();
        assert_eq!(done, (1..=decoder.blocks.len()).collect::<Vec<_>>());
        assert_eq!(reports.len(), 7 * decoder.blocks.len());
        for layer in &reports {
            assert!((layer.sparsity - 0.5).abs() < 1e-9, "{layer:?}");
            assert!(layer.relative_error.is_some_and(|error| error < 0.5), "{layer:?}");
        }
    }

    #[test]
    fn without_channels_the_model_is_smaller_and_says_so_in_its_configuration() {
        for preset in ["gpt2-tiny", "qwen2-tiny"] {
            let mut narrow = decoder(preset);
            let before = narrow.config().clone();
            let method = Method::Channels { sparsity: 0.25 };
            compress_decoder(&mut narrow, &sequences(), &method, &mut |_| ()).unwrap();
            let after = narrow.config();
            assert_eq!(after.intermediate_size, before.intermediate_size * 3 / 4);
            assert!(after.parameters() < before.parameters());
            assert!(logits(&narrow).iter().all(|x| x.is_finite()));
            assert!(distance(preset, &Method::Channels { sparsity: 0.0 }) < 1e-9);
        }
    }

    #[test]
    fn what_needs_text_says_so_and_what_needs_none_does_without() {
        let mut decoder = decoder("gpt2-tiny");
        let error = compress_decoder(&mut decoder, &[], &Method::Wanda { sparsity: 0.5 }, &mut |_| ());
        assert_eq!(error, Err(CompressError::NoCalibration));
        let reports = compress_decoder(&mut decoder, &[], &Method::Int8, &mut |_| ()).unwrap();
        assert!(reports.iter().all(|layer| layer.relative_error.is_none()));
    }

    #[test]
    fn a_uniform_model_pays_the_logarithm_of_the_vocabulary_for_each_token() {
        let mut decoder = decoder("gpt2-tiny");
        decoder.token_embedding = decoder.token_embedding.clone().map(|weight| weight * 0.0);
        let mut done = 0;
        let nll = mean_nll(&decoder, &sequences(), &mut |sequences| done = sequences);
        assert!((nll - 61f64.ln()).abs() < 1e-5);
        assert_eq!(done, sequences().len());
    }
}
