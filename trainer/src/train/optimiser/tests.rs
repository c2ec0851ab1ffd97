//! In float16: what a scaled loss changes of a step, and what an overflow does.

use burn::tensor::{Device, Int, TensorData};

use super::*;
use crate::{
    model::{Decoder, DecoderConfig, Layout},
    train::{StageSettings, sft::SftSettings},
};

fn shared(precision: Precision) -> Shared {
    SftSettings { precision, ..SftSettings::default() }.shared()
}

fn decoder(precision: Precision) -> Decoder {
    let config = DecoderConfig::preset("llama-tiny").unwrap().with_vocabulary(61, None, vec![], None);
    Decoder::init_with_seed(&config, 3, &Device::flex()).with_precision(precision).train()
}

/// Of the squares of the logits of a few tokens, times `factor`.
fn loss(decoder: &Decoder, factor: f64) -> Tensor<1> {
    let device = Device::flex().autodiff();
    let ids = Tensor::<2, Int>::from_data(TensorData::new(vec![3, 14, 15, 9, 26, 5], [1, 6]), &device);
    decoder.logits(decoder.hidden_states(ids, &Layout::causal(1, 6, &device), None)).square().sum() * factor
}

fn weights(decoder: &Decoder) -> Vec<f32> {
    values(decoder.blocks[0].feed_forward.up_proj.weight.val().inner().flatten(0, 1))
}

/// A step of a new optimiser over a loss that is summed over `weight` tokens, in two parts: the norm, and the weights after it.
fn stepped(optimiser: &mut Optimiser, decoder: Decoder, factor: f64, weight: f64) -> (Decoder, f64) {
    let mut gradients = optimiser.accumulator();
    gradients.add(&decoder, loss(&decoder, factor), weight);
    gradients.add(&decoder, loss(&decoder, 0.5 * factor), 0.5 * weight);
    optimiser.step(decoder, gradients, 1e-2).unwrap()
}

#[test]
fn the_scale_of_the_loss_is_gone_from_gradients_and_weights() {
    let (mut exact, mut scaled) =
        (Optimiser::of(&shared(Precision::Float32)), Optimiser::of(&shared(Precision::Float16)));
    assert_eq!((exact.loss_scale(), scaled.loss_scale()), (None, Some(65_536.0)));
    assert_eq!(Optimiser::of(&shared(Precision::Bfloat16)).loss_scale(), None);
    // A gradient so small that float16 loses it as it is.
    let (factor, weight) = (1e-8, 1.0);
    let model = decoder(Precision::Float16);
    let mut lost = Accumulator::new();
    lost.add(&model, loss(&model, factor), weight);
    let (_, lost) = Optimiser::new(shared(Precision::Float16).adam).step(model, lost, 1e-2).unwrap();
    let (expected, norm) = stepped(&mut exact, decoder(Precision::Float32), factor, weight);
    let (found, norm_in_float16) = stepped(&mut scaled, decoder(Precision::Float16), factor, weight);
    assert_eq!(scaled.loss_scale(), Some(65_536.0));
    assert!(lost < 0.5 * norm, "{lost}, in float32 {norm}");
    assert!((norm_in_float16 / norm - 1.0).abs() < 0.01, "{norm_in_float16}, in float32 {norm}");
    let moved = |after: &Decoder| -> Vec<f32> {
        weights(after).iter().zip(weights(&decoder(Precision::Float32))).map(|(after, before)| after - before).collect()
    };
    let (found, expected) = (moved(&found), moved(&expected));
    let squares = |values: &[f32]| values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
    let apart: Vec<f32> = found.iter().zip(&expected).map(|(a, b)| a - b).collect();
    assert!(squares(&expected) > 0.0 && squares(&apart) < 1e-3 * squares(&expected), "{}", squares(&apart));
}

#[test]
fn an_overflow_leaves_the_step_out_and_halves_the_scale_and_a_checkpoint_knows_it() {
    let shared = shared(Precision::Float16);
    let mut optimiser = Optimiser::of(&shared);
    let (model, first) = stepped(&mut optimiser, decoder(Precision::Float16), 1.0, 100.0);
    assert!(first > 0.0);
    let before = weights(&model);
    // The same loss, said to be of so little weight that it is scaled beyond float16.
    let (model, norm) = stepped(&mut optimiser, model, 1e6, 1.0);
    assert_eq!((norm, optimiser.loss_scale()), (0.0, Some(32_768.0)));
    assert_eq!(weights(&model), before);

    let mut tensors = Tensors::new();
    optimiser.store("adam.", &mut tensors);
    let mut resumed = Optimiser::of(&shared);
    resumed.restore("adam.", &model, &mut tensors);
    assert_eq!(resumed.loss_scale(), Some(32_768.0));
    let [(one, _), (other, _)] =
        [&mut optimiser, &mut resumed].map(|optimiser| stepped(optimiser, model.clone(), 1.0, 100.0));
    assert!(weights(&one) != before && weights(&one) == weights(&other));
}

#[test]
fn overflows_at_every_scale_end_the_run_and_so_does_a_loss_that_is_no_number() {
    let mut optimiser = Optimiser::of(&shared(Precision::Float16));
    let mut model = decoder(Precision::Float16);
    for _ in 0..16 {
        (model, _) = stepped(&mut optimiser, model, 1e12, 1.0);
    }
    let mut gradients = optimiser.accumulator();
    gradients.add(&model, loss(&model, 1e12), 1.0);
    let error = optimiser.step(model.clone(), gradients, 1e-3).map(|_| ()).unwrap_err();
    assert!(matches!(error, TrainError::BeyondFloat16), "{error}");

    let mut optimiser = Optimiser::of(&shared(Precision::Float16));
    let mut gradients = optimiser.accumulator();
    gradients.add(&model, loss(&model, f64::INFINITY), 1.0);
    let error = optimiser.step(model, gradients, 1e-3).map(|_| ()).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { what: "loss" }), "{error}");
}

/// Of a loss that was dropped, say: nothing of it is kept for the next step.
#[test]
fn a_pass_that_was_never_differentiated_does_not_outlive_the_step() {
    let mut optimiser = Optimiser::of(&shared(Precision::Float32));
    let (model, other) = (decoder(Precision::Float32), decoder(Precision::Float32));
    let _recomputing = recompute::Recomputing::new(true);
    let mut gradients = optimiser.accumulator();
    drop(loss(&other, 1.0));
    gradients.add(&model, loss(&model, 1.0), 1.0);
    assert_eq!(recompute::waiting(), 1);
    let (_, norm) = optimiser.step(model, gradients, 1e-2).unwrap();
    assert!(norm > 0.0 && recompute::waiting() == 0);
}
