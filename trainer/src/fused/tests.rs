//! Against burn's own operations, which are the definition: values and every gradient of whole decoders.

use std::cell::Cell;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Int, Tensor, TensorData},
};
use serde_json::json;

use crate::{
    model::{Branches, Decoder, DecoderConfig, Layout, lora::LoraSettings},
    rlhf::logprobs::{entropies, token_log_probs},
    train::{Optimiser, settings::AdamSettings},
};

thread_local! {
    static OFF: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread takes the plain way.
pub(super) fn switched_off() -> bool {
    OFF.get()
}

fn plainly<R>(work: impl FnOnce() -> R) -> R {
    OFF.set(true);
    let result = work();
    OFF.set(false);
    result
}

/// A model with an odd number of everything that a vector or a tile could divide; weights large enough that attention
/// is far from even.
fn decoder(preset: &str) -> Decoder {
    with_weights(&config(preset))
}

fn config(preset: &str) -> DecoderConfig {
    let mut config = DecoderConfig::preset(preset).unwrap().with_vocabulary(331, None, vec![], None);
    config.context_length = 160;
    config
}

fn with_weights(config: &DecoderConfig) -> Decoder {
    let device = Device::flex().autodiff();
    let decoder = Decoder::init_with_seed(config, 3, &device);
    struct Larger;
    impl burn::module::ModuleMapper for Larger {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| if D == 2 { Tensor::from_inner(tensor.inner() * 6).require_grad() } else { tensor })
        }
    }
    decoder.map(&mut Larger)
}

fn ids(batch: usize, sequence: usize, device: &Device) -> Tensor<2, Int> {
    let ids: Vec<i32> = (0..batch * sequence).map(|i| (i * 7919 % 331) as i32).collect();
    Tensor::from_data(TensorData::new(ids, [batch, sequence]), device)
}

/// The log-probabilities of the real tokens, weighted unevenly, and every parameter's gradient of their sum.
fn outcome(decoder: &Decoder, layout: &Layout, [batch, sequence]: [usize; 2], real: Tensor<2>) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let ids = ids(batch, sequence, &device);
    let hidden = decoder.hidden_states(ids.clone(), layout, None);
    let found = token_log_probs(decoder.logits(hidden), ids) * real;
    let weights: Vec<f32> = (0..batch * sequence).map(|i| (i % 5) as f32 - 1.5).collect();
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [batch, sequence]), &device);
    let gradients = (found.clone() * weights).sum().backward();
    struct Collect<'a>(&'a burn::tensor::Gradients, Vec<Vec<f32>>);
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = param.val().grad(self.0);
            self.1.push(gradient.map_or(vec![], |found| found.into_data().try_into_vec().unwrap()));
        }
    }
    let mut collect = Collect(&gradients, vec![found.inner().into_data().try_into_vec().unwrap()]);
    decoder.visit(&mut collect);
    collect.1
}

fn assert_alike(fused: &[Vec<f32>], plain: &[Vec<f32>]) {
    assert_eq!(fused.len(), plain.len());
    for (index, (fused, plain)) in fused.iter().zip(plain).enumerate() {
        assert_eq!(fused.len(), plain.len(), "gradient {index} is there in one and not in the other");
        let scale = plain.iter().fold(0.1f32, |most, value| most.max(value.abs()));
        for (fused, plain) in fused.iter().zip(plain) {
            assert!((fused - plain).abs() <= 3e-5 * scale, "in {index}: {fused}, plainly {plain}, of {scale}");
        }
    }
}

fn compare(decoder: &Decoder, layout: impl Fn(&Device) -> Layout, shape: [usize; 2], pads: &[usize]) {
    let device = Device::flex().autodiff();
    let real: Vec<f32> = (0..shape[0] * shape[1])
        .map(|at| f32::from(pads.get(at / shape[1]).is_none_or(|&pad| at % shape[1] >= pad)))
        .collect();
    let real = Tensor::<2>::from_data(TensorData::new(real, shape), &device);
    let fused = outcome(decoder, &layout(&device), shape, real.clone());
    let plain = plainly(|| outcome(decoder, &layout(&device), shape, real));
    assert_alike(&fused, &plain);
}

#[test]
fn values_and_gradients_are_those_of_the_plain_operations() {
    for preset in ["llama-tiny", "qwen2-tiny", "gpt2-tiny"] {
        let decoder = decoder(preset);
        compare(&decoder, |device| Layout::causal(3, 131, device), [3, 131], &[]);
        compare(&decoder, |device| Layout::left_padded(&[70, 0, 3], 90, device), [3, 90], &[70, 0, 3]);
        let segments: Vec<Vec<usize>> = [40, 101].map(|cut| (0..117).map(|at| usize::from(at >= cut)).collect()).into();
        compare(&decoder, |device| Layout::packed(&segments, device), [2, 117], &[]);
        // More than a tile is shared, or less; branches end inside a tile and beyond it; one row is padded.
        let rows = [(70, vec![5, 61]), (9, vec![30, 1, 95])].map(|(shared, lengths)| Branches { shared, lengths });
        let longest = rows.iter().map(Branches::tokens).max().unwrap();
        compare(&decoder, |device| Layout::branching(&rows, longest, device), [2, longest], &[]);
    }
}

#[test]
fn a_sliding_window_is_that_of_the_plain_operations() {
    let mut config = config("qwen2-tiny");
    let fields = [("use_sliding_window", json!(true)), ("sliding_window", json!(37)), ("max_window_layers", json!(1))];
    config.raw.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    let decoder = with_weights(&config);
    compare(&decoder, |device| Layout::causal(2, 90, device), [2, 90], &[]);
    compare(&decoder, |device| Layout::left_padded(&[0, 50], 90, device), [2, 90], &[0, 50]);
    let segments: Vec<Vec<usize>> = vec![(0..90).map(|at| usize::from(at >= 41)).collect()];
    compare(&decoder, |device| Layout::packed(&segments, device), [1, 90], &[]);
}

#[test]
fn adapters_learn_the_same_and_the_frozen_weights_nothing() {
    let mut decoder = decoder("llama-tiny").with_lora(&LoraSettings::default(), 1).unwrap();
    // A new adapter's B is zero and gives A no gradient.
    decoder.for_each_linear(&mut |_, linear| {
        let adapter = linear.adapter.as_mut().unwrap();
        let [rank, output] = adapter.b.dims();
        let values: Vec<f32> = (0..rank * output).map(|at| ((at * 31 % 17) as f32 - 8.0) / 100.0).collect();
        let values = Tensor::<2>::from_data(TensorData::new(values, [rank, output]), &Device::flex().autodiff());
        adapter.b = Param::from_tensor(values);
    });
    compare(&decoder, |device| Layout::causal(2, 70, device), [2, 70], &[]);
}

#[test]
fn one_seed_gives_the_same_bits_each_time() {
    let decoder = decoder("llama-tiny");
    let device = Device::flex().autodiff();
    let real = Tensor::<2>::ones([3, 131], &device);
    let once = || outcome(&decoder, &Layout::causal(3, 131, &device), [3, 131], real.clone());
    let first = once();
    for _ in 0..4 {
        assert_eq!(once(), first);
    }
}

/// Token by token over a cache that has to grow, with a padded row; and the entropies of laws, also of those that leave few
/// tokens to draw.
#[test]
fn what_is_written_over_a_cache_is_that_of_the_plain_operations() {
    let device = Device::flex();
    let written = |decoder: &Decoder| {
        let mut cache = decoder.new_cache(2, 40);
        let layout = Layout::left_padded(&[0, 7], 37, &device);
        let mut states = vec![decoder.last_hidden_states(ids(2, 37, &device), &layout, &mut cache)];
        for at in 0..5 {
            let next: Vec<i32> = vec![3 + at, 90 + at];
            let next = Tensor::<2, Int>::from_data(TensorData::new(next, [2, 1]), &device);
            states.push(decoder.hidden_states(next, &Layout::step(&cache), Some(&mut cache)));
        }
        let logits = decoder.logits(Tensor::cat(states, 1)).reshape([12, 331]);
        let cut = Tensor::<2>::full([12, 300], f32::NEG_INFINITY, &device);
        let few = Tensor::cat(vec![cut, logits.clone().narrow(1, 300, 31)], 1);
        vec![entropies(logits.clone()), entropies(few), logits.into_data().try_to_vec().unwrap()]
    };
    for preset in ["llama-tiny", "qwen2-tiny", "gpt2-tiny"] {
        let decoder = decoder(preset).to_answer();
        let plain = plainly(|| written(&decoder));
        assert_alike(&written(&decoder), &plain);
        assert_alike(&written(&decoder.packed()), &plain);
    }
}

/// Clipped and decaying. Where nothing is fused the steps are burn's, over the same moments: a run may go on elsewhere.
#[test]
fn steps_of_the_optimiser_are_those_of_the_plain_operations() {
    struct Values(Vec<Vec<f32>>);
    impl ModuleVisitor for Values {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.val().inner().into_data().try_to_vec().unwrap());
        }
    }
    let device = Device::flex().autodiff();
    // An ε at which the rounding of a gradient near zero does not decide where its weight goes.
    let settings = AdamSettings { beta1: 0.9, beta2: 0.95, epsilon: 1e-3, weight_decay: 0.1, max_grad_norm: 1.0 };
    let start = decoder("qwen2-tiny");
    let after = |plain: [bool; 3]| {
        let (mut optimiser, mut decoder, mut norms) = (Optimiser::new(settings), start.clone(), vec![]);
        for plain in plain {
            let ids = ids(2, 20, &device);
            let hidden = decoder.hidden_states(ids.clone(), &Layout::causal(2, 20, &device), None);
            let mut gradients = optimiser.accumulator();
            gradients.add(&decoder, -token_log_probs(decoder.logits(hidden), ids).sum(), 1.0);
            let step = || optimiser.step(decoder, gradients, 1e-2).unwrap();
            let (stepped, norm) = if plain { plainly(step) } else { step() };
            decoder = stepped;
            norms.push(norm as f32);
        }
        assert!(norms.iter().all(|norm| *norm > 1.0), "{norms:?}");
        let mut values = Values(vec![norms]);
        decoder.visit(&mut values);
        values.0
    };
    let fused = after([false; 3]);
    assert_alike(&fused, &after([true; 3]));
    assert_alike(&fused, &after([false, true, false]));
}
