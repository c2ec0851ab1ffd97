//! The sample project's own model: small enough to be carried, and able to answer the sample's questions.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use laurel_trainer::{
    cli::device::device_of_tests,
    data::{ModelTokenizer, records},
    generate::{SamplingSettings, generate},
    model::ModelDirectory,
};

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample")
}

#[test]
fn the_tiny_model_stays_below_two_megabytes() {
    let files = fs::read_dir(sample().join("tiny-model")).unwrap();
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 2_000_000, "{bytes} bytes");
}

#[test]
fn its_tokenizer_gives_back_the_sample_in_fewer_tokens_than_bytes() {
    let tokenizer = ModelTokenizer::open(&ModelDirectory::open(sample().join("tiny-model")).unwrap()).unwrap();
    let (mut bytes, mut tokens) = (0, 0);
    for record in records::demonstrations(&sample().join("demonstrations.jsonl")).unwrap() {
        let text = &record.completion[0].content;
        let ids = tokenizer.encode(text);
        assert_eq!(&tokenizer.decode(&ids, true), text);
        bytes += text.len();
        tokens += ids.len();
    }
    assert!(tokens * 3 < bytes, "{tokens} tokens for {bytes} bytes");
}

#[test]
fn it_ends_its_answers_and_has_not_the_manner_before_it_is_shown() {
    let model = ModelDirectory::open(sample().join("tiny-model")).unwrap();
    let tokenizer = ModelTokenizer::open(&model).unwrap();
    let decoder = model.load_decoder(&device_of_tests()).unwrap();
    let prompts: Vec<Vec<u32>> = records::prompts(&sample().join("prompts.jsonl"))
        .unwrap()
        .iter()
        .map(|record| tokenizer.prompt(&record.prompt).unwrap())
        .collect();
    let settings = SamplingSettings::greedy(120);
    let seeds = vec![0; prompts.len()];
    let (stops, pad) = (tokenizer.stop_ids(), tokenizer.pad_id());
    let answers = generate(&decoder, &prompts, &settings, stops, pad, &seeds, &mut |_| {});
    let finished = answers.iter().filter(|answer| answer.finished).count();
    assert!(finished * 10 > answers.len() * 9, "{finished} of {} answers end", answers.len());
    let with_leaf = answers.iter().filter(|answer| tokenizer.decode(&answer.tokens, true).contains('🌿')).count();
    assert_eq!(with_leaf, 0);
}
