//! `laurel-trainer score` on every kind of file, against what the reward model gives.

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use laurel_trainer::{
    cli::device::device_of_tests,
    model::{
        DecoderConfig, ModelDirectory, RewardModel,
        hf::{Lineage, write_reward_model},
    },
};
use serde_json::{Value, json};

fn trainer(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_laurel-trainer"))
        .args(["--device", "cpu"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("laurel-trainer starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("laurel-trainer ends")
}

/// A reward model with random weights and a tokenizer of its own.
fn reward_model(folder: &Path) -> String {
    let corpus = folder.join("corpus.txt");
    std::fs::write(&corpus, "What is tea? A warm drink. Where is the moon? Far away, and round.".repeat(9))
        .expect("kept");
    let (policy, reward) = (folder.join("policy"), folder.join("reward"));
    let arguments = ["init", "--config", "llama-tiny", "--vocabulary", "300", "--quiet", "--corpus"];
    let paths = [corpus.to_str().expect("a path"), "--out", policy.to_str().expect("a path")];
    let made = trainer(&[&arguments[..], &paths].concat(), "");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let directory = ModelDirectory::open(&policy).expect("a model");
    let model = RewardModel::from_policy(&directory.load_decoder(&device_of_tests()).expect("weights"), 1);
    write_reward_model(&reward, &model, &directory.companions().expect("files"), &Lineage::of("reward")).expect("kept");
    reward.to_str().expect("a path").to_owned()
}

/// The lines that `score` prints for these records.
fn scored(model: &str, records: &[Value]) -> Vec<Value> {
    let input: String = records.iter().map(|record| format!("{record}\n")).collect();
    let output = trainer(&["score", "--quiet", "--model", model, "--data", "-"], &input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn the_same_answer_has_the_same_reward_in_every_kind_of_file_and_pairs_are_counted() {
    let folder = tempfile::tempdir().expect("a directory");
    let model = reward_model(folder.path());
    let prompt = json!([{ "role": "user", "content": "What is tea?" }]);
    let said = |text: &str| json!([{ "role": "assistant", "content": text }]);
    let texts = ["A warm drink.", "Far away, and round."];

    let responses = scored(
        &model,
        &[json!({ "prompt_id": "p", "prompt": prompt, "responses": texts.map(|text| json!({ "content": text })) })],
    );
    let rewards: Vec<f64> = responses.iter().map(|line| line["reward"].as_f64().expect("a number")).collect();
    assert_eq!((responses.len(), &responses[1]["id"], &responses[1]["answer"]), (2, &json!("p"), &json!(1)));
    assert!((rewards[0] - rewards[1]).abs() > 1e-4, "{rewards:?}");
    let demonstration = scored(&model, &[json!({ "id": "d", "prompt": prompt, "completion": said(texts[0]) })]);
    assert!((demonstration[0]["reward"].as_f64().expect("a number") - rewards[0]).abs() < 1e-5);

    // One pair right and one wrong, whichever the model prefers.
    let pair = |chosen, rejected| json!({ "prompt": prompt, "chosen": said(texts[chosen]), "rejected": said(texts[rejected]) });
    let comparisons = scored(&model, &[pair(0, 1), pair(1, 0)]);
    assert_eq!(
        (comparisons.len(), &comparisons[0]["answer"], &comparisons[3]["answer"]),
        (5, &json!("chosen"), &json!("rejected"))
    );
    let difference = rewards[0] - rewards[1];
    let log_loss = ((1.0 + (-difference).exp()).ln() + (1.0 + difference.exp()).ln()) / 2.0;
    assert_eq!((&comparisons[4]["accuracy"], &comparisons[4]["pairs"]), (&json!(0.5), &json!(2)));
    assert!((comparisons[4]["log_loss"].as_f64().expect("a number") - log_loss).abs() < 1e-5, "{comparisons:?}");

    let answers = [texts[0], texts[1], "A warm drink. Far away."].map(|text| json!({ "content": text }));
    let rankings = scored(&model, &[json!({ "id": "r", "prompt": prompt, "responses": answers, "ranks": [2, 1, 2] })]);
    assert_eq!((rankings.len(), &rankings[3]["pairs"]), (4, &json!(2)), "the tie makes no pair");
    let ranking = json!({ "id": "r", "prompt": prompt, "responses": &answers[..2], "ranks": [2, 1] });
    let mixed = scored(&model, &[pair(0, 1), ranking]);
    let names: Vec<&Value> = mixed[..4].iter().map(|line| &line["answer"]).collect();
    assert_eq!(names, [&json!("chosen"), &json!("rejected"), &json!(0), &json!(1)]);
}

#[test]
fn an_answer_that_was_cut_is_scored_without_an_end_in_every_kind_of_file() {
    let folder = tempfile::tempdir().expect("a directory");
    let model = reward_model(folder.path());
    let prompt = json!([{ "role": "user", "content": "What is tea?" }]);
    let said = |text: &str| json!([{ "role": "assistant", "content": text }]);
    let text = "A warm drink.";
    let sampled = |finished: bool| json!({ "content": text, "sampling": { "finished": finished } });
    let answers = [json!({ "content": text }), sampled(true), sampled(false)];
    let rewards = |record: Value| -> Vec<f64> {
        scored(&model, &[record]).iter().filter_map(|line| line["reward"].as_f64()).collect()
    };
    let found = rewards(json!({ "prompt_id": "p", "prompt": prompt, "responses": answers }));
    assert_eq!(found.len(), 3);
    assert!((found[0] - found[1]).abs() < 1e-5 && (found[0] - found[2]).abs() > 1e-5, "{found:?}");
    let alike = |other: &[f64], expected: &[f64]| {
        assert!(
            other.len() == expected.len() && other.iter().zip(expected).all(|(one, two)| (one - two).abs() < 1e-5),
            "{other:?}"
        );
    };
    alike(&rewards(json!({ "id": "r", "prompt": prompt, "responses": answers, "ranks": [1, 2, 3] })), &found);
    let pair = json!({ "prompt": prompt, "chosen": said(text), "rejected": said(text), "rejected_finished": false });
    alike(&rewards(pair), &[found[0], found[2]]);
}

/// Of a tokenizer that knows one word, and ends nothing.
#[test]
fn what_the_tokenizer_makes_no_token_of_has_no_reward_and_is_told() {
    let folder = tempfile::tempdir().expect("a directory");
    let model = reward_model(folder.path());
    let place = Path::new(&model);
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": null, "decoder": null, "added_tokens": [],
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "vocab": {"a": 0}, "merges": []},
    });
    let config = std::fs::read(place.join("config.json")).expect("there");
    let mut config: Value = serde_json::from_slice(&config).expect("JSON");
    config["eos_token_id"] = Value::Null;
    for (name, content) in
        [("tokenizer.json", tokenizer), ("tokenizer_config.json", json!({})), ("config.json", config)]
    {
        std::fs::write(place.join(name), content.to_string()).expect("written");
    }
    for name in ["generation_config.json", "chat_template.jinja", "special_tokens_map.json"] {
        let _ = std::fs::remove_file(place.join(name));
    }

    let said = |role: &str, text: &str| json!([{ "role": role, "content": text }]);
    let pair = |chosen: &str, rejected: &str| {
        json!({ "prompt": said("user", " "), "chosen": said("assistant", chosen),
        "rejected": said("assistant", rejected) })
    };
    let input = format!("{}\n{}\n", pair("a", "?"), pair("a a", "a"));
    let output = trainer(&["score", "--model", model.as_str(), "--data", "-"], &input);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("1 of 4 answers has no token"), "{told}");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let rewards: Vec<bool> = lines[..4].iter().map(|line| line["reward"].is_f64()).collect();
    assert_eq!((rewards, &lines[1]["reward"]), (vec![true, false, true, true], &Value::Null));
    assert_eq!((lines.len(), &lines[4]["pairs"]), (5, &json!(1)), "{text}");
}

#[test]
fn fields_of_messages_that_change_nothing_are_told_once_and_not_among_the_rewards() {
    let folder = tempfile::tempdir().expect("a directory");
    let model = reward_model(folder.path());
    let said = json!({ "role": "user", "content": "What is tea?", "name": "Ada" });
    let record = json!({ "prompt": [said], "responses": [{ "content": "A warm drink." }] });
    let data = folder.path().join("data.jsonl");
    std::fs::write(&data, format!("{record}\n{record}\n")).expect("written");
    let data = data.to_str().expect("text");
    for (data, input, name) in [(data, String::new(), data), ("-", format!("{record}\n{record}\n"), "standard input")] {
        let output = trainer(&["score", "--model", model.as_str(), "--data", data], &input);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let told = format!("laurel-trainer: {name}: messages of 2 records have name, which changes nothing here");
        assert_eq!(said.matches(&told).count(), 1, "{said}");
        assert_eq!(String::from_utf8(output.stdout).expect("text").lines().count(), 2);
    }
}

#[test]
fn conversations_that_are_longer_than_the_context_are_counted() {
    let folder = tempfile::tempdir().expect("a directory");
    let model = reward_model(folder.path());
    let record = |question: &str| {
        let answers = ["A warm drink.", "Round."].map(|text| json!({ "content": text }));
        format!("{}\n", json!({ "prompt": [{ "role": "user", "content": question }], "responses": answers }))
    };
    let input = record("What is tea?") + &record(&"What is tea? ".repeat(2000));
    let output = trainer(&["score", "--model", model.as_str(), "--data", "-"], &input);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("2 of 4 conversations are longer than the context and were cut"), "{said}");
    assert_eq!(String::from_utf8(output.stdout).expect("text").lines().count(), 4);
}

#[test]
fn wrong_files_and_wrong_models_are_the_users_mistake() {
    let folder = tempfile::tempdir().expect("a directory");
    let model = reward_model(folder.path());
    let policy = folder.path().join("policy");
    let line = json!({ "prompt_id": "p", "prompt": [{ "role": "user", "content": "Hi" }], "responses": [{ "content": "Hello" }] });
    for (model, input, words) in [
        (model.as_str(), "", "holds no record"),
        (model.as_str(), "{\"text\":\"x\"}\n", "neither responses, demonstrations, rankings nor comparisons"),
        (model.as_str(), "{\"prompt\":[],\"responses\":[]}\n", "standard input, line 1: prompt"),
        (model.as_str(), "[\n{\"prompt\":[]}\n]\n", "standard input holds one JSON list"),
        (policy.to_str().expect("a path"), &format!("{line}\n"), "a reward model is needed here"),
    ] {
        let output = trainer(&["score", "--model", model, "--data", "-"], input);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(words), "“{words}” is not in: {said}");
    }
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let (binary, all, corpus, out) = (path("binary"), path("."), path("corpus.txt"), path("new"));
    std::fs::write(&binary, [0xff, 0xfe, b'\n']).expect("kept");
    let large = path("large.json");
    std::fs::write(&large, config(&[("hidden_size", 1 << 40)])).expect("kept");
    let (compared, report) = (path("compared.jsonl"), path("corpus.txt/report"));
    let said = |text: &str| json!([{ "role": "assistant", "content": text }]);
    let pair =
        json!({ "prompt": [{ "role": "user", "content": "Hi" }], "chosen": said("Hello"), "rejected": said("No") });
    std::fs::write(&compared, pair.to_string()).expect("kept");
    let (model, binary, all, corpus, out) =
        (model.as_str(), binary.as_str(), all.as_str(), corpus.as_str(), out.as_str());
    for (arguments, words) in [
        (vec!["score", "--model", model, "--data", binary], "UTF-8"),
        (vec!["score", "--model", model, "--data", all], "directory"),
        (vec!["score", "--model", model, "--data", &compared, "--report", &report], "corpus.txt/report"),
        (vec!["init", "--config", all, "--corpus", corpus, "--out", out], "directory"),
        (vec!["init", "--config", &large, "--corpus", corpus, "--out", out], "hidden size is 1099511627776"),
        (vec!["compress", "--model", model, "--method", "wanda", "--calibration", all, "--out", out], "directory"),
    ] {
        let output = trainer(&arguments, "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}: {said}");
        assert!(said.contains(words), "“{words}” is not in: {said}");
    }
}

/// The configuration of a small Llama with some fields said otherwise.
fn config(fields: &[(&str, u64)]) -> String {
    let mut config = DecoderConfig::preset("llama-tiny").expect("a preset").to_json();
    config.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    json!(config).to_string()
}

#[test]
fn a_model_that_nothing_has_room_for_is_refused_before_it_is_made() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let (layers, heads, corpus, out) = (path("layers.json"), path("heads.json"), path("corpus.txt"), path("new"));
    std::fs::write(&layers, config(&[("num_hidden_layers", 1_000_000_000)])).expect("kept");
    std::fs::write(&heads, config(&[("num_attention_heads", 6)])).expect("kept");
    std::fs::write(&corpus, "What is tea?").expect("kept");
    for (config, code, words) in [
        (&layers, 1, "weights take "),
        // Nor does transformers load one.
        (&heads, 2, "heads.json: hidden size 64 is not a multiple of 6 heads"),
    ] {
        let output = trainer(&["init", "--config", config, "--corpus", &corpus, "--out", &out], "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words) && said.trim().lines().count() == 1, "{said}");
    }
    assert!(!std::path::Path::new(&out).exists());
}
