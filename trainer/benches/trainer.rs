//! One piece of work after another, timed: our side of `make bench-trainer` (scripts/bench_trainer.py, which also says
//! what each is).
//!
//!     trainer WORK MODEL [BATCH]
//!
//! Loads the model, prints `{"ready": …}`, does the work once for every line on standard input and prints
//! `{"seconds": …, "units": …}`; at the end `{"peak_bytes": …}`, of this machine's memory. BENCH_DEVICE (cpu, wgpu, cuda:N) and
//! BENCH_PRECISION (float32, bfloat16, float16) say where and in what the products are made.
#![allow(clippy::unwrap_used, reason = "a program for developers")]

use std::{
    io::{BufRead, Write},
    time::Instant,
};

use burn::{
    module::Module,
    tensor::{Device, Int, Tensor, TensorData},
};
use laurel_kernels::{
    bfloat16::{self, Rounded},
    few_rows::rows_times_matrix,
    matrix::{self, Target, View},
};
use laurel_trainer::{
    cli::device::DeviceChoice,
    data::{Example, ModelTokenizer, RewardBatch},
    generate::{SamplingSettings, generate},
    model::{Decoder, DecoderConfig, Layout, ModelDirectory, Precision, RewardEnsemble, hf, lora::LoraSettings},
    rlhf::{
        reward::{Pairs, kwise_loss_sum},
        sft::completion_nll,
    },
    train::{Accumulator, Optimiser, settings::AdamSettings},
};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RATE: f64 = 1e-5;

fn main() -> anyhow::Result<()> {
    laurel_trainer::cli::allocator::keep_freed_memory();
    // As the program runs its commands.
    laurel_trainer::cli::workers::among_workers(run)
}

fn run() -> anyhow::Result<()> {
    // Cargo adds --bench.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let Some((work, arguments)) = arguments.split_first() else { return Ok(()) };
    let model = arguments.first().cloned().unwrap_or_default();
    let batch = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    let place = Place::of_environment()?;
    let load = |model: &str| place.load(model);
    let mut work: Box<dyn FnMut() -> usize> = match work.as_str() {
        "write" => return write(&model),
        "product" if place.is_cpu() => large_product(place.precision),
        "product" => large_product_on(&place),
        "row" if place.is_cpu() => one_row(place.precision),
        "row" => one_row_on(&place),
        "sft" => sft(load(&model)?.train(), 4, 256),
        "lora" => sft(load(&model)?.with_lora(&LoraSettings::default(), 0)?.train(), 4, 256),
        "reward" => reward(&load(&model)?, 4, 4, 128),
        "greedy" => decode(load(&model)?, batch, SamplingSettings::greedy(128)),
        "sampled" => {
            let settings = SamplingSettings { top_p: 0.95, max_new_tokens: 128, ..SamplingSettings::default() };
            decode(load(&model)?, batch, settings)
        }
        "load" => {
            let place = place.clone();
            Box::new(move || place.load(&model).unwrap().num_params())
        }
        "tokenise" => tokenise(&model, arguments[1].clone())?,
        other => anyhow::bail!("no work is called {other:?}"),
    };
    say(&json!({"ready": true}));
    if std::env::var_os("BENCH_PROFILE").is_some() {
        laurel_trainer::profile::switch_on(&place.device);
    }
    for line in std::io::stdin().lock().lines() {
        line?;
        let started = Instant::now();
        let units = work();
        // A GPU may have been told only what to do.
        place.device.sync()?;
        say(&json!({"seconds": started.elapsed().as_secs_f64(), "units": units}));
    }
    eprint!("{}", laurel_trainer::profile::table());
    say(&json!({"peak_bytes": peak_bytes()}));
    Ok(())
}

fn say(value: &serde_json::Value) {
    println!("{value}");
    std::io::stdout().flush().unwrap();
}

/// Where the work is done and what its matrix products are computed in.
#[derive(Clone)]
struct Place {
    device: Device,
    precision: Precision,
}

impl Place {
    fn of_environment() -> anyhow::Result<Self> {
        let said = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let device = said("BENCH_DEVICE", "cpu").parse::<DeviceChoice>().map_err(anyhow::Error::msg)?.open()?;
        let precision: Precision = said("BENCH_PRECISION", "float32").parse().map_err(anyhow::Error::msg)?;
        precision.ensure_supported(&device)?;
        Ok(Self { device, precision })
    }

    fn is_cpu(&self) -> bool {
        self.device == Device::flex()
    }

    fn load(&self, path: &str) -> anyhow::Result<Decoder> {
        Ok(ModelDirectory::open(path)?.load_decoder(&self.device)?.with_precision(self.precision))
    }
}

/// Writes a model with random weights: `34m` as the issue of speed has it, or a preset's name, before the last `=`.
fn write(what: &str) -> anyhow::Result<()> {
    let (name, out) = what.split_once('=').ok_or_else(|| anyhow::anyhow!("expected NAME=DIRECTORY"))?;
    let mut config = DecoderConfig::preset(if name == "34m" { "llama-15m" } else { name })
        .ok_or_else(|| anyhow::anyhow!("no preset is called {name:?}"))?;
    if name == "34m" {
        (config.hidden_size, config.intermediate_size, config.layers) = (512, 1408, 8);
        (config.heads, config.key_value_heads, config.head_size) = (8, 8, 64);
        (config.vocabulary_size, config.tied_embeddings) = (8192, false);
    }
    let decoder = Decoder::init(&config, &Device::flex());
    let lineage = hf::Lineage::of("init");
    hf::write_decoder(out.as_ref(), &decoder, &hf::Companions::none(), &lineage)?;
    Ok(())
}

fn token(at: usize, vocabulary: usize) -> i32 {
    (at * 7919 % vocabulary) as i32
}

fn ids(decoder: &Decoder, batch: usize, sequence: usize, device: &Device) -> Tensor<2, Int> {
    let vocabulary = decoder.config().vocabulary_size;
    let ids = (0..batch * sequence).map(|at| token(at, vocabulary)).collect::<Vec<_>>();
    Tensor::from_data(TensorData::new(ids, [batch, sequence]), device)
}

fn adam() -> AdamSettings {
    AdamSettings { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, max_grad_norm: 1.0 }
}

/// Forward, backward, clipping, AdamW; every token but the first of a row is learned.
fn sft(decoder: Decoder, batch: usize, sequence: usize) -> Box<dyn FnMut() -> usize> {
    let device = decoder.token_embedding.device().autodiff();
    let (mut model, mut optimiser) = (Some(decoder), Optimiser::new(adam()));
    Box::new(move || {
        let decoder = model.take().unwrap();
        let ids = ids(&decoder, batch, sequence, &device);
        let hidden = decoder.hidden_states(ids.clone(), &Layout::causal(batch, sequence, &device), None);
        let mask = Tensor::ones([batch, sequence], &device);
        let (sum, tokens) = completion_nll(decoder.logits(hidden), ids, mask);
        let mut gradients = Accumulator::new();
        gradients.add(&decoder, sum, tokens);
        model = Some(optimiser.step(decoder, gradients, RATE).unwrap().0);
        batch * sequence
    })
}

/// One step over rankings: all answers of all prompts in one forward pass, the loss over their pairs. Half of a sequence is
/// the prompt. What is counted are the tokens of the answers' conversations, however often a program computes them.
fn reward(decoder: &Decoder, prompts: usize, answers: usize, sequence: usize) -> Box<dyn FnMut() -> usize> {
    let device = decoder.token_embedding.device().autodiff();
    let (mut model, mut optimiser) = (Some(RewardEnsemble::from_policy(decoder, &[0]).train()), Optimiser::new(adam()));
    let ranks: Vec<u32> = (1..=answers as u32).collect();
    let pairs = Pairs::of(&vec![ranks.clone(); prompts]);
    let (asked, vocabulary) = (sequence / 2, decoder.config().vocabulary_size);
    let example = |prompt: usize, answer: usize| {
        let own = (prompt * answers + answer + prompts) * sequence;
        let ids = (0..sequence).map(|at| token(if at < asked { prompt * sequence + at } else { own + at }, vocabulary));
        let completion_mask = (0..sequence).map(|at| u8::from(at >= asked)).collect();
        Example { ids: ids.map(|id| id as u32).collect(), completion_mask }
    };
    let examples: Vec<Vec<Example>> =
        (0..prompts).map(|prompt| (0..answers).map(|answer| example(prompt, answer)).collect()).collect();
    Box::new(move || {
        let reward = model.take().unwrap();
        let of_prompts: Vec<(&[Example], &[u32])> =
            examples.iter().map(|of_prompt| (of_prompt.as_slice(), ranks.as_slice())).collect();
        let batch = RewardBatch::new(&of_prompts, 0, &device);
        let scores = reward.scores(batch.input_ids, &batch.layout, batch.ends).squeeze_dim::<1>(1);
        let mut gradients = Accumulator::new();
        gradients.add(&reward, kwise_loss_sum(scores, &pairs), prompts as f64);
        model = Some(optimiser.step(reward, gradients, RATE).unwrap().0);
        prompts * answers * sequence
    })
}

/// 128 new tokens after 64.
fn decode(decoder: Decoder, batch: usize, settings: SamplingSettings) -> Box<dyn FnMut() -> usize> {
    let vocabulary = decoder.config().vocabulary_size;
    let prompts: Vec<Vec<u32>> =
        (0..batch).map(|row| (0..64).map(|at| token(row * 64 + at, vocabulary) as u32).collect()).collect();
    let seeds: Vec<u64> = (0..batch as u64).collect();
    Box::new(move || {
        let answers = generate(&decoder, &prompts, &settings, &[], 0, &seeds, &mut |_| {});
        answers.iter().map(|answer| answer.tokens.len()).sum()
    })
}

/// Bytes of a text file, read before.
fn tokenise(model: &str, file: String) -> anyhow::Result<Box<dyn FnMut() -> usize>> {
    let tokenizer = ModelTokenizer::open(&ModelDirectory::open(model)?)?;
    let text = std::fs::read_to_string(file)?;
    Ok(Box::new(move || {
        // Lines are texts of their own, as records are.
        let lines: Vec<&str> = text.lines().collect();
        let tokens: usize = tokenizer.encode_all(&lines).iter().map(Vec::len).sum();
        assert!(tokens > 0);
        text.len()
    }))
}

/// Floating-point operations of a product of 2048 × 2048 matrices.
fn large_product(precision: Precision) -> Box<dyn FnMut() -> usize> {
    const SIZE: usize = 2048;
    let product = if precision == Precision::Bfloat16 { bfloat16::product } else { matrix::product };
    let (a, b, mut c) = (vec![0.5f32; SIZE * SIZE], vec![0.25f32; SIZE * SIZE], vec![0.0f32; SIZE * SIZE]);
    Box::new(move || {
        product(Target::write(&mut c, SIZE), View::new(&a, SIZE, SIZE), View::new(&b, SIZE, SIZE));
        2 * SIZE * SIZE * SIZE
    })
}

/// The same on a GPU, larger, and by burn in the precision that is asked for.
fn large_product_on(place: &Place) -> Box<dyn FnMut() -> usize> {
    const SIZE: usize = 8192;
    let dtype = place.precision.dtype();
    let filled = |value: f32| Tensor::<2>::full([SIZE, SIZE], value, &place.device).cast(dtype);
    let (a, b, device) = (filled(0.5), filled(0.25), place.device.clone());
    Box::new(move || {
        let product = a.clone().matmul(b.clone());
        device.sync().unwrap();
        drop(product);
        2 * SIZE * SIZE * SIZE
    })
}

/// Bytes of a matrix, read once on a GPU by the sum of its numbers.
fn one_row_on(place: &Place) -> Box<dyn FnMut() -> usize> {
    const SIZE: usize = 16384;
    let (numbers, device) = (Tensor::<2>::ones([SIZE, SIZE], &place.device), place.device.clone());
    Box::new(move || {
        let sum = numbers.clone().sum();
        device.sync().unwrap();
        drop(sum);
        4 * SIZE * SIZE
    })
}

/// Bytes of a matrix too large for the caches, read once by a product with one row whose sums stay in them.
fn one_row(precision: Precision) -> Box<dyn FnMut() -> usize> {
    const SIZES: [usize; 2] = [1 << 16, 1 << 10];
    let [k, n] = SIZES;
    let (x, w, mut y) = (vec![0.5f32; k], vec![0.25f32; k * n], vec![0.0f32; n]);
    if precision == Precision::Bfloat16 {
        let w = Rounded::new(View::new(&w, k, n));
        return Box::new(move || {
            bfloat16::products_with(View::new(&x, 1, k), [&w], [&mut y]);
            2 * k * n
        });
    }
    Box::new(move || {
        rows_times_matrix(&x, &w, &mut y, 1);
        4 * k * n
    })
}

fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok()).unwrap_or(0) * 1024
}
