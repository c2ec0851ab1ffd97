//! What a policy is worth: the best of n answers, and one model against another.

use std::{fs, path::Path};

use laurel_records::ResponsesRecord;
use laurel_trainer::{
    cli::device::device_of_tests,
    data::ModelTokenizer,
    evaluate::rewards_of_tokens,
    model::ModelDirectory,
    train::{Earlier, Run, ppo, ppo::PpoSettings},
};
use serde_json::{Value, json};

use super::{
    ppo::inputs,
    world::{Told, World, demonstrations, prompts, shorter, succeed, text, trainer},
};

fn records(path: &Path) -> Vec<ResponsesRecord> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The last line of JSON that a command printed.
fn result(arguments: &[&str]) -> Value {
    let output = succeed(arguments).stdout;
    serde_json::from_str(String::from_utf8(output).unwrap().lines().last().unwrap()).unwrap()
}

fn score(record: &ResponsesRecord, at: usize) -> f64 {
    record.responses[at].sampling.as_ref().unwrap()["score"].as_f64().unwrap()
}

#[test]
fn the_best_of_n_answers_is_the_one_that_the_reward_model_likes_best() {
    let world = World::new();
    let inputs = inputs(&world);
    let (policy, reward, prompts) = (text(&inputs.policy), text(&inputs.reward), text(&inputs.prompts));
    let (all, best, drawn) = (world.path("all.jsonl"), world.path("best.jsonl"), world.path("drawn.jsonl"));
    let common = ["--prompts", prompts, "--max-new-tokens", "6", "--seed", "5", "--json"];
    let of = |out: &Path, more: &[&str]| {
        let command = ["best-of-n", "--policy", policy, "--reward", reward, "--n", "6", "--out", text(out)];
        result(&[&command, &common[..], more].concat())
    };
    let told = of(&all, &["--all", "--batch", "5"]);
    of(&best, &[]);
    result(&[&["generate", "--model", policy, "--samples", "6", "--out", text(&drawn)], &common[..]].concat());
    let (all, best, drawn) = (records(&all), records(&best), records(&drawn));
    assert_eq!((all.len(), best.len(), drawn.len()), (24, 24, 24));
    let mut mean_best = 0.0;
    for ((all, best), drawn) in all.iter().zip(&best).zip(&drawn) {
        let scores: Vec<f64> = (0..6).map(|at| score(all, at)).collect();
        assert!(scores.iter().all(|score| *score <= scores[0]), "{scores:?}");
        assert_eq!((best.responses.len(), &best.responses[0].content), (1, &all.responses[0].content));
        mean_best += scores[0] / 24.0;
        // They are the answers that `generate` draws, in another order.
        let sorted = |record: &ResponsesRecord| {
            let mut texts: Vec<String> = record.responses.iter().map(|answer| answer.content.clone()).collect();
            texts.sort();
            texts
        };
        assert_eq!(sorted(all), sorted(drawn));
    }
    assert!((told["kl"].as_f64().unwrap() - (6f64.ln() - 5.0 / 6.0)).abs() < 1e-12);
    assert!((told["score"].as_f64().unwrap() - mean_best).abs() < 1e-9);
    // One of six is drawn by chance, of two the better, of six the best.
    let expected = |n: &str| told["expected_score"][n].as_f64().unwrap();
    let mean: f64 = all.iter().map(|record| (0..6).map(|at| score(record, at)).sum::<f64>() / 6.0 / 24.0).sum();
    assert!((expected("1") - mean).abs() < 1e-9 && (expected("6") - mean_best).abs() < 1e-9, "{told}");
    assert!(expected("1") < expected("2") && expected("2") < expected("4") && expected("4") < expected("6"));
    let greedy = trainer(&["best-of-n", "--policy", policy, "--reward", reward, "--temperature", "0"])
        .args(["--prompts", prompts, "--out", text(&world.path("no.jsonl"))])
        .output()
        .unwrap();
    assert_eq!(greedy.status.code(), Some(2));
}

#[test]
fn prompts_that_were_too_long_are_counted() {
    let world = World::new();
    let inputs = inputs(&world);
    let (policy, reward) = (text(&inputs.policy), text(&inputs.reward));
    // The context holds 64 words, the last 6 for the answer.
    let asked = [3, 58, 59, 90].map(|words| {
        let words = vec!["w1"; words].join(" ");
        json!({"id": words, "prompt": [{"role": "user", "content": words}]})
    });
    let prompts = world.records("long.jsonl", &asked);
    let common = ["--prompts", text(&prompts), "--max-new-tokens", "6", "--json", "--out"];
    let best = ["best-of-n", "--policy", policy, "--reward", reward, "--n", "2"];
    let told = result(&[&best, &common[..], &[text(&world.path("best.jsonl"))]].concat());
    assert_eq!(told["prompts_cut"], 2);
    let answered = asked.map(|mut record| {
        record["completion"] = json!([{"role": "assistant", "content": "w2 w3"}]);
        record
    });
    let demonstrations = world.records("demonstrated.jsonl", &answered);
    let evaluate = ["evaluate", "--model", policy, "--against", policy, "--samples", "3"];
    let measured = ["--demonstrations", text(&demonstrations)];
    let told = result(&[&evaluate, &measured[..], &common[..], &[text(&world.path("judged"))]].concat());
    for side in ["model", "against"] {
        let side = &told[side];
        assert_eq!((&side["prompts_cut"], &side["demonstrations"]["cut"]), (&2.into(), &1.into()), "{side}");
    }
}

#[test]
fn one_model_against_another_by_reward_divergence_and_likelihood() {
    let world = World::new();
    let inputs = inputs(&world);
    let data = world.records("data.jsonl", &demonstrations());
    let base = text(&inputs.policy);
    let sft = world.path("sft");
    succeed(&[
        "sft",
        "--quiet",
        "--model",
        base,
        "--data",
        text(&data),
        "--out",
        text(&sft),
        "--epochs",
        "4",
        "--learning-rate",
        "2e-3",
    ]);
    let out = world.path("judged");
    let arguments = ["evaluate", "--model", text(&sft), "--against", base, "--reward", text(&inputs.reward)];
    let more = ["--prompts", text(&inputs.prompts), "--demonstrations", text(&data), "--samples", "3"];
    let place = ["--max-new-tokens", "6", "--out", text(&out), "--json"];
    let report = result(&[&arguments[..], &more, &place].concat());
    assert_eq!((&report["prompts"], &report["samples"]), (&24.into(), &3.into()));

    // The win rate and the rewards are those of the answers that were written.
    let (ours, theirs) = (records(&out.join("model.jsonl")), records(&out.join("against.jsonl")));
    let (mut rate, mut difference) = (0.0, 0.0);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        for pair in 0..9 {
            let gap = score(ours, pair / 3) - score(theirs, pair % 3);
            rate += if gap > 0.0 {
                1.0
            } else if gap < 0.0 {
                0.0
            } else {
                0.5
            } / (9.0 * 24.0);
            difference += gap / (9.0 * 24.0);
        }
    }
    // A cut answer is judged as prompt ⊕ tokens, without an end; in this language a text has one reading.
    let judge = ModelDirectory::open(&inputs.reward).unwrap();
    let tokenizer = ModelTokenizer::open(&judge).unwrap();
    let model = judge.load_reward_model(&device_of_tests()).unwrap();
    let mut cut = 0;
    for record in theirs.iter() {
        let prompt = tokenizer.prompt(&record.prompt).unwrap();
        for (at, answer) in record.responses.iter().enumerate() {
            let tokens = tokenizer.encode(&answer.content);
            // Special tokens are not in the text.
            if answer.sampling.as_ref().unwrap()["finished"] == false && tokens.len() == 6 {
                let ids = [&prompt[..], &tokens].concat();
                let expected = rewards_of_tokens(&model, &[&ids], 1, &mut |_| {})[0] - model.score_mean();
                assert!((score(record, at) - expected).abs() < 1e-4, "{} and {expected}", score(record, at));
                cut += 1;
            }
        }
    }
    assert!(cut > 10, "{cut} answers of a fresh model are cut at six words");
    let number = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} {report}"));
    assert!((number("/win_rate/rate") - rate).abs() < 1e-9, "{rate} {report}");
    assert!((number("/reward/difference/mean") - difference).abs() < 1e-6, "{difference} {report}");
    assert!(number("/win_rate/low") < rate && rate < number("/win_rate/high"));

    // It has learned the demonstrations, and so has moved; all three estimates say how far.
    assert!(number("/model/demonstrations/nll") < number("/against/demonstrations/nll") - 0.3, "{report}");
    let full = number("/kl/full/mean");
    assert!(full > 0.1 && number("/kl/full_per_token") < full, "{report}");
    for estimate in ["k1", "k3"] {
        let (low, high) = (number(&format!("/kl/{estimate}/low")), number(&format!("/kl/{estimate}/high")));
        // The two differ by more than noise in one of a hundred runs; this one is fixed by its seed.
        assert!(low < full * 1.3 && high > full * 0.7, "{estimate} {report}");
    }
    let figure = fs::read_to_string(out.join("report.svg")).unwrap();
    assert!(figure.starts_with("<svg") && figure.contains("prefers-color-scheme") && figure.contains("sft wins"));
    assert_eq!(
        serde_json::from_slice::<Value>(&fs::read(out.join("report.json")).unwrap()).unwrap()["kl"],
        report["kl"]
    );

    // Never over what is there; and a model is as good as itself.
    let again = trainer(&[&arguments[..], &more, &place].concat()).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    let own = world.path("own");
    let arguments = ["evaluate", "--model", base, "--against", base, "--reward", text(&inputs.reward), "--json"];
    let more = ["--prompts", text(&inputs.prompts), "--max-new-tokens", "6", "--out", text(&own), "--samples", "4"];
    let report = result(&[&arguments[..], &more].concat());
    assert!(report["kl"]["full"]["mean"].as_f64().unwrap().abs() < 1e-6, "{report}");
    assert!(report["win_rate"]["low"].as_f64().unwrap() < 0.5 && report["win_rate"]["high"].as_f64().unwrap() > 0.5);

    // Neither has won where both say the same.
    let same = world.path("same");
    let more = ["--prompts", text(&inputs.prompts), "--max-new-tokens", "2", "--out", text(&same)];
    succeed(&[&arguments[..], &more, &["--temperature", "0"]].concat());
    let figure = fs::read_to_string(same.join("report.svg")).unwrap();
    let has = |class: &str| figure.contains(&format!("class=\"{class}\""));
    assert!(has("even") && !has("won") && !has("lost"), "{figure}");
}

/// A prompt is cut to what each model reads, but the one answers more than the other could be asked about.
#[test]
fn no_divergence_is_measured_from_a_model_that_reads_less_than_was_answered() {
    let world = World::new();
    shorter(&world, "short", 16);
    let asked = [4, 20].map(|words| {
        let content = vec!["w1"; words].join(" ");
        json!({"id": words, "prompt": [{"role": "user", "content": content}]})
    });
    let prompts = world.records("prompts.jsonl", &asked);
    let compared = |model: &str, against: &str, out: &str| {
        let (model, against, out) = (world.path(model), world.path(against), world.path(out));
        let models = ["evaluate", "--model", text(&model), "--against", text(&against), "--prompts", text(&prompts)];
        let output = succeed(&[&models[..], &["--max-new-tokens", "2", "--json", "--out", text(&out)]].concat());
        let told = String::from_utf8(output.stdout).unwrap();
        let report: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
        (report["kl"].is_null(), String::from_utf8(output.stderr).unwrap().contains("short reads 16 tokens"))
    };
    assert_eq!(compared("base", "short", "beyond"), (true, true));
    assert_eq!(compared("short", "base", "within"), (false, false));
}

#[test]
fn what_cannot_be_brought_to_an_end_is_refused_before_anybody_answers() {
    let world = World::new();
    shorter(&world, "short", 16);
    let (base, short, prompts) = (world.path("base"), world.path("short"), world.records("prompts.jsonl", &prompts()));
    let (base, short, prompts) = (text(&base), text(&short), text(&prompts));
    let (judged, answers) = (world.path("new/judged"), world.path("newer/answers.jsonl"));
    let evaluate = ["evaluate", "--model", base, "--prompts", prompts, "--out", text(&judged), "--json"];
    let generate = ["generate", "--model", base, "--prompts", prompts, "--max-new-tokens", "2", "--json", "--out"];
    let refused = |arguments: &[&str], words: &str| {
        let output = trainer(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(words), "{said}");
        assert!(output.stdout.is_empty(), "progress of what comes to nothing");
    };
    let asked = ["--against", base, "--reward", base, "--max-new-tokens", "2"];
    refused(&[&evaluate[..], &asked].concat(), "a reward model is needed");
    refused(&[&evaluate[..], &["--against", short, "--max-new-tokens", "16"]].concat(), "the context of short");
    refused(&[&generate[..], &[short]].concat(), "is a directory");
    let beyond_a_file = format!("{prompts}/answers.jsonl");
    refused(&[&generate[..], &[beyond_a_file.as_str()]].concat(), "answers.jsonl");

    let link = world.path("link");
    std::os::unix::fs::symlink(world.path("nowhere"), &link).unwrap();
    let place = ["evaluate", "--model", base, "--against", base, "--max-new-tokens", "2", "--out", text(&link)];
    refused(&[&place[..], &["--prompts", prompts]].concat(), "link is there already");

    let asked = json!({"id": "1", "prompt": [{"role": "user", "content": "w1"}], "split": "test"});
    let (asked, learned) = (world.records("asked.jsonl", &[asked]), world.records("learned.jsonl", &demonstrations()));
    let of_test = ["--prompts", text(&asked), "--split", "test", "--demonstrations", text(&learned)];
    let place = ["evaluate", "--model", base, "--against", base, "--max-new-tokens", "2", "--out", text(&judged)];
    refused(&[&place[..], &of_test].concat(), "learned.jsonl holds no demonstration of that split");

    // In this language a text without a word has no token.
    let nothing = json!({"id": "nothing", "prompt": [{"role": "user", "content": " "}]});
    let nothing = world.records("nothing.jsonl", &[nothing]);
    let why = "the prompt \"nothing\": the tokenizer of base makes no token of it";
    refused(&[&place[..], &["--prompts", text(&nothing)]].concat(), why);

    let of_nothing = ["generate", "--model", base, "--prompts", text(&nothing), "--max-new-tokens", "2", "--out", "-"];
    let said = String::from_utf8(succeed(&of_nothing).stderr).unwrap();
    assert!(said.contains("the answers to 1 prompt are empty"), "{said}");

    // A folder that is not there yet is made.
    succeed(&[&evaluate[..], &["--against", short, "--max-new-tokens", "2"]].concat());
    succeed(&[&generate[..], &[text(&answers)]].concat());
    assert!(judged.join("report.json").exists() && answers.exists());
}

#[test]
fn policies_are_kept_on_the_way_when_that_is_asked_for() {
    let world = World::new();
    let inputs = inputs(&world);
    let settings = PpoSettings {
        steps: 4,
        batch_size: 8,
        minibatch_size: 8,
        max_new_tokens: 6,
        keep_policy_steps: 2,
        learning_rate: Some(1e-3),
        sample_steps: 0,
        ..PpoSettings::default()
    };
    let out = ppo::run(&settings, &inputs, &world.run("out"), &mut Told::default()).unwrap().out;
    let weights = |path: &Path| fs::read(path.join("model.safetensors")).unwrap();
    let (first, last) = (world.path("out.policies/000002"), world.path("out.policies/000004"));
    assert_eq!(weights(&last), weights(&out));
    assert_ne!(weights(&first), weights(&out));
    assert!(ModelDirectory::open(&first).unwrap().load_decoder(&device_of_tests()).is_ok());

    // Another run's are not mixed with them.
    fs::remove_dir_all(&out).unwrap();
    let error = ppo::run(&settings, &inputs, &world.run("out"), &mut Told::default()).unwrap_err();
    assert!(error.is_wrong_input() && error.to_string().contains("--overwrite"), "{error}");
    let run = Run { earlier: Earlier::Overwrite, ..world.run("out") };
    let settings = PpoSettings { keep_policy_steps: 3, ..settings };
    ppo::run(&settings, &inputs, &run, &mut Told::default()).unwrap();
    assert!(!first.exists() && world.path("out.policies/000003").exists());
}
