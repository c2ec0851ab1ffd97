//! Each stage lowers its loss on what is held out, by a margin that noise does not reach.

use std::{fs, path::Path};

use burn::tensor::Tensor;
use laurel_trainer::{
    model::{Decoder, ModelDirectory, hf::WeightFormat},
    train::{
        LoraChoice, TrainError,
        judge::BestBy,
        pretrain::{self, PretrainInputs, PretrainSettings},
        reward::{self, RewardInputs, RewardSettings},
        sft::{self, SftInputs, SftSettings},
    },
};
use serde_json::json;

use super::world::{Told, World, demonstrations, rankings};

fn sft_settings() -> SftSettings {
    SftSettings { epochs: 12, batch_size: 8, learning_rate: Some(3e-3), ..SftSettings::default() }
}

#[test]
fn sft_learns_answers_to_prompts_it_has_not_seen() {
    let world = World::new();
    let inputs =
        SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()), reward: None };
    let mut told = Told::default();
    let outcome = sft::run(&sft_settings(), &inputs, &world.run("out"), &mut told).unwrap();
    let (before, after) = (outcome.metrics["eval/nll_before"], outcome.metrics["eval/nll"]);
    // ln 40 = 3.7 is a guess among all words; three tokens of three are decided by the prompt.
    assert!(before > 3.0 && after < 0.3, "held-out NLL {before} → {after}");
    assert!((outcome.metrics["eval/perplexity"] - after.exp()).abs() < 1e-9);
    let losses = &told.metrics["train/loss"];
    assert!(losses[0] > 3.0 && *losses.last().unwrap() < 0.3);

    let model = ModelDirectory::open(&outcome.out).unwrap();
    let lineage = model.lineage().unwrap().expect("a model says where it comes from");
    let base = ModelDirectory::open(&inputs.model).unwrap();
    assert_eq!((lineage.stage.as_str(), lineage.parent), ("sft", Some(base.digest().unwrap())));
    assert_eq!(lineage.settings["learning_rate"], 3e-3);
    assert_eq!(lineage.settings["lora"], "off");
    assert_eq!(lineage.metrics["eval/nll"], after);
    assert_eq!(lineage.data.map(|digest| digest.len()), Some(64));
}

#[test]
fn sft_with_adapters_learns_too_and_leaves_a_plain_model() {
    let world = World::new();
    // Adapters change a model that knows something; the answers are turned round, so that there is something to change.
    let inputs =
        SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()), reward: None };
    let model = sft::run(&sft_settings(), &inputs, &world.run("known"), &mut Told::default()).unwrap().out;
    let mut turned = demonstrations();
    for record in &mut turned {
        let answer = &mut record["completion"][0]["content"];
        *answer = answer.as_str().unwrap().split(' ').rev().collect::<Vec<_>>().join(" ").into();
    }
    let inputs = SftInputs { model, data: world.records("turned.jsonl", &turned), reward: None };
    let settings = SftSettings { lora: LoraChoice::On, learning_rate: Some(1e-2), packing: true, ..sft_settings() };
    let outcome = sft::run(&settings, &inputs, &world.run("out"), &mut Told::default()).unwrap();
    let (before, after) = (outcome.metrics["eval/nll_before"], outcome.metrics["eval/nll"]);
    assert!(before > 2.0 && after < 0.5, "held-out NLL {before} → {after}");
    // The adapters are in the weights: the directory loads as any other, and the embedding, which had none, is as it was.
    let device = world.run("").device;
    let embedding = |path| {
        let model = ModelDirectory::open(path).unwrap().load_decoder(&device).unwrap();
        model.token_embedding.val().into_data().try_to_vec::<f32>().unwrap()
    };
    assert_eq!(embedding(outcome.out), embedding(inputs.model));
}

#[test]
fn reward_model_learns_the_order_of_answers_it_has_not_seen() {
    let world = World::new();
    let demonstrations = world.records("demonstrations.jsonl", &demonstrations());
    let inputs = RewardInputs {
        model: world.path("base"),
        data: world.records("data.jsonl", &rankings()),
        demonstrations: Some(demonstrations),
    };
    let settings = RewardSettings { epochs: 8, batch_size: 4, learning_rate: Some(1e-3), ..RewardSettings::default() };
    let outcome = reward::run(&settings, &inputs, &world.run("out"), &mut Told::default()).unwrap();
    let metric = |name: &str| outcome.metrics[name];
    // ln 2 = 0.69 is the loss of equal scores.
    assert!(metric("eval/loss_before") > 0.6 && metric("eval/loss") < 0.3, "{:?}", outcome.metrics);
    assert!(metric("eval/accuracy") > 0.9, "{:?}", outcome.metrics);
    // All answers have the same length, so length tells nothing: a coin decides.
    assert_eq!(metric("eval/accuracy_of_longer"), 0.5);

    let device = world.run("").device;
    let model = ModelDirectory::open(&outcome.out).unwrap().load_reward_model(&device).unwrap();
    // JSON may cost the last bit.
    assert!((model.score_mean() - metric("score/mean_of_demonstrations")).abs() < 1e-12);
}

#[test]
fn pretraining_learns_running_text() {
    let world = World::new();
    let text: String = (0..3000).map(|at| format!("w{}{}", at % 12, if at % 12 == 11 { "\n" } else { " " })).collect();
    fs::write(world.path("text.txt"), text).unwrap();
    let inputs = PretrainInputs { model: world.path("base"), corpus: vec![world.path("text.txt")] };
    let settings = PretrainSettings {
        epochs: 4,
        batch_size: 4,
        block_length: 32,
        learning_rate: Some(3e-3),
        ..PretrainSettings::default()
    };
    let outcome = pretrain::run(&settings, &inputs, &world.run("out"), &mut Told::default()).unwrap();
    let (before, after) = (outcome.metrics["eval/nll_before"], outcome.metrics["eval/nll"]);
    assert!(before > 3.0 && after < 0.5, "held-out NLL {before} → {after}");
}

#[test]
fn a_run_that_is_asked_to_stop_goes_on_from_there() {
    let world = World::new();
    let inputs =
        SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()), reward: None };
    let settings = SftSettings { epochs: 2, ..sft_settings() };
    let mut told = Told { stop_after: Some(5), ..Told::default() };
    let stopped = sft::run(&settings, &inputs, &world.run("out"), &mut told).unwrap_err();
    assert!(matches!(stopped, TrainError::Stopped { step: 5 }), "{stopped}");
    assert!(!world.path("out").exists());

    let mut run = world.run("out");
    run.earlier = laurel_trainer::train::Earlier::Resume;
    let mut told = Told::default();
    sft::run(&settings, &inputs, &run, &mut told).unwrap();
    let total = told.metrics["lr"].len();
    assert_eq!(total, 22 - 5, "86 demonstrations are learned from, eleven batches an epoch");
}

#[test]
fn what_is_frozen_stays_and_the_averaged_weights_are_what_is_judged_and_written() {
    let world = World::new();
    let inputs =
        SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()), reward: None };
    let settings = SftSettings {
        freeze_embeddings: true,
        freeze_layers: 1,
        ema_decay: 0.8,
        dtype: WeightFormat::Bfloat16,
        ..sft_settings()
    };
    let outcome = sft::run(&settings, &inputs, &world.run("out"), &mut Told::default()).unwrap();
    assert!(outcome.metrics["eval/nll"] < outcome.metrics["eval/nll_before"] - 0.5, "{:?}", outcome.metrics);
    let device = world.run("").device;
    let load = |path| ModelDirectory::open(path).unwrap().load_decoder(&device).unwrap();
    let (before, after) = (load(inputs.model), load(outcome.out.clone()));
    let rounded = |tensor: Tensor<2>| -> Vec<f32> {
        let values: Vec<f32> = tensor.into_data().try_to_vec().unwrap();
        values.into_iter().map(|value| half::bf16::from_f32(value).to_f32()).collect()
    };
    assert_eq!(rounded(after.token_embedding.val()), rounded(before.token_embedding.val()));
    let query = |decoder: &Decoder, layer: usize| rounded(decoder.blocks[layer].attention.q_proj.weight.val());
    assert_eq!(query(&after, 0), query(&before, 0));
    assert_ne!(query(&after, 1), query(&before, 1));

    // The same run without the average ends elsewhere, so the average is what was written.
    let plain = SftSettings { ema_decay: 0.0, ..settings };
    let plain = sft::run(&plain, &inputs_of(&world), &world.run("plain"), &mut Told::default()).unwrap();
    assert_ne!(query(&load(plain.out), 1), query(&after, 1));
}

fn inputs_of(world: &World) -> SftInputs {
    SftInputs { model: world.path("base"), data: world.path("data.jsonl"), reward: None }
}

#[test]
fn a_run_that_gets_no_better_ends_early() {
    let world = World::new();
    let inputs =
        SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()), reward: None };
    let settings = SftSettings { epochs: 40, learning_rate: Some(1e-2), eval_steps: 5, patience: 2, ..sft_settings() };
    let mut told = Told::default();
    let outcome = sft::run(&settings, &inputs, &world.run("out"), &mut told).unwrap();
    let (steps, best) = (outcome.metrics["train/steps"], outcome.metrics["train/best_step"]);
    assert!(steps < 440.0 && steps == best + 10.0, "{steps} steps, the best after {best}");
    assert!(told.log.iter().any(|line| line.contains("no better for 2 evaluations")), "{:?}", told.log);
}

#[test]
fn numbers_beyond_use_end_the_run_and_leave_no_checkpoint_of_them() {
    let world = World::new();
    let inputs =
        SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()), reward: None };
    let settings = SftSettings { learning_rate: Some(1e18), save_steps: 1, warmup_ratio: 0.0, ..sft_settings() };
    let error = sft::run(&settings, &inputs, &world.run("out"), &mut Told::default()).unwrap_err();
    // The first step's weights are what the second cannot be computed from.
    assert!(matches!(error, TrainError::Diverged { step: 2, checkpoint: None, .. }), "{error}");
    assert!(
        error.to_string().contains("not a finite number") && error.to_string().contains("learning rate"),
        "{error}"
    );
    assert!(!world.path("out").exists());
}

/// PEFT's files instead of a model: a directory that names its base, is a model to every command, and learns on.
#[test]
fn an_adapter_is_written_beside_its_base_and_learns_on() {
    let world = World::new();
    let inputs =
        SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()), reward: None };
    let settings = SftSettings {
        lora: LoraChoice::On,
        learning_rate: Some(2e-3),
        save_adapter: true,
        epochs: 2,
        ..sft_settings()
    };
    let first = sft::run(&settings, &inputs, &world.run("first"), &mut Told::default()).unwrap();
    assert!(!first.out.join("model.safetensors").exists() && first.out.join("adapter_model.safetensors").exists());
    let directory = ModelDirectory::open(&first.out).unwrap();
    assert_eq!(directory.base_path(), fs::canonicalize(world.path("base")).unwrap());

    let inputs = SftInputs { model: first.out, ..inputs };
    let second = sft::run(&settings, &inputs, &world.run("second"), &mut Told::default()).unwrap();
    // It begins where the first ended, and is an adapter of the same base, not of an adapter.
    assert!((second.metrics["eval/nll_before"] - first.metrics["eval/nll"]).abs() < 1e-4);
    assert!(second.metrics["eval/nll"] < first.metrics["eval/nll"], "{:?} {:?}", first.metrics, second.metrics);
    assert_eq!(ModelDirectory::open(&second.out).unwrap().base_path(), directory.base_path());

    // All weights of a model that came as an adapter, and a reward model that is an adapter of the same base.
    let full = SftSettings { lora: LoraChoice::Off, save_adapter: false, learning_rate: Some(3e-3), ..settings };
    let whole = sft::run(&full, &inputs, &world.run("whole"), &mut Told::default()).unwrap();
    assert!(whole.out.join("model.safetensors").exists());
    assert!(whole.metrics["eval/nll"] < first.metrics["eval/nll"], "{:?}", whole.metrics);
    let inputs = RewardInputs {
        model: second.out,
        data: world.records("rankings.jsonl", &rankings()),
        demonstrations: Some(world.path("data.jsonl")),
    };
    let settings = RewardSettings {
        lora: LoraChoice::On,
        save_adapter: true,
        epochs: 6,
        batch_size: 4,
        ensemble: 2,
        learning_rate: Some(1e-2),
        ..RewardSettings::default()
    };
    let reward = reward::run(&settings, &inputs, &world.run("reward"), &mut Told::default()).unwrap();
    assert!(reward.metrics["eval/accuracy"] > 0.9, "{:?}", reward.metrics);
    let read = ModelDirectory::open(&reward.out).unwrap();
    let model = read.load_reward_model(&world.run("").device).unwrap();
    assert!((model.score_mean() - reward.metrics["score/mean_of_demonstrations"]).abs() < 1e-12);
    assert_eq!(read.load_members(&world.run("").device).unwrap().unwrap().count(), 2);
}

/// Its rank, strength and places are what its matrices are: settings that say otherwise are refused, and what is written down is
/// what was learned.
#[test]
fn an_adapter_learns_on_as_it_is_and_the_layers_that_are_to_stay_keep_theirs() {
    let world = World::new();
    let inputs =
        SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()), reward: None };
    let own = SftSettings {
        lora: LoraChoice::On,
        lora_rank: 4,
        lora_alpha: 12.0,
        lora_targets: vec!["q_proj".into(), "v_proj".into()],
        learning_rate: Some(2e-3),
        save_adapter: true,
        epochs: 1,
        ..sft_settings()
    };
    let first = sft::run(&own, &inputs, &world.run("first"), &mut Told::default()).unwrap().out;
    let inputs = SftInputs { model: first.clone(), ..inputs };
    let defaults = SftSettings::default();
    let unsaid = SftSettings {
        lora_rank: defaults.lora_rank,
        lora_alpha: defaults.lora_alpha,
        lora_targets: defaults.lora_targets,
        ..own.clone()
    };
    let of_both_names = [
        (SftSettings { lora_rank: 8, ..unsaid.clone() }, "lora_rank", "8 is asked for", "has 4;"),
        (SftSettings { lora_alpha: 16.0, ..unsaid.clone() }, "lora_alpha", "16 is asked for", "has 12;"),
        (
            SftSettings { lora_targets: vec!["o_proj".into()], ..unsaid.clone() },
            "lora_targets",
            "o_proj is asked for",
            "has q_proj, v_proj;",
        ),
    ];
    for (settings, name, asked, has) in of_both_names {
        let refused = sft::run(&settings, &inputs, &world.run("refused"), &mut Told::default()).unwrap_err();
        let said = refused.to_string();
        assert!(refused.is_wrong_input() && [name, asked, has].iter().all(|words| said.contains(words)), "{said}");
    }

    let device = world.run("").device;
    let query = |path: &Path, layer: usize| -> Vec<f32> {
        let decoder = ModelDirectory::open(path).unwrap().load_decoder_to_learn(&device).unwrap();
        let adapter = decoder.blocks[layer].attention.q_proj.adapter.clone().unwrap();
        adapter.delta().into_data().try_to_vec().unwrap()
    };
    // What it came with may be said again, or left out.
    for (name, settings) in [("said", own), ("unsaid", unsaid)] {
        let settings = SftSettings { freeze_layers: 1, ..settings };
        let out = sft::run(&settings, &inputs, &world.run(name), &mut Told::default()).unwrap().out;
        assert_eq!(query(&out, 0), query(&first, 0), "{name}");
        assert_ne!(query(&out, 1), query(&first, 1), "{name}");
        let written = ModelDirectory::open(&out).unwrap().lineage().unwrap().unwrap().settings;
        assert_eq!((&written["lora_rank"], &written["lora_alpha"]), (&json!(4), &json!(12.0)), "{name}");
        assert_eq!((&written["lora_targets"], &written["freeze_layers"]), (&json!(["q_proj", "v_proj"]), &json!(1)));
    }
}

/// InstructGPT chose its SFT model by reward: here the reward model likes `good`, which no demonstration says, so that the
/// policy that knows least of the demonstrations is its best.
#[test]
fn sft_is_judged_by_a_reward_model_and_may_be_chosen_by_it() {
    let world = World::new();
    let rankings = RewardInputs {
        model: world.path("base"),
        data: world.records("rankings.jsonl", &rankings()),
        demonstrations: None,
    };
    let settings = RewardSettings { epochs: 6, batch_size: 4, learning_rate: Some(1e-3), ..RewardSettings::default() };
    let reward = reward::run(&settings, &rankings, &world.run("reward"), &mut Told::default()).unwrap().out;
    let data = world.records("data.jsonl", &demonstrations());
    let inputs = SftInputs { model: world.path("base"), data, reward: Some(reward) };
    let judged = |best_by, out| {
        let settings = SftSettings {
            best_by,
            eval_max_new_tokens: 6,
            eval_prompts: 8,
            eval_steps: 11,
            epochs: 4,
            ..sft_settings()
        };
        let mut told = Told::default();
        let outcome = sft::run(&settings, &inputs, &world.run(out), &mut told).unwrap();
        let rewards = told.metrics["eval/reward"].clone();
        let best = rewards[1..].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (outcome.metrics, rewards, best)
    };
    let (by_nll, rewards, best) = judged(BestBy::Nll, "by-nll");
    assert_eq!((rewards.len(), by_nll["eval/reward_before"]), (5, rewards[0]));
    assert_eq!((by_nll["train/best_step"], by_nll["eval/reward"]), (44.0, rewards[4]));
    let (by_reward, again, _) = judged(BestBy::Reward, "by-reward");
    assert_eq!((rewards, by_reward["eval/reward"]), (again, best), "the same run, another choice");

    let alone = SftInputs { reward: None, ..inputs };
    let settings = SftSettings { best_by: BestBy::Reward, ..sft_settings() };
    let refused = sft::run(&settings, &alone, &world.run("alone"), &mut Told::default()).unwrap_err();
    assert!(refused.is_wrong_input() && refused.to_string().contains("best_by"), "{refused}");
}
