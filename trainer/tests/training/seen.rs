//! What is seen of a run: lines of steps, where the time went, TensorBoard's curves, the settings file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde_json::Value;

use super::world::{World, demonstrations, prompts, rankings, succeed, text, trainer};

/// Arguments of a short SFT run.
fn sft<'a>(world: &World, model: &'a str, data: &'a str, out: &'a str) -> Vec<&'a str> {
    world.records("data.jsonl", &demonstrations());
    vec!["sft", "--model", model, "--data", data, "--out", out, "--steps", "4", "--eval-steps", "2"]
}

/// The records of an event file, as TFRecord frames them.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let (mut rest, mut records) = (fs::read(path).unwrap(), vec![]);
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        records.push(rest[12..12 + length].to_vec());
        rest.drain(..12 + length + 4);
    }
    records
}

fn contains(bytes: &[u8], words: &str) -> bool {
    bytes.windows(words.len()).any(|window| window == words.as_bytes())
}

#[test]
fn off_a_terminal_a_quiet_run_says_a_line_a_step_and_nothing_else() {
    let world = World::new();
    let (model, data, out) = (world.path("base"), world.path("data.jsonl"), world.path("out"));
    let arguments = sft(&world, text(&model), text(&data), text(&out));
    let output = succeed(&[arguments, vec!["--quiet", "--profile"]].concat());
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8(output.stderr).unwrap();
    let steps: Vec<&str> = said.lines().filter(|line| line.starts_with("sft ")).collect();
    assert!(steps[0].starts_with("sft 0/4"), "{said}");
    for (step, line) in (1..=4).zip(&steps[1..]) {
        assert!(line.starts_with(&format!("sft {step}/4 ")) && line.contains(" left loss "), "{line}");
    }
    // The profile was asked for.
    let table: Vec<&str> = said.lines().filter(|line| !line.starts_with("sft ")).collect();
    assert_eq!(steps.len(), 5, "{said}");
    for part in ["attention", "attention, backward", "optimiser", "outside these parts"] {
        assert!(table.iter().any(|line| line.starts_with(part) && line.contains(" s ")), "{part}: {said}");
    }
    // The longest name leaves the others' columns where they are.
    let columns: BTreeSet<_> = table.iter().filter_map(|line| line.find(" s ")).collect();
    assert_eq!(columns.len(), 1, "{said}");
}

#[test]
fn a_run_that_is_to_go_on_and_has_nothing_to_go_on_from_says_so_and_begins() {
    let world = World::new();
    let (model, data, out) = (world.path("base"), world.path("data.jsonl"), world.path("out"));
    let arguments = sft(&world, text(&model), text(&data), text(&out));
    let output = succeed(&[arguments, vec!["--quiet", "--resume"]].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("sft ")).collect();
    assert!(lines.len() == 1 && lines[0].contains("out.checkpoints holds no checkpoint"), "{said}");
    assert!(said.contains("sft 4/4"), "{said}");
}

#[test]
fn a_program_reads_steps_metrics_and_the_profile_as_json() {
    let world = World::new();
    let (model, data, out) = (world.path("base"), world.path("data.jsonl"), world.path("out"));
    let arguments = sft(&world, text(&model), text(&data), text(&out));
    let output = succeed(&[arguments, vec!["--json", "--profile"]].concat());
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    assert_eq!(of("progress").len(), 5);
    assert!(of("metric").iter().any(|line| line["name"] == "train/loss" && line["step"] == 4));
    let profile = of("profile");
    let parts = profile[0]["parts"].as_array().unwrap();
    let sum: f64 = parts.iter().map(|part| part["seconds"].as_f64().unwrap()).sum();
    assert!((sum - profile[0]["seconds"].as_f64().unwrap()).abs() < 1e-6 && sum > 0.0);
    assert!(parts.iter().any(|part| part["part"] == "optimiser" && part["calls"] == 4), "{parts:?}");
    assert_eq!(lines.last().unwrap()["event"], "result");
}

/// What the program printed, read as an object a line.
#[track_caller]
fn printed(arguments: &[&str]) -> Vec<Value> {
    let output = String::from_utf8(succeed(arguments).stdout).unwrap();
    output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn records_on_standard_output_stand_there_alone() {
    let world = World::new();
    let (base, reward) = (world.path("base"), world.path("reward"));
    let ranked = world.records("rankings.jsonl", &rankings());
    succeed(&["reward", "--model", text(&base), "--data", text(&ranked), "--out", text(&reward), "--steps", "1"]);
    let prompts = world.records("prompts.jsonl", &prompts()[..3]);
    let generate = ["generate", "--model", text(&base), "--samples", "2"];
    let best = ["best-of-n", "--policy", text(&base), "--reward", text(&reward), "--n", "2"];
    let asked = ["--prompts", text(&prompts), "--max-new-tokens", "4", "--json", "--out"];
    for (command, more) in [(&generate[..], &["-", "--profile"][..]), (&best[..], &["-"][..])] {
        let lines = printed(&[command, &asked, more].concat());
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines.iter().all(|line| line["responses"].is_array()), "{lines:?}");
    }
    let scored = printed(&["score", "--model", text(&reward), "--data", text(&ranked), "--json"]);
    assert!(scored.iter().all(|line| line["event"].is_null()) && scored[0]["reward"].is_number(), "{scored:?}");

    // What programs read is the same with --quiet.
    let out = world.path("answers.jsonl");
    let told = printed(&[&generate[..], &asked, &[text(&out), "--quiet"]].concat());
    assert!(told[0]["event"] == "progress" && told.last().unwrap()["event"] == "result", "{told:?}");
}

#[test]
fn tensorboard_finds_the_curves_in_a_folder_named_after_the_model() {
    let world = World::new();
    let (model, data, out) = (world.path("base"), world.path("data.jsonl"), world.path("out"));
    let board = world.path("board");
    let arguments = sft(&world, text(&model), text(&data), text(&out));
    succeed(&[arguments, vec!["--quiet", "--tensorboard", text(&board)]].concat());
    let files: Vec<_> = fs::read_dir(board.join("out")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert!(text(&files[0]).contains("events.out.tfevents."), "{files:?}");
    let records = records(&files[0]);
    assert!(contains(&records[0], "brain.Event:2"));
    let mut scalars: BTreeMap<&str, usize> = BTreeMap::new();
    for name in ["train/loss", "eval/nll", "lr"] {
        let count = records.iter().filter(|record| contains(record, name)).count();
        scalars.insert(name, count);
    }
    assert_eq!(scalars["train/loss"], 4, "{scalars:?}");
    // Before learning, and twice on the way.
    assert_eq!(scalars["eval/nll"], 3, "{scalars:?}");
}

#[test]
fn the_settings_file_of_a_stage_is_one_that_the_stage_takes() {
    let world = World::new();
    let printed = succeed(&["settings", "sft"]).stdout;
    let file = world.path("sft.toml");
    fs::write(&file, &printed).unwrap();
    let (model, data, out) = (world.path("base"), world.path("data.jsonl"), world.path("out"));
    let arguments = sft(&world, text(&model), text(&data), text(&out));
    succeed(&[arguments.clone(), vec!["--quiet", "--settings", text(&file)]].concat());
    let unknown = trainer(&["settings", "rlaif"]).output().unwrap();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("ppo"));
}
