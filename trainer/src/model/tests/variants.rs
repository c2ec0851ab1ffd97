//! What some checkpoints of an architecture do otherwise than most.

use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::cli::device::device_of_tests;
use crate::model::{
    Activation, Branches, ModelDirectory, RewardModel,
    hf::{Companions, Lineage, write_reward_model},
};

/// As `GPT2Attention` of transformers: q·kᵀ / √size is divided by the layer's number too, or not by the root.
#[test]
fn gpt2s_that_scale_their_scores_otherwise_are_computed_as_they_say_and_written_so() {
    let device = device_of_tests();
    let plain = decoder("gpt2-tiny", &device);
    let root = (plain.config().head_size as f32).sqrt();
    let of = |decoder: &Decoder| values(logits(decoder, &[row(9, 1)], &Layout::causal(1, 9, &device), &device));
    let cases = [(true, true, [1.0, 0.5]), (false, false, [root; 2]), (true, false, [root, root / 2.0])];
    for (inverse, scaled, factors) in cases {
        let mut config = plain.config().clone();
        config.raw.insert("scale_attn_by_inverse_layer_idx".into(), json!(inverse));
        config.raw.insert("scale_attn_weights".into(), json!(scaled));
        let config = DecoderConfig::from_json(config.to_json()).unwrap();
        let mut found = Decoder::init_with_seed(&config, 7, &device);
        found.for_each_linear(&mut |_, linear| linear.weight = linear.weight.clone().map(|weight| weight * 5.0));
        // The same as if the queries themselves were larger or smaller.
        let mut expected = plain.clone();
        for (block, factor) in expected.blocks.iter_mut().zip(factors) {
            let queries = &mut block.attention.q_proj;
            queries.weight = queries.weight.clone().map(|weight| weight * factor);
            queries.bias = queries.bias.clone().map(|bias| bias.map(|bias| bias * factor));
        }
        assert_close(&of(&found), &of(&expected));
        let moved = of(&found).iter().zip(of(&plain)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(moved > 1e-3, "{moved}");
    }
}

/// By the names of transformers' `ACT2FN`, several of which mean the same.
#[test]
fn every_activation_of_gpt2_is_read_and_written_under_a_name_that_means_it() {
    let plain = decoder("gpt2-tiny", &device_of_tests()).config().to_json();
    for (name, expected) in [
        ("gelu_new", Activation::GeluTanh),
        ("gelu_fast", Activation::GeluTanh),
        ("gelu_accurate", Activation::GeluTanh),
        ("gelu_pytorch_tanh", Activation::GeluTanh),
        ("gelu_python_tanh", Activation::GeluTanh),
        ("gelu", Activation::Gelu),
        ("gelu_python", Activation::Gelu),
        ("relu", Activation::Relu),
        ("silu", Activation::Silu),
        ("swish", Activation::Silu),
        ("tanh", Activation::Tanh),
    ] {
        let mut config = plain.clone();
        config.insert("activation_function".into(), json!(name));
        let read = DecoderConfig::from_json(config).unwrap();
        assert_eq!(read.activation, expected, "{name}");
        assert_eq!(DecoderConfig::from_json(read.to_json()).unwrap().activation, expected, "{name}");
    }
}

/// Expected: `layer_types` of the Qwen2Config that transformers makes of the same fields.
#[test]
fn layers_of_a_qwen2_slide_that_do_so_in_transformers() {
    let plain = decoder("qwen2-tiny", &device_of_tests()).config().to_json();
    for (fields, expected) in [
        (json!({"sliding_window": 8, "max_window_layers": 0}), [Some(8); 2]),
        (json!({"sliding_window": 8, "max_window_layers": 1}), [None, Some(8)]),
        (json!({"sliding_window": 8, "layer_types": ["full_attention", "sliding_attention"]}), [None, Some(8)]),
        (json!({"sliding_window": 8, "max_window_layers": 2}), [None; 2]),
        (json!({"sliding_window": 8}), [None; 2]),
        (json!({"sliding_window": null, "max_window_layers": 0}), [None; 2]),
        (json!({"max_window_layers": 0}), [Some(4096); 2]),
        (json!({"use_sliding_window": false, "sliding_window": 8, "max_window_layers": 0}), [None; 2]),
    ] {
        let mut config = plain.clone();
        config.insert("use_sliding_window".into(), json!(true));
        config.extend(fields.as_object().unwrap().clone());
        let config = DecoderConfig::from_json(config).unwrap();
        assert_eq!([config.window(0), config.window(1)], expected, "{fields}");
        let written = DecoderConfig::from_json(config.to_json()).unwrap();
        assert_eq!([written.window(0), written.window(1)], expected, "{fields}");
    }
}

/// By the definition: in one layer with rotary positions, which only tell how far apart two tokens are, a token is what it is
/// at the end of a text of the tokens that it sees.
#[test]
fn what_is_outside_of_a_sliding_window_is_not_seen() {
    const WINDOW: usize = 4;
    let device = device_of_tests();
    let mut config = decoder("qwen2-tiny", &device).config().clone();
    config.layers = 1;
    let with_weights = |config: &DecoderConfig| {
        let mut decoder = Decoder::init_with_seed(config, 7, &device);
        decoder.for_each_linear(&mut |_, linear| linear.weight = linear.weight.clone().map(|weight| weight * 5.0));
        decoder
    };
    let wide = with_weights(&config);
    let fields =
        [("use_sliding_window", json!(true)), ("sliding_window", json!(WINDOW)), ("max_window_layers", json!(0))];
    config.raw.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    let narrow = with_weights(&config);
    let expected = |text: &[i32]| {
        let seen = text[text.len().saturating_sub(WINDOW)..].to_vec();
        let length = seen.len();
        values(logits(&wide, &[seen], &Layout::causal(1, length, &device), &device).narrow(1, length - 1, 1))
    };

    let text = row(11, 1);
    let found = logits(&narrow, std::slice::from_ref(&text), &Layout::causal(1, 11, &device), &device);
    for end in 1..=11 {
        assert_close(&values(found.clone().narrow(1, end - 1, 1)), &expected(&text[..end]));
    }

    // Behind padding, the last tokens one by one over the cache.
    let padded = [vec![0; 3], text.clone()].concat();
    let mut cache = narrow.new_cache(1, 14);
    let part = |from: usize, to: usize| ids(&[padded[from..to].to_vec()], &device);
    let mut pieces = vec![narrow.hidden_states(part(0, 6), &Layout::left_padded(&[3], 6, &device), Some(&mut cache))];
    for at in 6..14 {
        pieces.push(narrow.hidden_states(part(at, at + 1), &Layout::step(&cache), Some(&mut cache)));
    }
    let found = narrow.logits(Tensor::cat(pieces, 1));
    for end in 1..=11 {
        assert_close(&values(found.clone().narrow(1, end + 2, 1)), &expected(&text[..end]));
    }

    // A branch sees the end of what it shares.
    let (shared, branches) = (row(6, 2), [row(2, 3), row(5, 4)]);
    let whole = [shared.clone(), branches.concat()].concat();
    let rows = [Branches { shared: 6, lengths: vec![2, 5] }];
    let found = logits(&narrow, &[whole], &Layout::branching(&rows, 13, &device), &device);
    let mut at = 6;
    for branch in &branches {
        for end in 1..=branch.len() {
            let text = [&shared[..], &branch[..end]].concat();
            assert_close(&values(found.clone().narrow(1, at, 1)), &expected(&text));
            at += 1;
        }
    }
}

#[test]
fn a_classifier_with_several_labels_is_no_reward_model() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("model");
    let model = RewardModel::from_policy(&decoder("llama-tiny", &device), 1);
    write_reward_model(&path, &model, &Companions::none(), &Lineage::of("reward")).unwrap();
    let load = || ModelDirectory::open(&path).unwrap().load_reward_model(&device);
    load().unwrap();
    let file = path.join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    config["id2label"] = json!({"0": "bad", "1": "good"});
    fs::write(&file, config.to_string()).unwrap();
    let error = load().unwrap_err().to_string();
    assert!(error.contains("is a classifier with 2 labels"), "{error}");
}
