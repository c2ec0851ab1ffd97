//! Stages in bfloat16 and float16: they learn what float32 learns, and nearly along the same way.

use std::collections::BTreeMap;

use laurel_trainer::{
    model::{ModelDirectory, Precision},
    train::{
        LoraChoice,
        dpo::{self, DpoInputs, DpoSettings},
        ppo::{self, PpoSettings, ValueModel},
        reward::{self, RewardInputs, RewardSettings},
        sft::{self, SftInputs, SftSettings},
    },
};
use serde_json::Value;

use super::{
    ppo::inputs,
    world::{Told, World, demonstrations, prompts, rankings, succeed, text},
};

fn sft(world: &World, settings: SftSettings, out: &str) -> (BTreeMap<String, f64>, Told) {
    let inputs =
        SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()), reward: None };
    let mut told = Told::default();
    let outcome = sft::run(&settings, &inputs, &world.run(out), &mut told).unwrap();
    (outcome.metrics, told)
}

#[test]
fn sft_follows_the_run_in_float32_closely() {
    let world = World::new();
    let settings = |precision, lora| SftSettings {
        precision,
        lora,
        epochs: 6,
        batch_size: 8,
        learning_rate: Some(3e-3),
        gradient_checkpointing: true,
        ..SftSettings::default()
    };
    for lora in [LoraChoice::Off, LoraChoice::On] {
        let (exact, exact_told) = sft(&world, settings(Precision::Float32, lora), &format!("float32-{lora:?}"));
        for precision in [Precision::Bfloat16, Precision::Float16] {
            let (low, told) = sft(&world, settings(precision, lora), &format!("{precision}-{lora:?}"));
            let losses = [&told, &exact_told].map(|told| told.metrics["train/loss"].clone());
            let apart = losses[0].iter().zip(&losses[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(apart > 0.0 && apart < 0.05, "{precision}: losses differ by up to {apart}");
            assert!(low["eval/nll"] < low["eval/nll_before"] - 0.3, "{low:?}");
            assert!((low["eval/nll"] - exact["eval/nll"]).abs() < 0.05, "{low:?}, in float32 {exact:?}");
            let scales = told.metrics.get("train/loss_scale");
            assert_eq!(
                scales.is_some_and(|scales| scales.iter().all(|scale| *scale >= 1.0)),
                precision == Precision::Float16
            );
        }
    }
}

/// Sampling and scoring are products of other shapes, whose results may be rounded to neighbours: ratios are near one, as near
/// as the number format is fine.
#[test]
fn ratios_are_near_one_before_anything_is_learned() {
    let world = World::new();
    let inputs = inputs(&world);
    let settings = PpoSettings {
        steps: 4,
        batch_size: 24,
        minibatch_size: 24,
        ppo_epochs: 1,
        max_new_tokens: 6,
        learning_rate: Some(2e-3),
        sample_steps: 0,
        micro_batch_tokens: 60,
        ..PpoSettings::default()
    };
    for (precision, near) in [(Precision::Bfloat16, 1e-2), (Precision::Float16, 1e-3)] {
        for (name, lora, value_model) in
            [("full", LoraChoice::Off, ValueModel::Reward), ("adapters", LoraChoice::On, ValueModel::Shared)]
        {
            let settings = PpoSettings { precision, lora, value_model, ..settings.clone() };
            let mut told = Told::default();
            ppo::run(&settings, &inputs, &world.run(&format!("{name}-{precision}")), &mut told).unwrap();
            for (metric, expected) in [("val/ratio", 1.0), ("val/ratio_var", 0.0), ("policy/approxkl_avg", 0.0)] {
                let found = &told.metrics[metric];
                assert!(found.iter().all(|found| (found - expected).abs() < near), "{name} {metric} {found:?}");
            }
            assert!(told.metrics["objective/kl"][3].abs() > 1e-3, "the policy has moved all the same");
        }
    }
}

#[test]
fn preferences_are_learned_too() {
    let world = World::new();
    let data = world.records("rankings.jsonl", &rankings());
    let inputs = RewardInputs { model: world.path("base"), data: data.clone(), demonstrations: None };
    let settings = RewardSettings {
        precision: Precision::Bfloat16,
        epochs: 6,
        batch_size: 4,
        learning_rate: Some(1e-3),
        ..RewardSettings::default()
    };
    let outcome = reward::run(&settings, &inputs, &world.run("reward"), &mut Told::default()).unwrap();
    assert!(outcome.metrics["eval/accuracy"] > 0.9, "{:?}", outcome.metrics);

    let inputs = DpoInputs { model: world.path("base"), data };
    let settings = DpoSettings {
        precision: Precision::Bfloat16,
        epochs: 3,
        batch_size: 4,
        learning_rate: Some(1e-3),
        ..DpoSettings::default()
    };
    let outcome = dpo::run(&settings, &inputs, &world.run("dpo"), &mut Told::default()).unwrap();
    assert!(outcome.metrics["eval/loss"] < outcome.metrics["eval/loss_before"] - 0.1, "{:?}", outcome.metrics);
}

/// The weights that are written are the float32 ones, and every command that asks a model can do so in low precision.
#[test]
fn what_is_written_is_float32_and_is_asked_in_any_precision() {
    let world = World::new();
    let (base, data, out) = (world.path("base"), world.records("data.jsonl", &demonstrations()), world.path("out"));
    let arguments = ["sft", "--model", text(&base), "--data", text(&data), "--out", text(&out), "--steps", "3"];
    succeed(&[&arguments[..], &["--precision", "bfloat16"]].concat());
    let model = ModelDirectory::open(&out).unwrap();
    assert_eq!(model.lineage().unwrap().unwrap().settings["precision"], "bfloat16");
    let decoder = model.load_decoder(&world.run("").device).unwrap();
    let weights: Vec<f32> = decoder.blocks[0].attention.q_proj.weight.val().into_data().try_to_vec().unwrap();
    assert!(weights.iter().any(|weight| half::bf16::from_f32(*weight).to_f32() != *weight));

    let tokens = world.records("tokens.jsonl", &[serde_json::json!({"input_ids": [4, 5, 6, 7, 1]})]);
    let logprobs = |precision: &str| -> Vec<f64> {
        let output =
            succeed(&["logprobs", "--model", text(&out), "--data", text(&tokens), "--precision", precision]).stdout;
        let line: Value = serde_json::from_slice(&output).unwrap();
        line["token_logprobs"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let (exact, low) = (logprobs("float32"), logprobs("bfloat16"));
    let apart = exact.iter().zip(&low).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(exact.len() == 4 && apart > 0.0 && apart < 0.02, "{exact:?} {low:?}");

    let prompts = world.records("prompts.jsonl", &prompts());
    let answers = world.path("answers.jsonl");
    let arguments = ["generate", "--model", text(&out), "--prompts", text(&prompts), "--out", text(&answers)];
    succeed(&[&arguments[..], &["--max-new-tokens", "6", "--precision", "float16"]].concat());
    assert_eq!(std::fs::read_to_string(&answers).unwrap().lines().count(), 24);
}
