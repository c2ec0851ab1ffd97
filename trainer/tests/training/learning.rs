//! Each stage lowers its loss on what is held out, by a margin that noise does not reach.

use std::fs;

use burn::tensor::Tensor;
use laurel_trainer::{
    model::{Decoder, ModelDirectory, hf::WeightFormat},
    train::{
        LoraChoice, TrainError,
        pretrain::{self, PretrainInputs, PretrainSettings},
        reward::{self, RewardInputs, RewardSettings},
        sft::{self, SftInputs, SftSettings},
    },
};

use super::world::{Told, World, demonstrations, rankings};

fn sft_settings() -> SftSettings {
    SftSettings { epochs: 12, batch_size: 8, learning_rate: Some(3e-3), ..SftSettings::default() }
}

#[test]
fn sft_learns_answers_to_prompts_it_has_not_seen() {
    let world = World::new();
    let inputs = SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()) };
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
    let inputs = SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()) };
    let model = sft::run(&sft_settings(), &inputs, &world.run("known"), &mut Told::default()).unwrap().out;
    let mut turned = demonstrations();
    for record in &mut turned {
        let answer = &mut record["completion"][0]["content"];
        *answer = answer.as_str().unwrap().split(' ').rev().collect::<Vec<_>>().join(" ").into();
    }
    let inputs = SftInputs { model, data: world.records("turned.jsonl", &turned) };
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
    // All answers have the same length, so length tells nothing: equal is not right.
    assert_eq!(metric("eval/accuracy_of_longer"), 0.0);

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
    let inputs = SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()) };
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
    let inputs = SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()) };
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
    SftInputs { model: world.path("base"), data: world.path("data.jsonl") }
}

#[test]
fn a_run_that_gets_no_better_ends_early() {
    let world = World::new();
    let inputs = SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()) };
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
    let inputs = SftInputs { model: world.path("base"), data: world.records("data.jsonl", &demonstrations()) };
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
