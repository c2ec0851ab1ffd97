//! A run that is killed in the middle and resumed ends with the weights of a run that was let be.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};

use laurel_trainer::{cli::device::device_of_tests, model::ModelDirectory};
use serde_json::Value;

use super::world::{World, demonstrations, prompts, rankings, succeed, text, trainer};

/// How often a run is made at most until it is killed before it is over.
const TRIES: usize = 5;

/// Starts a run and kills it as soon as it has done `step` steps; a moment later is as good.
fn kill_at(arguments: &[&str], step: u64) {
    let mut child = trainer(&[arguments, &["--json"]].concat()).stdout(Stdio::piped()).spawn().unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if line["event"] == "progress" && line["step"].as_u64() >= Some(step) {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Makes a run that is to write `out`, and kills it once step `step` is done.
fn cut_off(arguments: &[&str], out: &Path, step: u64) {
    // On a busy machine a run may be over before it is killed: then it is made again.
    let is_cut = (0..TRIES).any(|_| {
        let _ = fs::remove_dir_all(out);
        kill_at(arguments, step);
        !out.exists()
    });
    assert!(is_cut, "a killed run leaves no model");
}

/// Runs the stage to its end, then again with a kill once step `step` is done, and resumes that one.
fn killed_and_resumed(world: &World, stage: &[&str], step: u64) {
    let (whole, cut) = (world.path("whole"), world.path("cut"));
    succeed(&[stage, &["--out", text(&whole)]].concat());

    let to_cut = [stage, &["--out", text(&cut)]].concat();
    cut_off(&to_cut, &cut, step);

    // An earlier run's checkpoints are not walked over by accident.
    let again = trainer(&to_cut).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--resume"));

    let resumed = succeed(&[to_cut.as_slice(), &["--resume"]].concat());
    let told = String::from_utf8_lossy(&resumed.stderr);
    assert!(told.contains("going on from the checkpoint at step") && !told.contains("no checkpoint"), "{told}");
    assert_eq!(weights(&whole), weights(&cut));
    let left: Vec<_> = world.names().into_iter().filter(|name| name.contains("checkpoints")).collect();
    assert!(left.is_empty(), "checkpoints are removed when the run ends well: {left:?}");
}

/// The weights themselves; equal to the last bit or not at all.
fn weights(model: &Path) -> Vec<u8> {
    fs::read(model.join("model.safetensors")).unwrap()
}

#[test]
fn sft() {
    let world = World::new();
    let (base, data) = (world.path("base"), world.records("data.jsonl", &demonstrations()));
    let stage = ["sft", "--model", text(&base), "--data", text(&data), "--epochs", "4", "--save-steps", "3"];
    let settings = ["--batch-size", "8", "--learning-rate", "3e-3", "--eval-steps", "5", "--weight-decay", "0.1"];
    killed_and_resumed(&world, &[&stage[..], &settings].concat(), 20);
}

#[test]
fn pretrain() {
    let world = World::new();
    let (base, corpus) = (world.path("base"), world.path("text.txt"));
    fs::write(&corpus, "w1 w2 w3 w4 w5 w6 w7 ".repeat(200)).unwrap();
    let stage = ["pretrain", "--model", text(&base), "--corpus", text(&corpus), "--epochs", "4", "--save-steps", "3"];
    let settings = ["--batch-size", "8", "--learning-rate", "3e-3", "--eval-steps", "5", "--block-length", "16"];
    killed_and_resumed(&world, &[&stage[..], &settings].concat(), 12);
}

/// Which weights are the best ones hangs on answers that are drawn, and a resumed run draws the same.
#[test]
fn sft_whose_best_weights_are_told_by_a_reward_model() {
    let world = World::new();
    let (base, data) = (world.path("base"), world.records("data.jsonl", &demonstrations()));
    let (reward, ranked) = (world.path("reward"), world.records("rankings.jsonl", &rankings()));
    succeed(&["reward", "--model", text(&base), "--data", text(&ranked), "--out", text(&reward), "--steps", "2"]);
    let stage = ["sft", "--model", text(&base), "--data", text(&data), "--epochs", "3", "--save-steps", "4"];
    let settings = ["--batch-size", "8", "--learning-rate", "3e-3", "--eval-steps", "3", "--reward", text(&reward)];
    let judged = ["--best-by", "reward", "--eval-prompts", "6", "--eval-max-new-tokens", "6"];
    killed_and_resumed(&world, &[&stage[..], &settings, &judged].concat(), 16);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_good() {
    let world = World::new();
    let (base, data) = (world.path("base"), world.records("data.jsonl", &demonstrations()));
    let stage = ["sft", "--model", text(&base), "--data", text(&data), "--epochs", "4", "--batch-size", "8"];
    let settings = ["--save-steps", "3", "--learning-rate", "3e-3", "--eval-steps", "5"];
    let stage = [&stage[..], &settings].concat();
    let (whole, cut) = (world.path("whole"), world.path("cut"));
    succeed(&[&stage[..], &["--out", text(&whole)]].concat());
    let to_cut = [&stage[..], &["--out", text(&cut)]].concat();
    cut_off(&to_cut, &cut, 12);
    let steps = |path: &Path| -> Vec<std::path::PathBuf> {
        let mut files: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("step-"));
        files.sort();
        files
    };
    let newest = steps(&world.path("cut.checkpoints")).pop().unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    succeed(&[&to_cut[..], &["--resume"]].concat());
    assert_eq!(weights(&whole), weights(&cut));
}

#[test]
fn dropout_of_an_adapter_is_that_of_the_run_and_drawn_by_its_seed() {
    let world = World::new();
    let (base, data) = (world.path("base"), world.records("data.jsonl", &demonstrations()));
    let adapter = world.path("adapter");
    let stage = ["--data", text(&data), "--batch-size", "8", "--lora", "on", "--save-adapter", "--steps", "4"];
    let first = ["sft", "--model", text(&base), "--out", text(&adapter), "--lora-dropout", "0.3"];
    succeed(&[&first[..], &stage].concat());
    let learned = |out: &str, dropout: &str| {
        let out = world.path(out);
        let again = ["sft", "--model", text(&adapter), "--out", text(&out), "--lora-dropout", dropout];
        succeed(&[&again[..], &stage].concat());
        fs::read(out.join("adapter_model.safetensors")).unwrap()
    };
    assert_eq!(learned("a", "0.3"), learned("b", "0.3"));
    assert_eq!(learned("c", "0"), learned("d", "0"));
    let config: Value = serde_json::from_slice(&fs::read(world.path("c/adapter_config.json")).unwrap()).unwrap();
    assert_eq!(config["lora_dropout"], 0.0);
}

#[test]
fn sft_with_averaged_weights_and_patience() {
    let world = World::new();
    let (base, data) = (world.path("base"), world.records("data.jsonl", &demonstrations()));
    // The minutes give a checkpoint after every step here. The rate is so high that the run ends by its patience.
    let stage = ["sft", "--model", text(&base), "--data", text(&data), "--epochs", "9", "--save-steps", "0"];
    let settings = ["--batch-size", "8", "--learning-rate", "3e-2", "--eval-steps", "3", "--ema-decay", "0.6"];
    let more = ["--patience", "3", "--save-minutes", "1e-9", "--gradient-checkpointing", "--freeze-layers", "1"];
    killed_and_resumed(&world, &[&stage[..], &settings, &more].concat(), 7);
}

#[test]
fn sft_with_adapters_and_dropout() {
    let world = World::new();
    let (base, data) = (world.path("base"), world.records("data.jsonl", &demonstrations()));
    let stage = ["sft", "--model", text(&base), "--data", text(&data), "--epochs", "2", "--save-steps", "4"];
    let settings = ["--batch-size", "8", "--lora", "on", "--lora-rank", "4", "--lora-dropout", "0.2", "--packing"];
    killed_and_resumed(&world, &[&stage[..], &settings].concat(), 10);
}

/// The scale of the loss is a state of the run like the moments.
#[test]
fn sft_in_float16_with_adapters() {
    let world = World::new();
    let (base, data) = (world.path("base"), world.records("data.jsonl", &demonstrations()));
    let stage = ["sft", "--model", text(&base), "--data", text(&data), "--epochs", "2", "--save-steps", "4"];
    let settings = ["--batch-size", "8", "--precision", "float16", "--lora", "on", "--lora-rank", "4"];
    killed_and_resumed(&world, &[&stage[..], &settings].concat(), 10);
}

#[test]
fn reward() {
    let world = World::new();
    let (base, data) = (world.path("base"), world.records("data.jsonl", &rankings()));
    let stage = ["reward", "--model", text(&base), "--data", text(&data), "--epochs", "3", "--save-steps", "3"];
    let settings = ["--batch-size", "4", "--learning-rate", "1e-3", "--eval-steps", "4"];
    let members = ["--ensemble", "3", "--margin", "0.2", "--label-smoothing", "0.1"];
    killed_and_resumed(&world, &[&stage[..], &settings, &members].concat(), 20);
}

/// The beginning of a command that learns from answers of its own, with a reward model for it.
fn online(world: &World, command: &str) -> Vec<String> {
    let (base, reward) = (world.path("base"), world.path("reward"));
    let ranked = world.records("rankings.jsonl", &rankings());
    succeed(&["reward", "--model", text(&base), "--data", text(&ranked), "--out", text(&reward), "--steps", "2"]);
    let prompts = world.records("prompts.jsonl", &prompts());
    [command, "--policy", text(&base), "--reward", text(&reward), "--prompts", text(&prompts)].map(String::from).into()
}

#[test]
fn ppo() {
    let world = World::new();
    let inputs = online(&world, "ppo");
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let settings = ["--steps", "8", "--save-steps", "2", "--batch-size", "12", "--minibatch-size", "5"];
    // A steered price and normalised scores have a state of their own to be kept.
    let state = ["--kl-target", "0.5", "--normalise-scores", "--max-new-tokens", "6", "--learning-rate", "1e-3"];
    killed_and_resumed(&world, &[&inputs[..], &settings, &state].concat(), 5);
}

#[test]
fn ppo_in_bfloat16() {
    let world = World::new();
    let inputs = online(&world, "ppo");
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let settings = ["--steps", "6", "--save-steps", "2", "--batch-size", "12", "--minibatch-size", "5"];
    let state = ["--precision", "bfloat16", "--max-new-tokens", "6", "--learning-rate", "1e-3"];
    killed_and_resumed(&world, &[&inputs[..], &settings, &state].concat(), 3);
}

#[test]
fn ppo_with_a_shared_trunk_a_truncated_law_and_pretraining_text() {
    let world = World::new();
    let inputs = online(&world, "ppo");
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let settings = ["--steps", "8", "--save-steps", "2", "--batch-size", "12", "--minibatch-size", "5"];
    let state = ["--value-model", "shared", "--max-new-tokens", "6", "--learning-rate", "1e-3", "--top-p", "0.9"];
    let pretraining = world.path("text.txt");
    fs::write(&pretraining, "w1 w2 w3 w4 w5 w6 w7 ".repeat(60)).unwrap();
    let mixed = ["--pretrain", text(&pretraining), "--ptx-block-length", "24"];
    killed_and_resumed(&world, &[&inputs[..], &settings, &state, &mixed].concat(), 5);
}

#[test]
fn ppo_with_adapters_and_averaged_weights() {
    let world = World::new();
    let inputs = online(&world, "ppo");
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let settings = ["--steps", "6", "--save-steps", "2", "--batch-size", "12", "--minibatch-size", "5"];
    let state = ["--max-new-tokens", "6", "--learning-rate", "1e-3", "--ema-decay", "0.6"];
    let adapters = ["--lora", "on", "--lora-rank", "4"];
    killed_and_resumed(&world, &[&inputs[..], &settings, &state, &adapters].concat(), 3);
}

/// The adapters of policy and values are the same ones, and the head beside them learns too.
#[test]
fn ppo_with_adapters_on_a_shared_trunk() {
    let world = World::new();
    let inputs = online(&world, "ppo");
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let settings = ["--steps", "6", "--save-steps", "2", "--batch-size", "12", "--minibatch-size", "5"];
    let state = ["--value-model", "shared", "--max-new-tokens", "6", "--learning-rate", "1e-3"];
    let adapters = ["--lora", "on", "--lora-rank", "4"];
    killed_and_resumed(&world, &[&inputs[..], &settings, &state, &adapters].concat(), 3);
}

#[test]
fn rloo() {
    let world = World::new();
    let inputs = online(&world, "rloo");
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let settings = ["--steps", "8", "--save-steps", "2", "--batch-size", "12", "--minibatch-size", "5"];
    let state = ["--kl-target", "0.5", "--normalise-scores", "--max-new-tokens", "6", "--learning-rate", "1e-3"];
    killed_and_resumed(&world, &[&inputs[..], &settings, &state].concat(), 5);
}

#[test]
fn grpo() {
    let world = World::new();
    let inputs = online(&world, "grpo");
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let settings = ["--steps", "8", "--save-steps", "2", "--batch-size", "12", "--minibatch-size", "5"];
    let state = ["--kl-target", "0.5", "--max-new-tokens", "6", "--learning-rate", "1e-3"];
    killed_and_resumed(&world, &[&inputs[..], &settings, &state].concat(), 5);
}

#[test]
fn dpo() {
    let world = World::new();
    let (base, data) = (world.path("base"), world.records("data.jsonl", &rankings()));
    let stage = ["dpo", "--model", text(&base), "--data", text(&data), "--epochs", "3", "--save-steps", "3"];
    let settings = ["--batch-size", "4", "--learning-rate", "1e-3", "--eval-steps", "4"];
    killed_and_resumed(&world, &[&stage[..], &settings].concat(), 20);
}

#[test]
fn a_model_is_there_whole_or_not_at_all() {
    let world = World::new();
    let (base, data) = (world.path("base"), world.records("data.jsonl", &demonstrations()));
    let sft = ["sft", "--model", text(&base), "--data", text(&data), "--steps", "2", "--save-steps", "1"];
    // The last step is done: the kill falls into the judging, the writing, the renaming, or comes too late.
    for number in 0..6 {
        let out = world.path(&format!("out-{number}"));
        let arguments = [&sft[..], &["--out", text(&out)]].concat();
        kill_at(&arguments, 2);
        if !out.exists() {
            succeed(&[&arguments[..], &["--resume"]].concat());
        }
        let model = ModelDirectory::open(&out).unwrap();
        model.load_decoder(&device_of_tests()).unwrap();
        assert!(model.lineage().unwrap().is_some() && model.tokenizer_json().unwrap().is_some());
    }
}
