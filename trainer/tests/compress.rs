//! `laurel-trainer compress` from outside: what it writes opens again, and wrong use is told before any work.
#![allow(clippy::unwrap_used)]

use std::{
    path::Path,
    process::{Command, Output},
};

use burn::tensor::Device;
use laurel_trainer::model::{
    ModelDirectory, RewardEnsemble,
    hf::{Companions, Lineage, write_reward_model},
};
use serde_json::Value;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden_files/models/llama-gqa");

fn compress(method: &str, folder: &Path, more: &[&str]) -> Output {
    let calibration = folder.join("ids.jsonl");
    let lines: String = (1..9).map(|row| format!("{{\"input_ids\":[{row},3,1,4,{row},5,9,2,6,5,3]}}\n")).collect();
    std::fs::write(&calibration, lines).unwrap();
    Command::new(env!("CARGO_BIN_EXE_laurel-trainer"))
        .args(["compress", "--model", MODEL, "--json", "--method", method])
        .arg("--out")
        .arg(folder.join("out"))
        .args(more.iter().map(|argument| argument.replace("IDS", &calibration.to_string_lossy())))
        .output()
        .unwrap()
}

#[test]
fn half_of_the_weights_of_the_blocks_are_zero_in_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let output = compress("sparsegpt", folder.path(), &["--calibration", "IDS", "--evaluation", "IDS"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let last = output.stdout.split(|&byte| byte == b'\n').rfind(|line| !line.is_empty()).unwrap();
    let result: Value = serde_json::from_slice(last).unwrap();
    assert!(result["nll_after"].as_f64().unwrap() > 0.0, "{result}");

    let model = ModelDirectory::open(folder.path().join("out")).unwrap();
    let lineage = model.lineage().unwrap().unwrap();
    assert_eq!(lineage.stage, "compress");
    assert_eq!(lineage.parent, Some(ModelDirectory::open(MODEL).unwrap().digest().unwrap()));
    let mut decoder = model.load_decoder(&Device::flex()).unwrap();
    decoder.for_each_linear(&mut |name, linear| {
        let rows = linear.weight_rows();
        let zeros = rows.iter().filter(|weight| **weight == 0.0).count();
        assert_eq!(zeros, rows.len() / 2, "{name}");
    });
}

#[test]
fn fewer_channels_make_a_smaller_model_that_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let output = compress("channels", folder.path(), &["--calibration", "IDS", "--sparsity", "0.25"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (before, after) =
        (ModelDirectory::open(MODEL).unwrap(), ModelDirectory::open(folder.path().join("out")).unwrap());
    assert!(after.config().intermediate_size < before.config().intermediate_size);
    after.load_decoder(&Device::flex()).unwrap();
}

#[test]
fn an_ensemble_keeps_its_heads() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("ensemble"), folder.path().join("out"));
    let decoder = ModelDirectory::open(MODEL).unwrap().load_decoder(&Device::flex()).unwrap();
    let (model, members) = RewardEnsemble::from_policy(&decoder, &[1, 2]).into_reward_model();
    let companions = Companions::none().with_members(&members.unwrap()).unwrap();
    write_reward_model(&from, &model, &companions, &Lineage::of("reward")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_laurel-trainer"))
        .args(["compress", "--method", "int8", "--model"])
        .arg(&from)
        .arg("--out")
        .arg(&to)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let heads = |model: &Path| std::fs::read(model.join("ensemble.safetensors")).unwrap();
    assert_eq!(heads(&from), heads(&to));
}

#[test]
fn wrong_use_is_told_with_exit_code_2_and_leaves_no_model() {
    for (method, more, says) in [
        ("wanda", &[][..], "--calibration"),
        ("magnitude", &["--sparsity", "1.5"], "--sparsity"),
        ("wanda", &["--calibration", "/nowhere/text.txt"], "/nowhere/text.txt"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = compress(method, folder.path(), more);
        assert_eq!(output.status.code(), Some(2), "{method} {more:?}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(says), "{stderr}");
        assert!(!folder.path().join("out").exists());
    }
}
