//! However a batch is cut into what goes through the model at once, the run takes the same way.

use laurel_trainer::train::{
    ppo::{self, PpoSettings, ValueModel},
    reward::{self, RewardInputs, RewardSettings},
    sft::{self, SftInputs, SftSettings},
};

use super::world::{Told, World, demonstrations, rankings};

/// Answers of very different lengths: a mean of means over micro-batches would show.
fn uneven() -> Vec<serde_json::Value> {
    let mut records = demonstrations();
    for (number, record) in records.iter_mut().enumerate() {
        let answer = vec![format!("w{}", number % 30); 1 + number * number % 17].join(" ");
        record["completion"][0]["content"] = answer.into();
    }
    records
}

#[track_caller]
fn assert_same_way(ways: &[Vec<f64>]) {
    let first = &ways[0];
    for way in &ways[1..] {
        assert_eq!(way.len(), first.len());
        let differences: Vec<f64> = way.iter().zip(first).map(|(a, b)| a - b).collect();
        assert!(differences.iter().all(|d| d.abs() < 2e-3), "{differences:?}");
        // Rounding errs to both sides; a wrong divisor to one.
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        assert!(mean.abs() < 2e-4, "{mean}");
    }
}

#[test]
fn of_sft() {
    let world = World::new();
    let inputs = SftInputs { model: world.path("base"), data: world.records("data.jsonl", &uneven()), reward: None };
    let ways: Vec<Vec<f64>> =
        [(4096, false, false), (64, false, true), (1, false, false), (64, true, true), (4096, true, false)]
            .iter()
            .enumerate()
            .map(|(number, &(micro_batch_tokens, packing, gradient_checkpointing))| {
                let settings = SftSettings {
                    epochs: 2,
                    batch_size: 12,
                    learning_rate: Some(1e-3),
                    micro_batch_tokens,
                    packing,
                    gradient_checkpointing,
                    ..SftSettings::default()
                };
                let mut told = Told::default();
                sft::run(&settings, &inputs, &world.run(&format!("out-{number}")), &mut told).unwrap();
                told.metrics["train/loss"].clone()
            })
            .collect();
    let lowest = ways[0].iter().copied().fold(f64::INFINITY, f64::min);
    assert!(ways[0][0] - lowest > 0.3, "there is a way to go: {:?}", ways[0]);
    assert_same_way(&ways);
}

#[test]
fn of_reward_modelling() {
    let world = World::new();
    let inputs = RewardInputs {
        model: world.path("base"),
        data: world.records("data.jsonl", &rankings()),
        demonstrations: None,
    };
    let ways: Vec<Vec<f64>> = [4096, 100, 1]
        .iter()
        .map(|&micro_batch_tokens| {
            let settings = RewardSettings {
                epochs: 2,
                batch_size: 6,
                learning_rate: Some(5e-4),
                micro_batch_tokens,
                ensemble: 3,
                margin: 0.2,
                label_smoothing: 0.05,
                ..RewardSettings::default()
            };
            let mut told = Told::default();
            reward::run(&settings, &inputs, &world.run(&format!("out-{micro_batch_tokens}")), &mut told).unwrap();
            told.metrics["train/loss"].clone()
        })
        .collect();
    assert_same_way(&ways);
}

/// Whatever goes through a model at once, and whether its activations are kept or computed again: also the norms of the
/// gradients, of the policy and of a value model of its own.
#[test]
fn of_ppo() {
    let world = World::new();
    let inputs = super::ppo::inputs(&world);
    for value_model in [ValueModel::Reward, ValueModel::Policy, ValueModel::Shared] {
        let (mut ways, mut norms) = (vec![], vec![]);
        for (micro_batch_tokens, gradient_checkpointing) in [(4096, false), (60, false), (1, true), (4096, true)] {
            let settings = PpoSettings {
                steps: 3,
                batch_size: 16,
                minibatch_size: 8,
                max_new_tokens: 6,
                learning_rate: Some(1e-3),
                sample_steps: 0,
                value_model,
                micro_batch_tokens,
                gradient_checkpointing,
                ..PpoSettings::default()
            };
            let mut told = Told::default();
            let run = world.run(&format!("{value_model:?}-{micro_batch_tokens}-{gradient_checkpointing}"));
            ppo::run(&settings, &inputs, &run, &mut told).unwrap();
            let of = |names: &[&str]| -> Vec<f64> {
                names.iter().filter_map(|name| told.metrics.get(*name)).flatten().copied().collect()
            };
            ways.push(of(&["loss/policy_avg", "loss/value_avg", "policy/approxkl_k3_avg", "objective/scores"]));
            norms.push(of(&["train/grad_norm", "train/value_grad_norm"]));
        }
        assert_same_way(&ways);
        let count = if value_model == ValueModel::Shared { 3 } else { 6 };
        for way in &norms {
            let near = |(a, b): (&f64, &f64)| *b > 0.0 && (a / b - 1.0).abs() < 1e-2;
            assert!(way.len() == count && way.iter().zip(&norms[0]).all(near), "{value_model:?} {norms:?}");
        }
    }
}
