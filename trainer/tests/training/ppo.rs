//! PPO raises what the reward model rewards, starts from ratios of one, and stops when it runs away.

use laurel_trainer::{
    data::ModelTokenizer,
    generate::{SamplingSettings, generate},
    model::ModelDirectory,
    train::{
        LoraChoice, TrainError,
        ppo::{self, PpoInputs, PpoSettings},
        reward::{self, RewardInputs, RewardSettings},
    },
};
use std::path::Path;

use super::world::{Told, World, prompts, rankings};

/// A reward model that likes `good`, and prompts.
fn inputs(world: &World) -> PpoInputs {
    let settings = RewardSettings { epochs: 6, batch_size: 4, learning_rate: Some(1e-3), ..RewardSettings::default() };
    let ranked = world.records("rankings.jsonl", &rankings());
    let inputs = RewardInputs { model: world.path("base"), data: ranked, demonstrations: None };
    let reward = reward::run(&settings, &inputs, &world.run("reward"), &mut Told::default()).unwrap().out;
    PpoInputs {
        policy: world.path("base"),
        reward,
        prompts: world.records("prompts.jsonl", &prompts()),
        pretrain: vec![],
    }
}

fn settings() -> PpoSettings {
    PpoSettings {
        steps: 25,
        batch_size: 24,
        minibatch_size: 12,
        max_new_tokens: 6,
        learning_rate: Some(2e-3),
        kl_coefficient: 0.02,
        missing_eos_penalty: 0.0,
        sample_steps: 0,
        ..PpoSettings::default()
    }
}

/// The share of `good` (token 3) in answers to the prompts: what the reward model cannot be asked about itself.
fn share_of_good(model: &Path) -> f64 {
    let directory = ModelDirectory::open(model).unwrap();
    let tokenizer = ModelTokenizer::open(&directory).unwrap();
    let decoder = directory.load_decoder(&burn::tensor::Device::flex()).unwrap();
    let prompts: Vec<Vec<u32>> = (0..36).map(|word| tokenizer.encode(&format!("w{word} w{}\n", word % 7))).collect();
    let seeds: Vec<u64> = (1000..1036).collect();
    let settings = SamplingSettings { max_new_tokens: 6, ..SamplingSettings::default() };
    let answers =
        generate(&decoder, &prompts, &settings, tokenizer.stop_ids(), tokenizer.pad_id(), &seeds, &mut |_| {});
    let tokens: Vec<u32> = answers.into_iter().flat_map(|answer| answer.tokens).collect();
    tokens.iter().filter(|token| **token == 3).count() as f64 / tokens.len() as f64
}

#[test]
fn the_policy_says_more_of_what_is_rewarded() {
    let world = World::new();
    let inputs = inputs(&world);
    let mut told = Told::default();
    let outcome = ppo::run(&settings(), &inputs, &world.run("out"), &mut told).unwrap();
    let (before, after) = (share_of_good(&inputs.policy), share_of_good(&outcome.out));
    assert!(before < 0.1 && after > 0.4, "share of good words {before} → {after}");
    let scores = &told.metrics["objective/scores"];
    let of_five = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
    let (first, last) = (of_five(&scores[..5]), of_five(&scores[scores.len() - 5..]));
    assert!(last > first + 1.0, "{scores:?}");
    // Away from the reference: the divergence grows, and is never truly negative.
    let kl = &told.metrics["objective/kl"];
    assert!(kl[0].abs() < 1e-3 && kl.iter().all(|kl| *kl > -0.5) && kl[24] > 0.5, "{kl:?}");
}

#[test]
fn ratios_are_one_before_anything_is_learned() {
    let world = World::new();
    let inputs = inputs(&world);
    // One minibatch a rollout: every ratio that is ever taken is of a policy that has just sampled.
    for (name, lora, temperature) in [("full", LoraChoice::Off, 1.0), ("adapters", LoraChoice::On, 0.7)] {
        let settings = PpoSettings {
            steps: 4,
            minibatch_size: 24,
            ppo_epochs: 1,
            lora,
            temperature,
            micro_batch_tokens: 60,
            ..settings()
        };
        let mut told = Told::default();
        ppo::run(&settings, &inputs, &world.run(name), &mut told).unwrap();
        for (metric, expected) in
            [("val/ratio", 1.0), ("val/ratio_var", 0.0), ("policy/approxkl_avg", 0.0), ("policy/clipfrac_avg", 0.0)]
        {
            let found = &told.metrics[metric];
            assert!(found.iter().all(|found| (found - expected).abs() < 1e-4), "{name} {metric} {found:?}");
        }
        assert!(told.metrics["objective/kl"][3].abs() > 1e-3, "the policy has moved all the same");
    }
}

#[test]
fn a_policy_that_runs_away_is_stopped_with_its_last_good_checkpoint() {
    let world = World::new();
    let inputs = inputs(&world);
    let settings = PpoSettings { max_kl: 0.5, kl_coefficient: 0.0, save_steps: 1, ..settings() };
    let error = ppo::run(&settings, &inputs, &world.run("out"), &mut Told::default()).unwrap_err();
    let TrainError::Diverged { step, checkpoint: Some(checkpoint), .. } = &error else { panic!("{error}") };
    let last_good = checkpoint.ends_with(format!("step-{:08}.safetensors", step - 2));
    assert!(checkpoint.exists() && last_good, "{error}");
    assert!(error.to_string().contains("max_kl") && error.to_string().contains("kl_coefficient"), "{error}");
    assert!(!world.path("out").exists());
}

#[test]
fn pretraining_text_that_is_mixed_in_is_learned_beside() {
    let world = World::new();
    let text: String = (0..600).map(|at| format!("w{} ", at % 12)).collect();
    std::fs::write(world.path("text.txt"), text).unwrap();
    let inputs = PpoInputs { pretrain: vec![world.path("text.txt")], ..inputs(&world) };
    let settings = PpoSettings { steps: 12, ptx_block_length: 24, learning_rate: Some(3e-3), ..settings() };
    let mut told = Told::default();
    ppo::run(&settings, &inputs, &world.run("out"), &mut told).unwrap();
    let losses = &told.metrics["loss/ptx_avg"];
    assert!(losses[0] > 3.0 && losses[11] < losses[0] - 0.8, "{losses:?}");
}
