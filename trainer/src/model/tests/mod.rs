//! What a model must keep whatever it is fed with: batches, padding, caches, adapters, files.

mod adapters;
mod decoding;
mod files;
mod precision;
mod recompute;
mod refused;
mod transfers;
mod variants;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Architecture, Decoder, DecoderConfig, Layout, Rope, RopeScaling};

/// One small decoder of each architecture, with weights large enough for attention to matter.
fn decoders(device: &Device) -> Vec<Decoder> {
    ["gpt2-tiny", "llama-tiny", "qwen2-tiny"].map(|name| decoder(name, device)).to_vec()
}

fn decoder(preset: &str, device: &Device) -> Decoder {
    let mut config = DecoderConfig::preset(preset).unwrap().with_vocabulary(97, Some(1), vec![2], None);
    config.layers = 2;
    config.tied_embeddings = config.architecture != Architecture::Llama;
    if config.architecture == Architecture::Llama {
        config.rope = Some(Rope { theta: 10_000.0, scaling: RopeScaling::Linear { factor: 2.0 } });
    }
    let mut decoder = Decoder::init_with_seed(&config, 7, device);
    decoder.for_each_linear(&mut |_, linear| linear.weight = linear.weight.clone().map(|weight| weight * 5.0));
    decoder
}

fn ids(rows: &[Vec<i32>], device: &Device) -> Tensor<2, Int> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), device)
}

/// Token ids that follow no pattern the model could ignore.
fn row(length: usize, seed: i32) -> Vec<i32> {
    (0..length as i32).map(|i| (i * i * 31 + i * 17 + seed * 13) % 97).collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_to_vec().unwrap()
}

fn logits(decoder: &Decoder, rows: &[Vec<i32>], layout: &Layout, device: &Device) -> Tensor<3> {
    decoder.logits(decoder.hidden_states(ids(rows, device), layout, None))
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < 2e-5, "value {i}: {found}, expected {expected}");
    }
}
