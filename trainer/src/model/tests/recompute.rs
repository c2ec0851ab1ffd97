//! Gradient checkpointing gives the gradients of a pass that keeps everything.

use burn::{
    module::{Module, ModuleVisitor, Param},
    optim::{GradientsAccumulator, GradientsParams},
};

use super::*;
use crate::cli::device::device_of_tests;
use crate::model::{
    lora::LoraSettings,
    recompute::{Recomputing, backward, waiting},
};

/// The gradient of every weight that learns, in the order of the module.
fn of_weights(decoder: &Decoder, gradients: &GradientsParams) -> Vec<Vec<f32>> {
    struct Values<'a>(&'a GradientsParams, Vec<Vec<f32>>);
    impl ModuleVisitor for Values<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                let gradient = self.0.get::<D>(param.id).expect("what learns has a gradient");
                self.1.push(values(gradient));
            }
        }
    }
    let mut found = Values(gradients, vec![]);
    decoder.visit(&mut found);
    found.1
}

/// The gradients of a loss of two passes.
fn gradients(decoder: &Decoder, on: bool, device: &Device) -> Vec<Vec<f32>> {
    let _recomputing = Recomputing::new(on);
    let mut accumulated = GradientsAccumulator::new();
    // Two passes in one loss, as preferences have them; the packed one has a mask of its own.
    let rows = [row(9, 1), row(9, 2)];
    let layouts =
        [Layout::causal(2, 9, device), Layout::packed(&[vec![0, 0, 0, 0, 1, 1, 1, 2, 2], vec![0; 9]], device)];
    let losses = layouts.map(|layout| logits(decoder, &rows, &layout, device).square().mean());
    let [first, second] = losses;
    backward(first + second * 0.5, decoder, |gradients| accumulated.accumulate(decoder, gradients));
    of_weights(decoder, &accumulated.grads())
}

#[test]
fn of_all_weights_of_every_architecture() {
    let device = device_of_tests().autodiff();
    for decoder in decoders(&device_of_tests()) {
        let decoder = decoder.train();
        let (kept, recomputed) = (gradients(&decoder, false, &device), gradients(&decoder, true, &device));
        assert!(kept.iter().flatten().any(|value| value.abs() > 1e-3));
        for (kept, recomputed) in kept.iter().zip(&recomputed) {
            assert_close(recomputed, kept);
        }
    }
}

#[test]
fn of_adapters_and_of_the_upper_layers_alone() {
    let device = device_of_tests().autodiff();
    let settings = LoraSettings { rank: 4, ..LoraSettings::default() };
    let adapted = decoder("qwen2-tiny", &device_of_tests()).with_lora(&settings, 1).unwrap().train();
    assert_eq!(gradients(&adapted, false, &device), gradients(&adapted, true, &device));

    let mut upper = decoder("llama-tiny", &device_of_tests());
    upper.token_embedding = upper.token_embedding.freeze();
    upper.blocks[0] = upper.blocks[0].clone().freeze();
    let upper = upper.train();
    assert_eq!(gradients(&upper, false, &device), gradients(&upper, true, &device));
}

/// A model whose adapters add something and drop half of it.
fn dropping() -> Decoder {
    let settings = LoraSettings { rank: 4, dropout: 0.5, ..LoraSettings::default() };
    let mut decoder = decoder("llama-tiny", &device_of_tests()).with_lora(&settings, 1).unwrap();
    decoder.for_each_linear(&mut |_, linear| {
        if let Some(adapter) = &mut linear.adapter {
            adapter.b = adapter.b.clone().map(|b| b + 0.05);
        }
    });
    decoder
}

/// Frozen blocks drop nothing in a pass that keeps everything, and so nothing here.
#[test]
fn adapters_of_frozen_blocks_drop_nothing() {
    let device = device_of_tests().autodiff();
    let decoder = dropping();
    let states = |decoder: &Decoder, on: bool| {
        device.clone().without_autodiff().seed(7);
        let _recomputing = Recomputing::new(on);
        values(logits(decoder, &[row(9, 1)], &Layout::causal(1, 9, &device), &device))
    };
    let (learning, frozen) = (decoder.clone().train(), decoder.freeze().train());
    let kept = states(&frozen, false);
    assert_close(&states(&frozen, true), &kept);
    assert_ne!(states(&learning, true), kept);
}

/// As PPO has it, whose value model is one of its own.
#[test]
fn of_two_models_whose_passes_are_made_before_either_loss_is_differentiated() {
    let device = device_of_tests().autodiff();
    let models = ["gpt2-tiny", "llama-tiny"].map(|name| decoder(name, &device_of_tests()).train());
    let of = |on: bool| -> Vec<Vec<f32>> {
        let _recomputing = Recomputing::new(on);
        let layout = Layout::causal(1, 9, &device);
        let losses = models.each_ref().map(|model| logits(model, &[row(9, 1)], &layout, &device).square().mean());
        let mut found = vec![];
        for (model, loss) in models.iter().zip(losses) {
            let mut accumulated = GradientsAccumulator::new();
            backward(loss, model, |gradients| accumulated.accumulate(model, gradients));
            found.extend(of_weights(model, &accumulated.grads()));
        }
        assert_eq!(waiting(), 0);
        found
    };
    for (kept, recomputed) in of(false).iter().zip(&of(true)) {
        assert_close(recomputed, kept);
    }
}

#[test]
fn dropout_falls_on_the_same_places_both_times() {
    let device = device_of_tests().autodiff();
    let decoder = dropping().train();
    // The loss of the plain pass is linear in a scale of B's last layer only if forward and backward drop alike: compare the
    // gradient with a difference quotient under the same seed.
    let loss = |decoder: &Decoder| {
        device.clone().without_autodiff().seed(7);
        let _recomputing = Recomputing::new(true);
        logits(decoder, &[row(9, 1)], &Layout::causal(1, 9, &device), &device).mean()
    };
    let found = {
        device.clone().without_autodiff().seed(7);
        let _recomputing = Recomputing::new(true);
        let loss = logits(&decoder, &[row(9, 1)], &Layout::causal(1, 9, &device), &device).mean();
        let mut sum = 0.0;
        backward(loss, &decoder, |gradients| {
            let b = decoder.blocks[1].feed_forward.down_proj.adapter.as_ref().unwrap().b.id;
            if let Some(gradient) = gradients.get::<2>(b) {
                sum += values(gradient.sum())[0];
            }
        });
        sum
    };
    let moved = |by: f32| {
        let mut decoder = decoder.clone();
        let adapter = decoder.blocks[1].feed_forward.down_proj.adapter.as_mut().unwrap();
        adapter.b = adapter.b.clone().map(|b| b + by);
        values(loss(&decoder))[0]
    };
    let expected = (moved(0.01) - moved(-0.01)) / 0.02;
    assert!((found - expected).abs() < 0.02 * expected.abs().max(0.01), "{found}, by differences {expected}");
}
