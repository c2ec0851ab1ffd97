//! Directories that are refused: what does not fit or can't be read is named, with shapes where shapes differ.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    decoder,
    files::{config, save},
};
use crate::{cli::device::device_of_tests, model::ModelDirectory};

#[test]
fn a_checkpoint_that_does_not_fit_is_refused_with_the_tensor_and_both_shapes() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("model");
    save(&decoder("qwen2-tiny", &device), &path);
    let load = || ModelDirectory::open(&path).unwrap().load_decoder(&device).unwrap_err().to_string();
    let original = config(&path);

    change(&path, &original, "intermediate_size", json!(180));
    let error = load();
    assert!(error.contains("model.layers.0.mlp.gate_proj.weight"), "{error}");
    assert!(error.contains("[176, 64]") && error.contains("[180, 64]"), "{error}");

    change(&path, &original, "num_hidden_layers", json!(3));
    assert!(load().contains("no tensor model.layers.2.input_layernorm.weight"));

    change(&path, &original, "num_hidden_layers", json!(1));
    assert!(load().contains("model.layers.1."));
}

#[test]
fn a_pointer_of_git_lfs_is_told_from_the_file() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("model");
    save(&decoder("llama-tiny", &device), &path);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 538090408\n";
    let files = ["model.safetensors", "tokenizer.json", "model.gguf"].map(|name| (name, path.join(name)));
    for (_, file) in &files {
        fs::write(file, pointer).unwrap();
    }
    let model = ModelDirectory::open(&path).unwrap();
    let errors = [
        model.load_decoder(&device).unwrap_err(),
        model.tokenizer_json().unwrap_err(),
        ModelDirectory::open(&files[2].1).unwrap_err(),
    ];
    for ((name, _), error) in files.iter().zip(errors) {
        let error = error.to_string();
        assert!(error.contains(name) && error.contains("git lfs pull"), "{error}");
    }
}

#[test]
fn settings_that_would_be_computed_wrongly_are_refused() {
    let device = device_of_tests();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("model");
    save(&decoder("llama-tiny", &device), &path);
    let original = config(&path);
    let refuse = |name: &str, value: Value| {
        change(&path, &original, name, value);
        ModelDirectory::open(&path).unwrap_err().to_string()
    };
    assert!(refuse("model_type", json!("mamba")).contains("not supported"));
    assert!(refuse("rope_scaling", json!({"rope_type": "yarn", "factor": 2.0})).contains("yarn"));
    assert!(refuse("hidden_act", json!("xielu")).contains("xielu"));
    assert!(refuse("num_key_value_heads", json!(3)).contains("3 key-value heads"));
    assert!(refuse("hidden_size", json!("large")).contains("hidden_size"));
    for name in ["use_sliding_window", "add_cross_attention"] {
        assert!(refuse(name, json!(true)).contains(&format!("{name} = true is not supported")));
        // What asks for nothing is no reason to refuse.
        change(&path, &original, name, json!(false));
        ModelDirectory::open(&path).unwrap();
    }
}

#[test]
fn a_model_that_is_only_on_hugging_face_is_refused_with_how_to_fetch_it() {
    let why = ModelDirectory::open("nobody/has-this-folder").unwrap_err().to_string();
    assert!(why.starts_with("nobody/has-this-folder: no such directory or file; "), "{why}");
    assert!(why.contains("hf download NAME --local-dir DIRECTORY"), "{why}");
}

fn change(path: &Path, original: &Value, name: &str, value: Value) {
    let mut changed = original.clone();
    changed[name] = value;
    fs::write(path.join("config.json"), changed.to_string()).unwrap();
}
