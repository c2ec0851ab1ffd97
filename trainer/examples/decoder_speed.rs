//! Measures a model: tokens a second while decoding, and a training step with and without adapters.
//!
//!     MIMALLOC_PURGE_DELAY=-1 cargo run --release -p laurel-trainer --example decoder_speed -- MODEL

use std::time::{Duration, Instant};

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor, TensorData, activation::log_softmax},
};
use laurel_trainer::model::{Decoder, Layout, ModelDirectory, lora::LoraSettings};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("usage: decoder_speed MODEL"))?;
    let started = Instant::now();
    let model = ModelDirectory::open(path)?;
    let decoder = model.load_decoder(&Device::flex())?;
    println!("{} weights, loaded in {:.1?}", decoder.num_params(), started.elapsed());
    let context = decoder.config().context_length;
    for batch in [1, 8, 32] {
        decode(&decoder, batch, (context / 2).min(64), (context / 2).min(64));
    }
    drop(decoder);

    let decoder = model.load_decoder(&Device::flex().autodiff())?;
    let adapted = decoder.clone().with_lora(&LoraSettings::default(), 0)?;
    train("adapters", &adapted, 4, context.min(128));
    train("all weights", &decoder, 4, context.min(128));
    Ok(())
}

fn decode(decoder: &Decoder, batch: usize, prompt: usize, steps: usize) {
    let device = Device::flex();
    let pads: Vec<usize> = (0..batch).map(|row| row % 3).collect();
    let mut cache = decoder.new_cache(batch, prompt + steps);
    let started = Instant::now();
    let layout = Layout::left_padded(&pads, prompt, &device);
    let hidden = decoder.hidden_states(random_ids(decoder, batch, prompt, &device), &layout, Some(&mut cache));
    let mut next: Tensor<2, Int> = decoder.logits(hidden.narrow(1, prompt - 1, 1)).argmax(2).reshape([batch, 1]);
    let _ = next.to_data();
    let prefill = started.elapsed();
    let started = Instant::now();
    for _ in 0..steps {
        let hidden = decoder.hidden_states(next, &Layout::step(&cache), Some(&mut cache));
        next = decoder.logits(hidden).argmax(2).reshape([batch, 1]);
        let _ = next.to_data();
    }
    let elapsed = started.elapsed();
    println!(
        "decode, batch {batch:2}: {:8.1} tokens/s ({:.2?} a step); prompt {:8.1} tokens/s",
        (batch * steps) as f64 / elapsed.as_secs_f64(),
        elapsed / steps as u32,
        (batch * prompt) as f64 / prefill.as_secs_f64()
    );
}

/// A step's forward and backward pass, without the optimiser: the loss is over all tokens, as in pretraining.
fn train(what: &str, decoder: &Decoder, batch: usize, sequence: usize) {
    let device = Device::flex().autodiff();
    let mut best = (Duration::MAX, Duration::MAX);
    for _ in 0..4 {
        let ids = random_ids(decoder, batch, sequence, &device);
        let started = Instant::now();
        let hidden = decoder.hidden_states(ids.clone(), &Layout::causal(batch, sequence, &device), None);
        let log_probabilities = log_softmax(decoder.logits(hidden), 2);
        let loss = -log_probabilities.gather(2, ids.unsqueeze_dim(2)).mean();
        let _ = loss.to_data();
        let forward = started.elapsed();
        let started = Instant::now();
        let _gradients = loss.backward();
        best = (best.0.min(forward), best.1.min(started.elapsed()));
    }
    let total = best.0 + best.1;
    println!(
        "train, {what}: {:.1} tokens/s (forward {:.2?}, backward {:.2?}, {batch} × {sequence} tokens)",
        (batch * sequence) as f64 / total.as_secs_f64(),
        best.0,
        best.1
    );
}

fn random_ids(decoder: &Decoder, batch: usize, sequence: usize, device: &Device) -> Tensor<2, Int> {
    let vocabulary = decoder.config().vocabulary_size;
    let ids = (0..batch * sequence).map(|i| (i * 7919 % vocabulary) as i32).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(ids, [batch, sequence]), device)
}
