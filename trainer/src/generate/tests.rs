//! What a row gets depends on its prompt and its seed alone.

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};

use super::{Generated, SamplingSettings, generate, generate_in_batches};
use crate::cli::device::device_of_tests;
use crate::model::{Decoder, DecoderConfig, Layout};

const VOCABULARY: usize = 97;
const PAD: u32 = 0;

/// One small decoder of each architecture, with weights large enough for attention to matter.
fn decoders() -> Vec<Decoder> {
    ["gpt2-tiny", "llama-tiny", "qwen2-tiny"].map(|preset| decoder(preset, 64)).to_vec()
}

fn decoder(preset: &str, context_length: usize) -> Decoder {
    let config = DecoderConfig::preset(preset).unwrap().with_vocabulary(VOCABULARY, None, vec![], None);
    let config = DecoderConfig { layers: 2, context_length, ..config };
    let mut decoder = Decoder::init_with_seed(&config, 7, &device_of_tests());
    decoder.for_each_linear(&mut |_, linear| linear.weight = linear.weight.clone().map(|weight| weight * 5.0));
    decoder.token_embedding = decoder.token_embedding.map(|weight| weight * 6.0);
    decoder
}

fn prompt(length: u32, seed: u32) -> Vec<u32> {
    (0..length).map(|i| (i * i * 31 + i * 17 + seed * 13) % VOCABULARY as u32).collect()
}

fn sampled(decoder: &Decoder, prompts: &[Vec<u32>], seeds: &[u64], stop_ids: &[u32]) -> Vec<Generated> {
    let settings = SamplingSettings { temperature: 1.2, top_k: 60, top_p: 0.95, max_new_tokens: 12 };
    generate(decoder, prompts, &settings, stop_ids, PAD, seeds, &mut |_| {})
}

#[track_caller]
fn assert_same(found: &Generated, expected: &Generated) {
    assert_eq!((&found.tokens, found.finished), (&expected.tokens, expected.finished));
    for (found, expected) in found.logprobs.iter().zip(&expected.logprobs) {
        assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
    }
}

/// Logits after the last of `ids`, by a forward pass over all of them.
fn whole_forward(decoder: &Decoder, ids: &[u32]) -> Tensor<1> {
    let device = device_of_tests();
    let values: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
    let input = Tensor::<2, Int>::from_data(TensorData::new(values, [1, ids.len()]), &device);
    let hidden = decoder.hidden_states(input, &Layout::causal(1, ids.len(), &device), None);
    decoder.logits(hidden.narrow(1, ids.len() - 1, 1)).reshape([VOCABULARY])
}

#[test]
fn company_in_the_batch_changes_nothing() {
    for decoder in decoders() {
        let prompts = [prompt(9, 1), prompt(3, 2), prompt(9, 1), prompt(1, 3), prompt(6, 4)];
        let seeds = [11, 12, 13, 14, 15];
        // A third of the vocabulary ends an answer, so that rows end at different steps.
        let stop_ids: Vec<u32> = (0..VOCABULARY as u32).filter(|id| id % 3 == 0).collect();
        let together = sampled(&decoder, &prompts, &seeds, &stop_ids);
        let mut lengths: Vec<usize> = together.iter().map(|answer| answer.tokens.len()).collect();
        for (row, answer) in together.iter().enumerate() {
            let alone = sampled(&decoder, &prompts[row..=row], &seeds[row..=row], &stop_ids);
            assert_same(answer, &alone[0]);
        }
        lengths.dedup();
        assert!(lengths.len() > 1, "every row ended at the same step: the test says nothing");
        // The same prompt with another seed is another answer.
        let free = sampled(&decoder, &prompts, &seeds, &[]);
        assert_ne!(free[0].tokens, free[2].tokens);
    }
}

#[test]
fn batches_give_what_one_batch_gives_in_the_order_of_the_prompts() {
    let decoder = decoder("llama-tiny", 64);
    let prompts: Vec<Vec<u32>> = (1..8).map(|i| prompt(1 + i * 5 % 7, i)).collect();
    let seeds: Vec<u64> = (0..7).collect();
    let settings = SamplingSettings { max_new_tokens: 6, ..SamplingSettings::default() };
    let mut told = vec![];
    let mut progress = |ended: usize| told.push(ended);
    let batches = generate_in_batches(&decoder, &prompts, &settings, &[5], PAD, &seeds, 3, true, &mut progress);
    let whole = generate(&decoder, &prompts, &settings, &[5], PAD, &seeds, &mut |_| {});
    batches.iter().zip(&whole).for_each(|(found, expected)| assert_same(found, expected));
    assert!(told.is_sorted() && told.last() == Some(&7), "{told:?}");
}

#[test]
fn of_many_answers_what_their_tokens_were_drawn_from_is_kept_only_where_it_is_wanted() {
    let decoder = decoder("llama-tiny", 64);
    let prompts: Vec<Vec<u32>> = (1..6).map(|i| prompt(3, i)).collect();
    let settings = SamplingSettings { max_new_tokens: 4, top_p: 0.9, ..SamplingSettings::default() };
    let answers =
        |keeps_laws| generate_in_batches(&decoder, &prompts, &settings, &[], PAD, &[1; 5], 2, keeps_laws, &mut |_| {});
    let (with, without) = (answers(true), answers(false));
    for (with, without) in with.iter().zip(&without) {
        assert_eq!((with.tokens.len(), with.kept.len(), without.kept.len()), (4, 4, 0));
        assert_eq!(with.tokens, without.tokens);
    }
}

#[test]
fn the_likeliest_tokens_are_those_of_the_whole_forward() {
    for decoder in decoders() {
        let prompts = [prompt(7, 1), prompt(2, 2)];
        let answers = generate(&decoder, &prompts, &SamplingSettings::greedy(8), &[], PAD, &[0, 0], &mut |_| {});
        for (prompt, answer) in prompts.iter().zip(&answers) {
            let mut ids = prompt.clone();
            for &token in &answer.tokens {
                let likeliest: i64 = whole_forward(&decoder, &ids).argmax(0).into_scalar();
                assert_eq!(i64::from(token), likeliest);
                ids.push(token);
            }
            assert_eq!((answer.tokens.len(), answer.finished), (8, false));
        }
    }
}

#[test]
fn log_probabilities_are_those_of_the_whole_forward() {
    for decoder in decoders() {
        let prompts = [prompt(7, 1), prompt(2, 2)];
        let settings = SamplingSettings { temperature: 0.7, max_new_tokens: 8, ..SamplingSettings::default() };
        let answers = generate(&decoder, &prompts, &settings, &[], PAD, &[3, 4], &mut |_| {});
        for (prompt, answer) in prompts.iter().zip(&answers) {
            let mut ids = prompt.clone();
            for (&token, &found) in answer.tokens.iter().zip(&answer.logprobs) {
                let law = log_softmax(whole_forward(&decoder, &ids) / 0.7, 0);
                let expected = law.into_data_as::<f32>().try_to_vec::<f32>().unwrap()[token as usize];
                assert!((found - expected).abs() < 1e-4, "{found}, expected {expected}");
                ids.push(token);
            }
        }
    }
}

#[test]
fn a_stop_token_ends_the_answer_and_is_its_last_token() {
    let decoder = decoder("gpt2-tiny", 64);
    let free = sampled(&decoder, &[prompt(5, 1)], &[1], &[]);
    let stop = free[0].tokens[4];
    let first = free[0].tokens.iter().position(|&token| token == stop).unwrap();
    let stopped = sampled(&decoder, &[prompt(5, 1)], &[1], &[stop]);
    assert_eq!(stopped[0].tokens, free[0].tokens[..=first]);
    assert!(stopped[0].finished && !free[0].finished);
    assert_eq!(stopped[0].logprobs.len(), first + 1);
}

#[test]
fn an_answer_ends_where_the_context_does() {
    for preset in ["gpt2-tiny", "llama-tiny"] {
        let decoder = decoder(preset, 16);
        let prompts = [prompt(13, 1), prompt(2, 2), prompt(16, 3), vec![]];
        let answers = sampled(&decoder, &prompts, &[1, 2, 3, 4], &[]);
        let lengths: Vec<usize> = answers.iter().map(|answer| answer.tokens.len()).collect();
        assert_eq!(lengths, [3, 12, 0, 0]);
        assert!(answers.iter().all(|answer| !answer.finished));
    }
}
