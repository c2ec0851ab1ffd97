//! PEFT's adapters: what `peft` wrote acts here as it does there, what is written here is read back the same.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use burn::tensor::{Int, Tensor, TensorData};
use laurel_trainer::{
    cli::device::device_of_tests,
    model::{
        Decoder, Layout, ModelDirectory, RewardModel,
        hf::{AdapterOf, Companions, Lineage, WeightFormat, write_adapter, write_reward_adapter},
    },
};
use serde::Deserialize;
use serde_json::Value;

/// What scripts/adapter_reference.py computed with `peft`.
#[derive(Deserialize)]
struct Expected {
    input_ids: Vec<Vec<i32>>,
    outputs: std::collections::BTreeMap<String, Vec<Vec<f32>>>,
}

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adapters_files")
}

fn expected() -> Expected {
    serde_json::from_str(&fs::read_to_string(files().join("expected.json")).unwrap()).unwrap()
}

fn input(ids: &[i32]) -> (Tensor<2, Int>, Layout) {
    let device = device_of_tests();
    (Tensor::from_data(TensorData::new(ids.to_vec(), [1, ids.len()]), &device), Layout::causal(1, ids.len(), &device))
}

fn logits(decoder: &Decoder, ids: &[i32]) -> Vec<f32> {
    let (ids, layout) = input(ids);
    decoder.logits(decoder.hidden_states(ids, &layout, None)).into_data().try_to_vec().unwrap()
}

fn score(model: &RewardModel, ids: &[i32]) -> Vec<f32> {
    let last = Tensor::from_data(TensorData::new(vec![ids.len() as i32 - 1], [1]), &device_of_tests());
    let (ids, layout) = input(ids);
    model.rewards(ids, &layout, last).into_data().try_to_vec().unwrap()
}

#[track_caller]
fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4 * expected.abs().max(1.0), "{found}, expected {expected}");
    }
}

#[test]
fn what_peft_wrote_gives_here_what_it_gives_there_and_comes_back_from_here_the_same() {
    let (expected, device) = (expected(), device_of_tests());
    let scratch = tempfile::tempdir().unwrap();
    assert_eq!(expected.outputs.len(), 5);
    for (name, outputs) in &expected.outputs {
        let directory = ModelDirectory::open(files().join(name)).unwrap();
        let base = directory.base_path();
        let (companions, lineage) = (Companions::none(), Lineage::of("sft"));
        let format = WeightFormat::Float32;
        let of = AdapterOf { base: &base, companions: &companions, lineage: &lineage, format };
        let again = scratch.path().join(name);
        if name.ends_with("reward") {
            let mut model = directory.load_reward_model_to_learn(&device).unwrap();
            model.set_score_mean(0.25);
            write_reward_adapter(&again, &model, &of).unwrap();
            let again = ModelDirectory::open(&again).unwrap().load_reward_model(&device).unwrap();
            assert_eq!(again.score_mean(), 0.25);
            for (ids, expected) in expected.input_ids.iter().zip(outputs) {
                close(&score(&directory.load_reward_model(&device).unwrap(), ids), expected);
                close(&score(&model, ids), expected);
                close(&score(&again, ids), expected);
            }
            continue;
        }
        let beside = directory.load_decoder_to_learn(&device).unwrap();
        write_adapter(&again, &beside, &of).unwrap();
        let again = ModelDirectory::open(&again).unwrap();
        let (again, merged) = (again.load_decoder(&device).unwrap(), directory.load_decoder(&device).unwrap());
        assert!(beside.has_adapters() && !merged.has_adapters());
        for (ids, expected) in expected.input_ids.iter().zip(outputs) {
            for decoder in [&beside, &merged, &again] {
                close(&logits(decoder, ids), expected);
            }
        }
    }
}

fn trainer(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_laurel-trainer"));
    command.args(arguments).args(["--device", "cpu", "--quiet"]).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_adapter_is_merged_into_its_base_by_command() {
    let scratch = tempfile::tempdir().unwrap();
    let (adapter, out) = (files().join("gpt2-all"), scratch.path().join("merged"));
    let merged = trainer(&["merge", "--adapter", text(&adapter), "--out", text(&out)]);
    assert!(merged.status.success(), "{}", String::from_utf8_lossy(&merged.stderr));
    let expected = expected();
    let lines: String = expected.input_ids.iter().map(|ids| format!("{{\"input_ids\":{ids:?}}}\n")).collect();
    let data = scratch.path().join("ids.jsonl");
    fs::write(&data, lines).unwrap();
    // The merged model is whole, and every command takes the adapter itself for a model.
    for model in [&out, &adapter] {
        let output = trainer(&["logprobs", "--model", text(model), "--data", text(&data)]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        assert_eq!(lines.lines().count(), expected.input_ids.len());
        for (line, expected) in lines.lines().zip(&expected.outputs["gpt2-all"]) {
            let line: Value = serde_json::from_str(line).unwrap();
            let last: Vec<f32> = serde_json::from_value(line["last_logits"].clone()).unwrap();
            close(&last, &expected[expected.len() - 20..]);
        }
    }
}

#[test]
fn a_place_whose_name_is_no_utf8_is_written_to_and_told() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join(OsStr::from_bytes(b"merged-\xff"));
    let mut merge = Command::new(env!("CARGO_BIN_EXE_laurel-trainer"));
    merge.args(["merge", "--json", "--device", "cpu", "--adapter", text(&files().join("gpt2-all"))]);
    let output = merge.arg("--out").arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["out"], *out.to_string_lossy());
    assert!(out.join("model.safetensors").exists());
}

#[test]
fn adapters_that_do_not_fit_are_refused_in_words() {
    let scratch = tempfile::tempdir().unwrap();
    let altered = |name: &str, change: &dyn Fn(&mut Value)| {
        let (from, to) = (files().join("llama-attention"), scratch.path().join(name));
        fs::create_dir(&to).unwrap();
        fs::copy(from.join("adapter_model.safetensors"), to.join("adapter_model.safetensors")).unwrap();
        let mut config: Value =
            serde_json::from_str(&fs::read_to_string(from.join("adapter_config.json")).unwrap()).unwrap();
        change(&mut config);
        fs::write(to.join("adapter_config.json"), config.to_string()).unwrap();
        to
    };
    let llama = files().join("llama");
    let here = |config: &mut Value| config["base_model_name_or_path"] = text(&llama).into();
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(&str, Change, &str); 15] = [
        ("gone", &|config| config["base_model_name_or_path"] = "nobody/nothing".into(), "nobody/nothing"),
        ("dora", &|config| config["use_dora"] = true.into(), "use_dora"),
        ("pissa", &|config| config["init_lora_weights"] = "pissa_niter_16".into(), "pissa_niter_16"),
        ("alora", &|config| config["alora_invocation_tokens"] = [1].into(), "alora_invocation_tokens"),
        ("modules", &|config| config["modules_to_save"] = ["lm_head"].into(), "modules_to_save: lm_head"),
        ("tokens", &|config| config["trainable_token_indices"] = [1].into(), "trainable_token_indices"),
        ("pattern", &|config| config["rank_pattern"] = serde_json::json!({"q_proj(": 2}), "q_proj("),
        (
            "kind",
            &|config| *config = serde_json::json!({"peft_type": "IA3", "target_modules": ["k_proj"]}),
            "of the kind IA3",
        ),
        ("dropout", &|config| config["lora_dropout"] = serde_json::json!(1.0), "lora_dropout of 1;"),
        (
            "none",
            &|config| {
                here(config);
                config["r"] = 0.into();
            },
            "q_proj the rank 0",
        ),
        (
            "rank",
            &|config| {
                here(config);
                config["r"] = 3.into();
            },
            "lora_A.weight has shape [2, 8]",
        ),
        (
            "targets",
            &|config| {
                here(config);
                config["target_modules"] = ["v_proj"].into();
            },
            "leaves out model.layers.0.self_attn.q_proj (by target_modules",
        ),
        (
            "excluded",
            &|config| {
                here(config);
                config["exclude_modules"] = ".*layers.1.*v_proj".into();
            },
            "leaves out model.layers.1.self_attn.v_proj ",
        ),
        (
            "layers",
            &|config| {
                here(config);
                config["layers_to_transform"] = [0].into();
            },
            "leaves out model.layers.1.self_attn.q_proj ",
        ),
        ("other", &|config| config["base_model_name_or_path"] = text(&files().join("gpt2")).into(), "no place for"),
    ];
    let data = scratch.path().join("ids.jsonl");
    fs::write(&data, "{\"input_ids\":[1]}\n").unwrap();
    for (name, change, words) in cases {
        let adapter = altered(name, change);
        let output = trainer(&["logprobs", "--model", text(&adapter), "--data", text(&data)]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(words), "{name}: {said}");
    }
    let whole = trainer(&["merge", "--adapter", text(&llama), "--out", text(&scratch.path().join("out"))]);
    assert_eq!(whole.status.code(), Some(2), "{}", String::from_utf8_lossy(&whole.stderr));
    assert!(String::from_utf8_lossy(&whole.stderr).contains("whole model already"));
}
