//! What some checkpoints of an architecture do otherwise than most.

use serde_json::json;

use super::*;
use crate::model::Activation;

/// As `GPT2Attention` of transformers: q·kᵀ / √size is divided by the layer's number too, or not by the root.
#[test]
fn gpt2s_that_scale_their_scores_otherwise_are_computed_as_they_say_and_written_so() {
    let device = Device::flex();
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
    let plain = decoder("gpt2-tiny", &Device::flex()).config().to_json();
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
