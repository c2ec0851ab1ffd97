//! A disk that is full in the middle of a run: what was stored before stays, is named, and is gone on from.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use super::{
    ppo::inputs,
    world::{World, succeed, text},
};

/// The program on a disk that takes no file of more than so many bytes: the system refuses to write what is beyond a limit, as it
/// does on a full disk.
fn limited(bytes: u64, arguments: &[&str]) -> Output {
    // In blocks of 512 bytes, by POSIX. Unless it is ignored, a signal ends the process instead.
    let limit = (bytes / 512).to_string();
    let script = r#"trap '' XFSZ; ulimit -f "$1"; shift; exec "$@""#;
    let program = env!("CARGO_BIN_EXE_laurel-trainer");
    let command = ["-c", script, "sh", &limit, program];
    Command::new("sh").args(command).args(arguments).args(["--device", "cpu"]).output().unwrap()
}

fn weights(model: &Path) -> u64 {
    fs::metadata(model.join("model.safetensors")).unwrap().len()
}

#[test]
fn a_checkpoint_that_finds_no_room_leaves_the_one_before_it() {
    let world = World::new();
    let (inputs, out) = (inputs(&world), world.path("out"));
    let models = ["ppo", "--policy", text(&inputs.policy), "--reward", text(&inputs.reward)];
    let places = ["--prompts", text(&inputs.prompts), "--out", text(&out)];
    let settings = ["--steps", "2", "--save-steps", "1", "--batch-size", "4", "--minibatch-size", "4"];
    let run = [&models[..], &places, &settings, &["--max-new-tokens", "6"]].concat();
    // The first checkpoint holds weights alone, of policy and values; the next one also two moments of each.
    let output = limited(2 * (weights(&inputs.policy) + weights(&inputs.reward)), &run);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("step-00000001.safetensors can't be written: "), "{said}");
    assert!(said.contains("the last good checkpoint is ") && said.contains("step-00000000.safetensors"), "{said}");
    let left = fs::read_dir(world.path("out.checkpoints")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(left.collect::<Vec<_>>(), ["step-00000000.safetensors"], "nothing half written");

    succeed(&[&run[..], &["--resume"]].concat());
    assert!(weights(&out) > 0);
}

#[test]
fn a_model_that_finds_no_room_is_told_by_its_name_and_leaves_nothing() {
    let world = World::new();
    let (base, out) = (world.path("base"), world.path("out"));
    let output =
        limited(weights(&base) / 2, &["compress", "--model", text(&base), "--method", "int8", "--out", text(&out)]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/out/model.safetensors: ") && !said.contains(".partial-"), "{said}");
    assert_eq!(world.names(), ["base"]);
}
