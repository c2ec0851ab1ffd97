//! Matrix products in bfloat16 and float16: near float32 and not the same, and alike whichever way a decoder is asked.

use burn::{module::Module, tensor::DType};

use super::*;
use crate::cli::device::device_of_tests;
use crate::model::{
    Precision,
    lora::LoraSettings,
    recompute::{Recomputing, backward},
};

/// What the device can compute in besides float32: the CPU in both.
fn low() -> impl Iterator<Item = Precision> {
    let device = device_of_tests();
    [Precision::Bfloat16, Precision::Float16].into_iter().filter(move |low| low.ensure_supported(&device).is_ok())
}

/// What rounding to a precision may change of logits here.
fn rounding(precision: Precision) -> f32 {
    match precision {
        Precision::Float32 => 2e-5,
        Precision::Bfloat16 => 0.03,
        Precision::Float16 => 0.004,
    }
}

#[track_caller]
fn assert_near(found: &[f32], expected: &[f32], precision: Precision) {
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(difference < rounding(precision), "{precision}, value {i}: {found}, expected {expected}");
    }
}

fn whole(decoder: &Decoder, rows: &[Vec<i32>]) -> Vec<f32> {
    let device = device_of_tests();
    let found = logits(decoder, rows, &Layout::causal(rows.len(), rows[0].len(), &device), &device);
    assert_eq!(found.dtype(), DType::F32);
    values(found)
}

/// Adapters whose B is not zero.
fn adapted(preset: &str) -> Decoder {
    let settings = LoraSettings { rank: 4, ..LoraSettings::default() };
    let mut decoder = decoder(preset, &device_of_tests()).with_lora(&settings, 1).unwrap();
    decoder.for_each_linear(&mut |_, linear| {
        let adapter = linear.adapter.as_mut().unwrap();
        adapter.b = adapter.b.clone().map(|b| {
            let [rank, output] = b.dims();
            let values: Vec<f32> = (0..rank * output).map(|at| ((at * 31 % 17) as f32 - 8.0) / 100.0).collect();
            Tensor::from_data(TensorData::new(values, [rank, output]), &b.device())
        });
    });
    decoder
}

#[test]
fn logits_are_near_those_of_float32_and_not_the_same() {
    let device = device_of_tests();
    let rows = [row(11, 1), row(11, 2)];
    for decoder in decoders(&device).into_iter().chain([adapted("llama-tiny"), adapted("gpt2-tiny")]) {
        let exact = whole(&decoder, &rows);
        for precision in low() {
            let low = whole(&decoder.clone().with_precision(precision), &rows);
            let most = low.iter().zip(&exact).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert_near(&low, &exact, precision);
            assert!(most > rounding(precision) / 100.0, "{precision} rounds: {most}");
        }
    }
}

#[test]
fn a_decoder_that_holds_its_weights_rounded_answers_the_same() {
    let rows = [row(11, 1), row(11, 2)];
    // Tied, not tied, with adapters.
    for decoder in
        [decoder("qwen2-tiny", &device_of_tests()), decoder("llama-tiny", &device_of_tests()), adapted("gpt2-tiny")]
    {
        for precision in low() {
            let decoder = decoder.clone().with_precision(precision);
            let answering = decoder.to_answer();
            let weight = answering.blocks[0].feed_forward.up_proj.weight.val();
            // Some round as they multiply.
            assert!(weight.dtype() != DType::F32 || precision.rounds_as_it_multiplies(&weight.device()));
            assert_eq!(whole(&answering, &rows), whole(&decoder, &rows));
            assert_eq!(whole(&answering.to_answer(), &rows), whole(&decoder, &rows));
        }
    }
}

#[test]
fn token_by_token_over_caches_that_are_joined_gives_what_the_whole_forward_gives() {
    let device = device_of_tests();
    for decoder in decoders(&device) {
        for precision in low() {
            let decoder = decoder.clone().with_precision(precision).to_answer();
            let (short, long) = (row(6, 7), row(9, 8));
            let read = |row: &[i32]| {
                // Room for fewer tokens than there are: it has to grow.
                let mut cache = decoder.new_cache(1, 4);
                let layout = Layout::causal(1, row.len() - 1, &device);
                decoder.hidden_states(ids(&[row[..row.len() - 1].to_vec()], &device), &layout, Some(&mut cache));
                cache
            };
            let mut cache = read(&short);
            cache.join(read(&long));
            let last = [short[5], long[8]].map(|token| vec![token]);
            let layout = Layout::step(&cache);
            let stepped = values(decoder.logits(decoder.hidden_states(ids(&last, &device), &layout, Some(&mut cache))));
            for (found, text) in stepped.chunks(97).zip([&short, &long]) {
                let expected = whole(&decoder, std::slice::from_ref(text));
                assert_near(found, &expected[expected.len() - 97..], precision);
            }
            // The shorter row alone is moved to the left again.
            cache.keep(&[0]);
            let layout = Layout::step(&cache);
            let next = decoder.hidden_states(ids(&[vec![40]], &device), &layout, Some(&mut cache));
            let expected = whole(&decoder, &[[short.as_slice(), &[40]].concat()]);
            assert_near(&values(decoder.logits(next)), &expected[expected.len() - 97..], precision);
        }
    }
}

/// A change of weights that is less than their rounding would be lost if it were merged before answers are drawn.
#[test]
fn answers_are_drawn_from_the_law_that_scores_them_also_where_an_adapter_is_slight() {
    let rows = [row(11, 1)];
    for precision in low() {
        let mut slight = adapted("llama-tiny").with_precision(precision);
        slight.for_each_linear(&mut |_, linear| {
            let adapter = linear.adapter.as_mut().unwrap();
            adapter.b = adapter.b.clone().map(|b| b * 0.1);
        });
        let scored = whole(&slight, &rows);
        assert_eq!(whole(&slight.to_sample().to_answer(), &rows), scored);
        assert_ne!(whole(&slight.merged(), &rows), scored);
        // In float32 nothing is lost, and one product a layer is faster than three.
        assert!(!slight.with_precision(Precision::Float32).to_sample().has_adapters());
    }
}

/// Through casts and products and back: of weights and of adapters, kept or computed again.
#[test]
fn gradients_are_near_those_of_float32_and_the_same_when_recomputed() {
    let device = device_of_tests().autodiff();
    let of = |decoder: &Decoder, precision, again| {
        let decoder = decoder.clone().with_precision(precision).train();
        let _recomputing = Recomputing::new(again);
        let loss = logits(&decoder, &[row(9, 1), row(9, 2)], &Layout::causal(2, 9, &device), &device).square().mean();
        let mut found = [0.0_f32; 3];
        backward(loss, &decoder, |gradients| {
            let query = &decoder.blocks[0].attention.q_proj;
            let adapter = query.adapter.as_ref();
            let norms = [
                gradients.get::<2>(query.weight.id),
                adapter.and_then(|adapter| gradients.get::<2>(adapter.a.id)),
                adapter.and_then(|adapter| gradients.get::<2>(adapter.b.id)),
            ];
            for (found, gradient) in found.iter_mut().zip(norms) {
                if let Some(gradient) = gradient {
                    assert_eq!(gradient.dtype(), DType::F32);
                    *found += values(gradient.square().sum())[0].sqrt();
                }
            }
        });
        found
    };
    for decoder in [decoder("llama-tiny", &device_of_tests()), adapted("llama-tiny")] {
        let exact = of(&decoder, Precision::Float32, false);
        for precision in low() {
            let low = of(&decoder, precision, false);
            assert_eq!(of(&decoder, precision, true), low);
            assert_ne!(low, exact);
            for (low, exact) in low.iter().zip(&exact) {
                assert!((low - exact).abs() <= 0.03 * exact, "{precision}: {low}, in float32 {exact}");
            }
        }
    }
}
