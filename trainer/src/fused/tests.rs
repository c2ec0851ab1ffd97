//! Against burn's own operations, which are the definition: values and every gradient of whole decoders.

use std::cell::Cell;

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Int, Tensor, TensorData},
};

use crate::{
    model::{Branches, Decoder, DecoderConfig, Layout, lora::LoraSettings},
    rlhf::logprobs::token_log_probs,
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
    let mut config = DecoderConfig::preset(preset).unwrap().with_vocabulary(331, None, vec![], None);
    config.context_length = 160;
    let device = Device::flex().autodiff();
    let decoder = Decoder::init_with_seed(&config, 3, &device);
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
