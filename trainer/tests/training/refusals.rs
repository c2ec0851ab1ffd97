//! Wrong settings and inputs are refused with exit code 2 and a sentence that names them; nothing is left behind.

use std::fs;

use super::world::{World, demonstrations, prompts, rankings, succeed, text, trainer};

#[track_caller]
fn refused(arguments: &[&str], expected: &[&str]) {
    let output = trainer(arguments).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    for expected in expected {
        assert!(message.contains(expected), "{expected:?} is not in: {message}");
    }
}

#[test]
fn settings_by_name() {
    let world = World::new();
    let (base, data, out) = (world.path("base"), world.records("data.jsonl", &demonstrations()), world.path("out"));
    let sft = ["sft", "--model", text(&base), "--data", text(&data), "--out", text(&out)];
    let with = |more: &[&str], expected: &[&str]| refused(&[&sft[..], more].concat(), expected);
    with(&["--speed", "9"], &["--speed"]);
    with(&["--epochs", "many"], &["epochs", "many", "whole number"]);
    with(&["--learning-rate", "-1"], &["learning_rate", "above 0"]);
    with(&["--lora", "perhaps"], &["lora", "perhaps"]);
    with(&["--precision", "half"], &["precision", "half", "bfloat16"]);
    with(&["--lora", "on", "--lora-targets", "q_proj,head"], &["head"]);
    with(&["--lora", "on", "--lora-alpha", "0"], &["lora_alpha", "above 0"]);
    fs::write(world.path("settings.toml"), "epoch = 3\n").unwrap();
    with(&["--settings", text(&world.path("settings.toml"))], &["\"epoch\""]);
    fs::write(world.path("settings.toml"), b"# caf\xE9\nepochs = 3\n").unwrap();
    with(&["--settings", text(&world.path("settings.toml"))], &["settings.toml: is not UTF-8"]);
    fs::write(world.path("settings.toml"), "epochs = \n").unwrap();
    with(&["--settings", text(&world.path("settings.toml"))], &["settings.toml"]);
    assert!(!out.exists());

    let ppo = ["ppo", "--policy", text(&base), "--reward", text(&base), "--prompts", text(&data), "--out", text(&out)];
    refused(&[&ppo[..], &["--top-p", "0"]].concat(), &["top_p", "above 0"]);
    refused(&[&ppo[..], &["--temperature", "0"]].concat(), &["temperature"]);
    refused(&[&ppo[..], &["--ptx-block-length", "1"]].concat(), &["ptx_block_length", "at least 2"]);
    // What is set for another kind of value model would change nothing.
    refused(
        &[&ppo[..], &["--value-model", "shared", "--value-learning-rate", "1e-5"]].concat(),
        &["value_learning_rate", "shared"],
    );
    for value_model in ["reward", "policy"] {
        let asked = ["--value-model", value_model, "--value-coefficient", "0.5"];
        refused(&[&ppo[..], &asked].concat(), &["value_coefficient", "shared", "value_learning_rate"]);
    }
    // A price of 0 stays 0 whatever it is multiplied by, and no rollout is to make it one.
    for command in ["ppo", "rloo", "grpo"] {
        let online = [&[command][..], &ppo[1..], &["--kl-target", "6"]].concat();
        refused(&[&online[..], &["--kl-coefficient", "0"]].concat(), &["kl_target", "kl_coefficient is 0"]);
        let hasty = ["--batch-size", "40", "--kl-horizon", "8"];
        refused(&[&online[..], &hasty].concat(), &["kl_horizon", "a fifth of batch_size, 40"]);
    }
    // Answers are drawn without dropout: learning from them with it begins with ratios that are not 1.
    for command in ["ppo", "rloo", "grpo"] {
        let online = [&[command][..], &ppo[1..]].concat();
        refused(&[&online[..], &["--lora", "on", "--lora-dropout", "0.1"]].concat(), &["lora_dropout", "must be 0"]);
    }
}

#[test]
fn inputs_that_do_not_fit() {
    let world = World::new();
    let (base, out) = (world.path("base"), world.path("out"));
    let prompts = world.records("prompts.jsonl", &prompts());
    let ppo = ["ppo", "--policy", text(&base), "--reward", text(&base), "--prompts", text(&prompts)];
    refused(&[&ppo[..], &["--out", text(&out)]].concat(), &["a reward model is needed"]);

    let mut ties = rankings();
    ties.iter_mut().for_each(|record| record["ranks"] = serde_json::json!([1, 1, 1, 1]));
    let ties = world.records("ties.jsonl", &ties);
    let reward = ["reward", "--model", text(&base), "--data", text(&ties), "--out", text(&out)];
    refused(&reward, &["ties.jsonl", "no ranking to learn from"]);
    assert_eq!(world.names(), ["base", "prompts.jsonl", "ties.jsonl"], "nothing is left behind");
}

#[test]
fn a_wrong_file_of_records_is_told_before_the_weights_are_read() {
    let world = World::new();
    let (base, out) = (world.path("base"), world.path("out"));
    fs::remove_file(base.join("model.safetensors")).unwrap();
    let wrong = world.records("wrong.jsonl", &[serde_json::json!({"id": "1"})]);
    for command in ["sft", "reward", "dpo"] {
        let arguments = [command, "--model", text(&base), "--data", text(&wrong), "--out", text(&out)];
        refused(&arguments, &["wrong.jsonl, line 1: "]);
    }
}

/// `freeze_layers` is held against the model itself, which is one of the last things that can be wrong.
#[test]
fn a_run_that_is_refused_removes_nothing_of_the_run_that_it_was_to_overwrite() {
    let world = World::new();
    let (base, reward, out) = (world.path("base"), world.path("reward"), world.path("out"));
    let ranked = world.records("rankings.jsonl", &rankings());
    let (data, asked) = (world.records("data.jsonl", &demonstrations()), world.records("prompts.jsonl", &prompts()));
    succeed(&["reward", "--model", text(&base), "--data", text(&ranked), "--out", text(&reward), "--steps", "1"]);
    fs::write(world.path("text.txt"), "w1 w2 w3 w4 w5 ".repeat(60)).unwrap();
    let corpus = world.path("text.txt");
    let (checkpoint, policy) = (world.path("out.checkpoints/step-00000003.safetensors"), world.path("out.policies/3"));
    for folder in [world.path("out.checkpoints"), policy.clone()] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(&checkpoint, "of another run").unwrap();

    let anew = ["--out", text(&out), "--overwrite"];
    let sft = ["sft", "--model", text(&base), "--data", text(&data)];
    let mut stages = vec![
        sft.to_vec(),
        vec!["pretrain", "--model", text(&base), "--corpus", text(&corpus)],
        vec!["reward", "--model", text(&base), "--data", text(&ranked)],
        vec!["dpo", "--model", text(&base), "--data", text(&ranked)],
    ];
    for method in ["ppo", "rloo", "grpo"] {
        let inputs = ["--policy", text(&base), "--reward", text(&reward), "--prompts", text(&asked)];
        stages.push([&[method][..], &inputs, &["--keep-policy-steps", "1", "--max-new-tokens", "8"]].concat());
    }
    for stage in stages {
        refused(&[&stage[..], &anew, &["--freeze-layers", "99"]].concat(), &["freeze_layers", "2 layers"]);
        assert!(checkpoint.exists() && policy.exists(), "{stage:?}");
    }
    succeed(&[&sft[..], &anew, &["--steps", "1"]].concat());
    assert!(out.exists() && !world.path("out.checkpoints").exists());
}

/// What else is wrong with such a run shows once the models have been read, which may take minutes.
#[test]
fn a_place_with_an_earlier_run_in_it_is_refused_before_the_models_are_read() {
    let world = World::new();
    let (base, reward, out) = (world.path("base"), world.path("reward"), world.path("out"));
    let (ranked, asked) = (world.records("rankings.jsonl", &rankings()), world.records("prompts.jsonl", &prompts()));
    succeed(&["reward", "--model", text(&base), "--data", text(&ranked), "--out", text(&reward), "--steps", "1"]);
    let (checkpoints, policies) = (world.path("out.checkpoints"), world.path("out.policies"));
    for method in ["ppo", "rloo", "grpo"] {
        let inputs = [method, "--policy", text(&base), "--reward", text(&reward), "--prompts", text(&asked)];
        let settings = ["--keep-policy-steps", "1", "--max-new-tokens", "8", "--freeze-layers", "99"];
        let run = [&inputs[..], &settings, &["--out", text(&out)]].concat();
        fs::create_dir_all(&checkpoints).unwrap();
        fs::write(checkpoints.join("step-00000003.safetensors"), "of another run").unwrap();
        refused(&run, &["out.checkpoints", "--overwrite"]);
        fs::remove_dir_all(&checkpoints).unwrap();
        fs::create_dir_all(policies.join("000003")).unwrap();
        refused(&run, &["out.policies", "--overwrite"]);
        refused(&[&run[..], &["--resume"]].concat(), &["out.policies", "--overwrite"]);
        refused(&[&run[..], &["--overwrite"]].concat(), &["freeze_layers", "2 layers"]);
        assert!(policies.join("000003").exists());
    }
}

#[test]
fn a_place_where_no_model_can_appear_is_refused_before_anything_is_learned() {
    let world = World::new();
    let (base, data) = (world.path("base"), world.records("data.jsonl", &demonstrations()));
    let out = data.join("out");
    let output = trainer(&["sft", "--model", text(&base), "--data", text(&data), "--out", text(&out), "--steps", "1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("data.jsonl/out") && !said.contains("sft 0/1"), "{said}");

    // An empty folder, but one that somebody stands in: its checkpoints would lie in it.
    let here = world.path("here");
    fs::create_dir(&here).unwrap();
    let output = trainer(&["sft", "--model", text(&base), "--data", text(&data), "--out", ".", "--steps", "1"])
        .current_dir(&here)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("needs a name") && !said.contains("sft 0/1"), "{said}");
    assert_eq!(fs::read_dir(&here).unwrap().count(), 0);
}

#[test]
fn a_model_that_is_there_is_not_written_over_and_settings_come_from_a_file() {
    let world = World::new();
    let (base, data, out) = (world.path("base"), world.records("data.jsonl", &demonstrations()), world.path("out"));
    fs::write(world.path("settings.toml"), "steps = 2\nlearning_rate = 1e-3\n").unwrap();
    let settings = world.path("settings.toml");
    let sft =
        ["sft", "--model", text(&base), "--data", text(&data), "--out", text(&out), "--settings", text(&settings)];
    succeed(&[&sft[..], &["--batch-size", "5"]].concat());
    let lineage: serde_json::Value = serde_json::from_slice(&fs::read(out.join("laurel.json")).unwrap()).unwrap();
    assert_eq!(lineage["settings"]["steps"], 2);
    assert_eq!(lineage["settings"]["batch_size"], 5);
    refused(&sft, &["already exists"]);
}

#[test]
fn the_prompts_that_are_answered_are_not_written_over() {
    let world = World::new();
    let (base, asked) = (world.path("base"), world.records("prompts.jsonl", &prompts()));
    let before = fs::read(&asked).unwrap();
    let generate = ["generate", "--model", text(&base)];
    let best = ["best-of-n", "--policy", text(&base), "--reward", text(&base)];
    let files = ["--prompts", text(&asked), "--out", text(&asked)];
    for command in [&generate[..], &best[..]] {
        refused(&[command, &files[..]].concat(), &["is the file of --prompts; name another file"]);
    }
    assert_eq!(fs::read(&asked).unwrap(), before);
}

#[test]
fn numbers_that_an_option_does_not_take_are_refused_with_those_that_it_takes() {
    let generate = ["generate", "--model", "m", "--prompts", "p", "--out", "o"];
    refused(&[&generate[..], &["--samples", "0"]].concat(), &["--samples", "a whole number, 1 or more"]);
    refused(&[&generate[..], &["--batch", "1.5"]].concat(), &["--batch", "a whole number, 0 or more"]);
    refused(&[&generate[..], &["--temperature", "hot"]].concat(), &["--temperature", "expected a number"]);
    let best = ["best-of-n", "--policy", "m", "--reward", "m", "--prompts", "p", "--out", "o"];
    refused(&[&best[..], &["--n", "100000"]].concat(), &["--n", "a whole number from 1 to 65536"]);
    refused(&[&best[..], &["--missing-eos-penalty", "-1"]].concat(), &["--missing-eos-penalty", "at least 0"]);
    refused(&["serve", "--model", "m", "--listen", "localhost:8090"], &["such as 127.0.0.1:8090"]);
    let cost = ["cost", "--parameters", "7b", "--pretraining-examples", "some"];
    refused(&cost, &["--pretraining-examples", "a whole number, 0 or more"]);
}
