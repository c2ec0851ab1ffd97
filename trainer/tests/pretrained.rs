//! The pretrained sample model, read from its GGUF file, beside what transformers computes with it.
//!
//! Expected values: tests/pretrained_files/smollm2.json, written by scripts/pretrained_reference.py.
#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use burn::tensor::{Device, Int, Tensor, TensorData, activation::log_softmax};
use laurel_trainer::{
    cli::device::device_of_tests,
    model::{
        Decoder, Layout, ModelDirectory,
        hf::{Lineage, write_decoder},
    },
};
use serde::Deserialize;
use tokenizers::Tokenizer;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The weights are the same numbers on both sides; 30 layers of float32 in another order of summation are not.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Expected {
    model: String,
    texts: Vec<Text>,
    conversations: Vec<Conversation>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Conversation {
    prompt: String,
    input_ids: Vec<u32>,
    token_logprobs: Vec<f64>,
    top_ids: Vec<usize>,
    top_logits: Vec<f64>,
    greedy: Vec<u32>,
    greedy_text: String,
}

#[test]
fn text_becomes_the_tokens_that_transformers_makes_of_it() {
    let tokenizer = tokenizer(model());
    for case in &expected().texts {
        let ids = encode(&tokenizer, &case.text);
        assert_eq!(ids, case.ids, "{:?}", case.text);
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), case.text);
    }
    for case in &expected().conversations {
        assert_eq!(encode(&tokenizer, &case.prompt), case.input_ids, "{:?}", case.prompt);
        assert_eq!(tokenizer.decode(&case.greedy, true).unwrap(), case.greedy_text);
    }
}

#[test]
fn probabilities_and_greedy_answers_are_those_of_transformers() {
    for case in &expected().conversations {
        check_conversation(decoder(), case);
    }
}

#[test]
fn conversations_of_different_length_are_answered_the_same_in_one_batch() {
    let cases = &expected().conversations;
    let prompts: Vec<_> = cases.iter().map(|case| case.input_ids.clone()).collect();
    let steps = cases.iter().map(|case| case.greedy.len()).max().unwrap();
    let answers = greedy(decoder(), &prompts, steps);
    for (case, answer) in cases.iter().zip(answers) {
        assert_eq!(answer[..case.greedy.len()], case.greedy, "{:?}", case.prompt);
    }
}

#[test]
fn written_as_a_directory_it_is_the_same_model() {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("smollm2");
    let companions = model().companions().unwrap();
    write_decoder(&out, decoder(), &companions, &Lineage::of("import")).unwrap();

    let written = ModelDirectory::open(&out).unwrap();
    assert_eq!(written.chat_template().unwrap(), model().chat_template().unwrap());
    assert_eq!(written.stop_token_ids().unwrap(), model().stop_token_ids().unwrap());
    assert_eq!(written.lineage().unwrap().unwrap().stage, "import");
    let tokenizer = tokenizer(&written);
    let case = &expected().conversations[0];
    assert_eq!(encode(&tokenizer, &case.prompt), case.input_ids);
    check_conversation(&written.load_decoder(&device_of_tests()).unwrap(), case);
}

fn check_conversation(decoder: &Decoder, case: &Conversation) {
    let device = device_of_tests();
    let length = case.input_ids.len();
    let ids = tensor(std::slice::from_ref(&case.input_ids), &device);
    let logits = decoder.logits(decoder.hidden_states(ids, &Layout::causal(1, length, &device), None));
    let vocabulary = logits.dims()[2];

    let last = logits.clone().narrow(1, length - 1, 1);
    let last: Vec<f64> = last.into_data_as::<f64>().try_to_vec().unwrap();
    let found: Vec<f64> = case.top_ids.iter().map(|&id| last[id]).collect();
    assert_close(&format!("{:?}: logits", case.prompt), &found, &case.top_logits);

    let all: Vec<f64> = log_softmax(logits, 2).into_data_as::<f64>().try_to_vec().unwrap();
    let found: Vec<f64> = (1..length).map(|t| all[(t - 1) * vocabulary + case.input_ids[t] as usize]).collect();
    assert_close(&format!("{:?}: log-probabilities", case.prompt), &found, &case.token_logprobs);

    let answer = greedy(decoder, std::slice::from_ref(&case.input_ids), case.greedy.len());
    assert_eq!(answer[0], case.greedy, "{:?}", case.prompt);
}

fn assert_close(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= TOLERANCE, "{what}[{i}]: {found}, expected {expected}");
    }
}

/// Takes the likeliest token `steps` times, over the cache, prompts padded on the left.
fn greedy(decoder: &Decoder, prompts: &[Vec<u32>], steps: usize) -> Vec<Vec<u32>> {
    let device = device_of_tests();
    let longest = prompts.iter().map(Vec::len).max().unwrap();
    let pads: Vec<usize> = prompts.iter().map(|prompt| longest - prompt.len()).collect();
    let mut ids: Vec<Vec<u32>> =
        prompts.iter().zip(&pads).map(|(prompt, &pad)| [vec![0; pad], prompt.clone()].concat()).collect();
    let mut layout = Layout::left_padded(&pads, longest, &device);
    let mut cache = decoder.new_cache(prompts.len(), longest + steps);
    let mut out = vec![vec![]; prompts.len()];
    for _ in 0..steps {
        let hidden = decoder.hidden_states(tensor(&ids, &device), &layout, Some(&mut cache));
        let last = hidden.dims()[1] - 1;
        let next = decoder.logits(hidden.narrow(1, last, 1)).argmax(2);
        let next: Vec<i64> = next.into_data_as::<i64>().try_to_vec().unwrap();
        ids = next.iter().map(|&id| vec![id as u32]).collect();
        out.iter_mut().zip(&next).for_each(|(row, &id)| row.push(id as u32));
        layout = Layout::step(&cache);
    }
    out
}

fn tensor(rows: &[Vec<u32>], device: &Device) -> Tensor<2, Int> {
    let shape = [rows.len(), rows[0].len()];
    let values: Vec<i32> = rows.iter().flatten().map(|&id| id as i32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn tokenizer(model: &ModelDirectory) -> Tokenizer {
    let json = model.tokenizer_json().unwrap().expect("the model has a tokenizer");
    Tokenizer::from_bytes(json).unwrap()
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(text, false).unwrap().get_ids().to_vec()
}

fn expected() -> &'static Expected {
    static EXPECTED: OnceLock<Expected> = OnceLock::new();
    EXPECTED.get_or_init(|| serde_json::from_str(include_str!("pretrained_files/smollm2.json")).unwrap())
}

fn model() -> &'static ModelDirectory {
    static MODEL: OnceLock<ModelDirectory> = OnceLock::new();
    MODEL.get_or_init(|| {
        let path = sample_data().join(&expected().model);
        assert!(path.exists(), "{} is missing: run `make sample-data`", path.display());
        ModelDirectory::open(path).unwrap()
    })
}

fn decoder() -> &'static Decoder {
    static DECODER: OnceLock<Decoder> = OnceLock::new();
    DECODER.get_or_init(|| model().load_decoder(&device_of_tests()).unwrap())
}

fn sample_data() -> PathBuf {
    match std::env::var_os("LAUREL_SAMPLE_DATA") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/sample-data"),
    }
}
