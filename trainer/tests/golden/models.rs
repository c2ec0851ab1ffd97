//! Models: what transformers computes with the same weights.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData, activation::log_softmax};
use laurel_trainer::{
    cli::device::device_of_tests,
    model::{Decoder, Layout, ModelDirectory},
};
use serde::Deserialize;

use crate::{assert_close, directory, entries, without_remarks};

const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    input_ids: Vec<u32>,
    /// After the last token, over the vocabulary.
    last_logits: Vec<f64>,
    /// Of each token but the first, given those before it.
    token_logprobs: Vec<f64>,
    /// The eight tokens that follow when the likeliest is taken each time; fewer where an end of text is among them.
    greedy_8: Vec<u32>,
}

#[test]
fn every_model_agrees_with_transformers() {
    for path in entries(&directory().join("models")) {
        let (decoder, expected) = open(&path);
        for (i, row) in expected.rows.iter().enumerate() {
            let what = format!("{} row {i}", path.display());
            check_row(&what, &decoder, row);
        }
    }
}

#[test]
fn rows_of_different_length_in_one_batch_continue_as_each_alone() {
    for path in entries(&directory().join("models")) {
        let (decoder, expected) = open(&path);
        // Prefixes of different lengths, so that there is padding; the last row is whole.
        let rows = expected.rows.len();
        let prompts: Vec<Vec<u32>> = expected
            .rows
            .iter()
            .enumerate()
            .map(|(i, row)| {
                let length = row.input_ids.len();
                row.input_ids[..length - (rows - 1 - i).min(length - 1)].to_vec()
            })
            .collect();
        let together = greedy(&decoder, &prompts, 8);
        for (i, prompt) in prompts.iter().enumerate() {
            let alone = greedy(&decoder, std::slice::from_ref(prompt), 8);
            assert_eq!(together[i], alone[0], "{} row {i}", path.display());
        }
        let expected = &expected.rows[rows - 1].greedy_8;
        assert_eq!(&together[rows - 1][..expected.len().min(8)], expected.as_slice(), "{}", path.display());
    }
}

fn open(path: &Path) -> (Decoder, Expected) {
    let file = path.join("expected.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let expected: Expected = serde_json::from_str(&text)
        .and_then(|content| serde_json::from_value(without_remarks(content)))
        .unwrap_or_else(|error| panic!("{}: no test knows this: {error}", file.display()));
    assert!(!expected.rows.is_empty(), "{}: holds no row", file.display());
    let directory = ModelDirectory::open(path).unwrap_or_else(|error| panic!("{error}"));
    let decoder = directory.load_decoder(&device_of_tests()).unwrap_or_else(|error| panic!("{error}"));
    (decoder, expected)
}

fn check_row(what: &str, decoder: &Decoder, row: &Row) {
    let device = device_of_tests();
    let length = row.input_ids.len();
    let ids = tensor(std::slice::from_ref(&row.input_ids), &device);
    let hidden = decoder.hidden_states(ids, &Layout::causal(1, length, &device), None);
    let logits = decoder.logits(hidden);
    let vocabulary = logits.dims()[2];
    let values: Vec<f64> = logits.clone().into_data_as::<f64>().try_to_vec().unwrap();
    assert_close(&format!("{what}: last_logits"), &values[(length - 1) * vocabulary..], &row.last_logits, TOLERANCE);
    let log_probabilities: Vec<f64> = log_softmax(logits, 2).into_data_as::<f64>().try_to_vec().unwrap();
    let of_tokens: Vec<f64> =
        (1..length).map(|t| log_probabilities[(t - 1) * vocabulary + row.input_ids[t] as usize]).collect();
    assert_close(&format!("{what}: token_logprobs"), &of_tokens, &row.token_logprobs, TOLERANCE);
    let continued = greedy(decoder, std::slice::from_ref(&row.input_ids), row.greedy_8.len());
    assert_eq!(continued[0], row.greedy_8, "{what}: greedy_8");
}

/// Takes the likeliest token `steps` times, over the cache, prompts padded on the left.
fn greedy(decoder: &Decoder, prompts: &[Vec<u32>], steps: usize) -> Vec<Vec<u32>> {
    let device = device_of_tests();
    let longest = prompts.iter().map(Vec::len).max().unwrap();
    let pads: Vec<usize> = prompts.iter().map(|prompt| longest - prompt.len()).collect();
    let padded: Vec<Vec<u32>> =
        prompts.iter().zip(&pads).map(|(prompt, &pad)| [vec![0; pad], prompt.clone()].concat()).collect();
    let mut cache = decoder.new_cache(prompts.len(), longest + steps);
    let mut hidden = decoder.hidden_states(
        tensor(&padded, &device),
        &Layout::left_padded(&pads, longest, &device),
        Some(&mut cache),
    );
    let mut out = vec![vec![]; prompts.len()];
    for step in 0..steps {
        let last = hidden.dims()[1] - 1;
        let next = decoder.logits(hidden.narrow(1, last, 1)).argmax(2);
        let next: Vec<u32> =
            next.into_data_as::<i64>().try_to_vec::<i64>().unwrap().iter().map(|&id| id as u32).collect();
        out.iter_mut().zip(&next).for_each(|(row, &id)| row.push(id));
        if step + 1 == steps {
            break;
        }
        let ids: Vec<Vec<u32>> = next.iter().map(|&id| vec![id]).collect();
        hidden = decoder.hidden_states(tensor(&ids, &device), &Layout::step(&cache), Some(&mut cache));
    }
    out
}

fn tensor(rows: &[Vec<u32>], device: &Device) -> Tensor<2, Int> {
    let shape = [rows.len(), rows[0].len()];
    let values: Vec<i32> = rows.iter().flatten().map(|&id| id as i32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
