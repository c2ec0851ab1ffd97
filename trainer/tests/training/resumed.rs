//! A command that writes records and is killed in the middle goes on where it was, and its file is that of a run that was let be.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use super::{
    ppo::inputs,
    world::{World, prompts, rankings, succeed, text, trainer},
};

/// What kills a process that writes more into a file than it may (SIGXFSZ).
const FILE_TOO_LARGE: i32 = 25;

/// Runs the program until one of its files has about half as many bytes as `whole`: it is killed within a line.
fn killed_halfway(arguments: &[&str], whole: &Path) {
    // A block is 512 bytes or, by some shells, 1,024.
    let blocks = (fs::metadata(whole).unwrap().len() / 1024).to_string();
    let output = Command::new("sh")
        .args(["-c", "ulimit -c 0; ulimit -f \"$0\"; exec \"$@\"", &blocks, env!("CARGO_BIN_EXE_laurel-trainer")])
        .args(arguments)
        .args(["--device", "cpu"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(FILE_TOO_LARGE), "{said}");
}

/// What is told of a run in JSON, without what differs from run to run.
fn result(arguments: &[&str]) -> Value {
    let output = String::from_utf8(succeed(&[arguments, &["--json"]].concat()).stdout).unwrap();
    let mut told: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    assert_eq!(told["event"], "result", "{output}");
    for name in ["out", "seconds", "tokens_per_second"] {
        told.as_object_mut().unwrap().remove(name);
    }
    told
}

/// Runs a command to its end, then again with a kill halfway, and resumes that one. `other`: options that make other work of it,
/// and in which `words` that is said.
fn killed_and_resumed(world: &World, command: &[&str], other: &[&str], words: &str) {
    let (whole, cut, partial) = (world.path("whole.jsonl"), world.path("cut.jsonl"), world.path("cut.jsonl.partial"));
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let to_end = result(&[command, &["--out", text(&whole)]].concat());
    let names = world.names();
    let to_cut = [command, &["--out", text(&cut)]].concat();
    killed_halfway(&to_cut, &whole);
    assert!(!cut.exists(), "a killed run leaves no file that looks whole");
    let left = read(&partial);
    assert!(left.contains('\n') && read(&whole).starts_with(&left), "{left}");

    // It is not walked over by accident, nor mixed with other work.
    let refused = |more: &[&str], words: &[&str]| {
        let output = trainer(&[&to_cut[..], more].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && words.iter().all(|word| said.contains(word)), "{said}");
    };
    refused(&[], &["cut.jsonl.partial", "--resume", "--overwrite"]);
    refused(&[other, &["--resume"]].concat(), &["cut.jsonl.partial belongs to other work: ", words]);
    assert_eq!(read(&partial), left);

    assert_eq!(result(&[&to_cut[..], &["--resume"]].concat()), to_end);
    assert_eq!(read(&cut), read(&whole));
    fs::remove_file(&cut).unwrap();
    assert_eq!(world.names(), names, "nothing is left beside the file");

    killed_halfway(&to_cut, &whole);
    assert_eq!(result(&[&to_cut[..], &["--overwrite"]].concat()), to_end);
    assert_eq!(read(&cut), read(&whole));

    // Printed, the lines are the same.
    let printed = succeed(&[command, &["--quiet", "--out", "-"]].concat());
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), read(&whole));
}

/// Three groups of eight prompts, the second of which a run that is killed halfway has in part.
fn generating<'a>(base: &'a Path, prompts: &'a Path) -> Vec<&'a str> {
    let command = ["generate", "--model", text(base), "--prompts", text(prompts), "--samples", "2", "--batch", "2"];
    [&command[..], &["--max-new-tokens", "6"]].concat()
}

#[test]
fn generate() {
    let world = World::new();
    let (base, prompts) = (world.path("base"), world.records("prompts.jsonl", &prompts()));
    let command = generating(&base, &prompts);
    killed_and_resumed(&world, &command, &["--seed", "9"], "its seed is 0;");

    // A run that finds nothing to go on from says so and begins.
    let out = world.path("new.jsonl");
    let output = succeed(&[&command[..], &["--resume", "--out", text(&out)]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("there is no ") && said.contains("new.jsonl.partial"), "{said}");
    assert_eq!(fs::read(&out).unwrap(), fs::read(world.path("whole.jsonl")).unwrap());
    let printed = trainer(&[&command[..], &["--resume", "--out", "-"]].concat()).output().unwrap();
    assert_eq!((printed.status.code(), printed.stdout.len()), (Some(2), 0));
}

#[test]
fn a_line_that_is_there_is_taken_as_it_stands_and_not_computed_again() {
    let world = World::new();
    let (base, prompts) = (world.path("base"), world.records("prompts.jsonl", &prompts()));
    let (whole, cut, partial) = (world.path("whole.jsonl"), world.path("cut.jsonl"), world.path("cut.jsonl.partial"));
    let command = generating(&base, &prompts);
    succeed(&[&command[..], &["--out", text(&whole)]].concat());
    let to_cut = [&command[..], &["--out", text(&cut)]].concat();
    killed_halfway(&to_cut, &whole);
    let changed = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        let changed = text.replacen("\"prompt_id\":\"0\"", "\"prompt_id\":\"another\"", 1);
        assert_ne!(text, changed);
        changed
    };
    fs::write(&partial, changed(&partial)).unwrap();
    let resumed = succeed(&[&to_cut[..], &["--resume"]].concat());
    let told = String::from_utf8(resumed.stdout).unwrap();
    assert!(
        told.starts_with("48 answers to 24 prompts in ") && told.contains("of an earlier run among them"),
        "{told}"
    );
    assert_eq!(fs::read_to_string(&cut).unwrap(), changed(&whole));
}

#[test]
fn best_of_n() {
    let world = World::new();
    let inputs = inputs(&world);
    let (policy, reward, prompts) = (text(&inputs.policy), text(&inputs.reward), text(&inputs.prompts));
    let command = ["best-of-n", "--policy", policy, "--reward", reward, "--prompts", prompts, "--n", "3"];
    let command = [&command[..], &["--batch", "6", "--max-new-tokens", "6"]].concat();
    killed_and_resumed(&world, &command, &["--all"], "all was false and is true;");
}

/// A reward model that has learned next to nothing.
fn reward_model(world: &World, more: &[&str]) -> PathBuf {
    let (base, reward, data) = (world.path("base"), world.path("reward"), world.records("data.jsonl", &rankings()));
    let learn = ["reward", "--quiet", "--model", text(&base), "--data", text(&data), "--out", text(&reward)];
    succeed(&[&learn[..], &["--steps", "2"], more].concat());
    reward
}

const OTHER_PRECISION: &str = "precision was \"float32\" and is \"bfloat16\";";

/// The last line is over all answers, those of the earlier run among them.
#[test]
fn score() {
    let world = World::new();
    let (reward, data) = (reward_model(&world, &["--ensemble", "2"]), world.path("data.jsonl"));
    let command = ["score", "--model", text(&reward), "--data", text(&data), "--batch", "1"];
    killed_and_resumed(&world, &command, &["--precision", "bfloat16"], OTHER_PRECISION);
    let written = fs::read_to_string(world.path("whole.jsonl")).unwrap();
    assert_eq!(written.lines().count(), 72 * 4 + 1);
    let last: Value = serde_json::from_str(written.lines().last().unwrap()).unwrap();
    assert!(last["accuracy"].is_f64() && last["log_loss"].is_f64(), "{last}");
}

#[test]
fn score_of_token_ids() {
    let world = World::new();
    let reward = reward_model(&world, &[]);
    let rows = (0..160_u32).map(|row| json!({"input_ids": [4 + row % 36, 5, 6 + row % 30]}));
    let rows = world.records("rows.jsonl", &rows.collect::<Vec<Value>>());
    let command = ["score", "--model", text(&reward), "--data", text(&rows), "--batch", "1"];
    killed_and_resumed(&world, &command, &["--precision", "bfloat16"], OTHER_PRECISION);
}

/// Its rewards come last, those of one model together.
#[test]
fn evaluate() {
    let world = World::new();
    let inputs = inputs(&world);
    let (policy, reward) = (text(&inputs.policy), text(&inputs.reward));
    let models = ["evaluate", "--model", policy, "--against", policy, "--reward", reward];
    let more = ["--prompts", text(&inputs.prompts), "--samples", "3", "--batch", "5", "--max-new-tokens", "6"];
    let (whole, cut, partial) = (world.path("whole"), world.path("cut"), world.path("cut.partial"));
    let to_end = result(&[&models[..], &more, &["--out", text(&whole)]].concat());
    let names = world.names();

    // Killed again and again, each time a little later, until there are some rewards. With a slash the place is the same.
    let slash = format!("{}/", text(&cut));
    let to_cut = [&models[..], &more, &["--out", &slash]].concat();
    let resumed = [&to_cut[..], &["--resume"]].concat();
    let size = world.path("size");
    let mut kilobytes = 6;
    while !fs::read_to_string(&partial).is_ok_and(|lines| lines.contains("\"reward\"")) {
        fs::write(&size, vec![0_u8; kilobytes * 1024]).unwrap();
        killed_halfway(&resumed, &size);
        assert!(!cut.exists(), "a killed run leaves no folder that looks whole");
        kilobytes += 4;
    }
    fs::remove_file(&size).unwrap();
    for (more, words) in [
        (&[] as &[&str], ["cut.partial holds what an earlier run had finished", "--overwrite"]),
        (&["--resume", "--seed", "9"][..], ["cut.partial belongs to other work: ", "its seed is 0;"]),
    ] {
        let output = trainer(&[&to_cut[..], more].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && words.iter().all(|word| said.contains(word)), "{said}");
    }
    assert_eq!(result(&resumed), to_end);
    for file in ["model.jsonl", "against.jsonl", "report.json", "report.svg"] {
        assert_eq!(fs::read(cut.join(file)).unwrap(), fs::read(whole.join(file)).unwrap(), "{file}");
    }
    fs::remove_dir_all(&cut).unwrap();
    assert_eq!(world.names(), names, "nothing is left beside the folder");
}
