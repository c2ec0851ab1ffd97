//! `laurel-trainer compress` from outside: what it writes opens again, and wrong use is told before any work.
#![allow(clippy::unwrap_used)]

use std::{
    path::Path,
    process::{Command, Output},
};

use laurel_trainer::{
    cli::device::device_of_tests,
    model::{
        ModelDirectory, RewardEnsemble,
        hf::{Companions, Lineage, write_reward_model},
    },
};
use serde_json::Value;

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden_files/models/llama-gqa");

fn compress(method: &str, folder: &Path, more: &[&str]) -> Output {
    compress_model(MODEL, method, folder, more)
}

fn compress_model(model: &str, method: &str, folder: &Path, more: &[&str]) -> Output {
    let calibration = folder.join("ids.jsonl");
    let lines: String = (1..9).map(|row| format!("{{\"input_ids\":[{row},3,1,4,{row},5,9,2,6,5,3]}}\n")).collect();
    std::fs::write(&calibration, lines).unwrap();
    Command::new(env!("CARGO_BIN_EXE_laurel-trainer"))
        .args(["compress", "--model", model, "--json", "--method", method])
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
    let mut decoder = model.load_decoder(&device_of_tests()).unwrap();
    let mut looked_at = 0;
    decoder.for_each_linear(&mut |name, linear| {
        let rows = linear.weight_rows();
        let zeros = rows.iter().filter(|weight| **weight == 0.0).count();
        assert_eq!(zeros, rows.len() / 2, "{name}");
        looked_at += 1;
    });
    assert_eq!(looked_at, 7 * model.config().layers, "seven in every block");
}

#[test]
fn fewer_channels_make_a_smaller_model_that_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let output = compress("channels", folder.path(), &["--calibration", "IDS", "--sparsity", "0.25"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (before, after) =
        (ModelDirectory::open(MODEL).unwrap(), ModelDirectory::open(folder.path().join("out")).unwrap());
    assert!(after.config().intermediate_size < before.config().intermediate_size);
    after.load_decoder(&device_of_tests()).unwrap();
}

#[test]
fn a_reward_model_keeps_the_heads_of_its_ensemble() {
    let (folder, device) = (tempfile::tempdir().unwrap(), device_of_tests());
    let policy = ModelDirectory::open(MODEL).unwrap().load_decoder(&device).unwrap();
    let (model, members) = RewardEnsemble::from_policy(&policy, &[1, 2, 3]).into_reward_model();
    let companions = Companions::none().with_members(&members.unwrap()).unwrap();
    let reward = folder.path().join("reward");
    write_reward_model(&reward, &model, &companions, &Lineage::of("reward")).unwrap();

    let output = compress_model(reward.to_str().unwrap(), "int8", folder.path(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kept = ModelDirectory::open(folder.path().join("out")).unwrap().load_members(&device).unwrap();
    assert_eq!(kept.map(|members| members.count()), Some(3));
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

#[test]
fn a_loss_of_no_token_is_not_told() {
    let folder = tempfile::tempdir().unwrap();
    let ids = folder.path().join("one.jsonl");
    std::fs::write(&ids, "\u{feff}\n{\"input_ids\":[5]}\n").unwrap();
    let output = compress("int8", folder.path(), &["--evaluation", ids.to_str().unwrap()]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && stderr.contains("--evaluation: no sequence"), "{stderr}");
}
