//! Reward modelling beyond the order of answers: ratings, margins, ensembles; what the files hold of it.

use std::fs;

use laurel_records::Split;
use laurel_trainer::{
    data::{ModelTokenizer, records},
    evaluate::{Judged, Verdict, verdicts},
    model::ModelDirectory,
    train::{
        TrainError,
        reward::{self, RewardInputs, RewardSettings},
    },
};
use serde_json::{Value, json};

use super::world::{Told, World, demonstrations, rankings, succeed, text};

fn settings() -> RewardSettings {
    RewardSettings { epochs: 8, batch_size: 4, learning_rate: Some(1e-3), ..RewardSettings::default() }
}

fn inputs(world: &World, data: &[Value]) -> RewardInputs {
    RewardInputs { model: world.path("base"), data: world.records("data.jsonl", data), demonstrations: None }
}

/// Rankings whose answers are rated too: by how often they say `good`, from 1 to 7.
fn rated() -> Vec<Value> {
    let mut rankings = rankings();
    for ranking in &mut rankings {
        let answers = ranking["responses"].as_array().unwrap();
        let good = |answer: &Value| answer["content"].as_str().unwrap().matches("good").count();
        ranking["ratings"] = answers.iter().map(|answer| json!(1 + 2 * good(answer))).collect();
    }
    rankings
}

/// What the model at `path` says of each answer of the records.
fn judged(world: &World, path: &std::path::Path, data: &[Value]) -> Vec<Vec<Verdict>> {
    let directory = ModelDirectory::open(path).unwrap();
    let device = world.run("").device;
    let (model, members) = (directory.load_reward_model(&device).unwrap(), directory.load_members(&device).unwrap());
    let tokenizer = ModelTokenizer::open(&directory).unwrap();
    let rankings = records::rankings(&world.records("judged.jsonl", data)).unwrap();
    let of = |record: &laurel_records::RankingRecord| {
        let answers: Vec<Judged> = record.responses.iter().map(|one| Judged::of(&record.prompt, one)).collect();
        let found = verdicts(&model, members.as_ref(), &tokenizer, &answers, 8, &mut |_| {}).unwrap();
        found.into_iter().map(Option::unwrap).collect::<Vec<Verdict>>()
    };
    rankings.iter().map(of).collect()
}

/// The order says nothing of which prompt's answers are good; ratings do, and the scores follow them.
#[test]
fn ratings_put_the_answers_of_different_prompts_on_one_scale() {
    let world = World::new();
    // Every ranking is a tie: without the ratings there is nothing to learn.
    let mut data = rated();
    for (number, ranking) in data.iter_mut().enumerate() {
        let answer = ranking["responses"][number / 4 % 3].clone();
        let rating = ranking["ratings"][number / 4 % 3].clone();
        (ranking["responses"], ranking["ratings"]) = (json!([answer, answer]), json!([rating, null]));
        ranking["ranks"] = json!([1, 1]);
        // Some were asked for another scale: its numbers mean something else.
        if number % 3 == 0 {
            ranking["ratings"][0] = json!((rating.as_u64().unwrap() - 1) / 2);
            ranking["rating_scale"] = json!({ "lowest": 0, "highest": 3 });
        }
    }
    let inputs = inputs(&world, &data);
    let by_ratings = RewardSettings { rating_coefficient: 1.0, epochs: 12, ..settings() };
    let outcome = reward::run(&by_ratings, &inputs, &world.run("out"), &mut Told::default()).unwrap();
    let scores = |good: u64| {
        let rated = |record: &Value| match record.get("rating_scale") {
            Some(_) => record["ratings"][0] == good,
            None => record["ratings"][0] == 1 + 2 * good,
        };
        let of = |(found, record): (Vec<Verdict>, &Value)| rated(record).then_some(found[0].reward);
        let found: Vec<f64> = judged(&world, &outcome.out, &data).into_iter().zip(&data).filter_map(of).collect();
        found.iter().sum::<f64>() / found.len() as f64
    };
    let of_good: Vec<f64> = (0..4).map(scores).collect();
    // Ratings 1, 3, 5, 7 are 0.75 deviations or more apart.
    assert!(of_good.windows(2).all(|pair| pair[1] > pair[0] + 0.3), "{of_good:?}");

    let refused = reward::run(&settings(), &inputs, &world.run("plain"), &mut Told::default()).unwrap_err();
    assert!(matches!(&refused, TrainError::Input(said) if said.contains("no ranking to learn from")), "{refused}");
    let unrated = RewardInputs { data: world.records("unrated.jsonl", &rankings()), ..inputs };
    let refused = reward::run(&by_ratings, &unrated, &world.run("unrated"), &mut Told::default()).unwrap_err();
    assert!(refused.is_wrong_input() && refused.to_string().contains("rating_coefficient"), "{refused}");
}

#[test]
fn margins_drive_scores_further_apart_and_smoothed_labels_hold_them_together() {
    let world = World::new();
    let inputs = inputs(&world, &rankings());
    let gap = |name: &str, settings: RewardSettings| {
        let outcome = reward::run(&settings, &inputs, &world.run(name), &mut Told::default()).unwrap();
        assert!(outcome.metrics["eval/accuracy"] > 0.9, "{:?}", outcome.metrics);
        let found = judged(&world, &outcome.out, &rankings());
        let best_to_worst = |(verdicts, record): (&Vec<Verdict>, &Value)| {
            let ranks: Vec<u64> =
                record["ranks"].as_array().unwrap().iter().map(|rank| rank.as_u64().unwrap()).collect();
            let (best, worst) = (ranks.iter().position(|rank| *rank == 1)?, ranks.iter().position(|rank| *rank > 3)?);
            Some(verdicts[best].reward - verdicts[worst].reward)
        };
        let data = rankings();
        let gaps: Vec<f64> = found.iter().zip(&data).filter_map(best_to_worst).collect();
        gaps.iter().sum::<f64>() / gaps.len() as f64
    };
    let plain = gap("plain", settings());
    let apart = gap("apart", RewardSettings { margin: 1.0, ..settings() });
    let smooth = gap("smooth", RewardSettings { label_smoothing: 0.2, ..settings() });
    // ln(0.8 / 0.2) = 1.4 is as far as smoothed labels of neighbours want to be.
    assert!(apart > plain + 0.5 && smooth < plain - 0.5, "{plain} plain, {apart} with a margin, {smooth} smoothed");
}

#[test]
fn an_ensemble_is_one_model_to_others_and_knows_what_it_is_unsure_of() {
    let world = World::new();
    let (base, data) = (world.path("base"), world.records("data.jsonl", &rankings()));
    let out = world.path("out");
    let stage = ["reward", "--model", text(&base), "--data", text(&data), "--out", text(&out), "--ensemble", "5"];
    succeed(&[&stage[..], &["--epochs", "6", "--batch-size", "4", "--learning-rate", "1e-3"]].concat());

    let found = judged(&world, &out, &rankings());
    for verdict in found.iter().flatten() {
        // The members' mean is the score, up to the zero that each is measured from.
        let others = &found[0][0];
        let mean = |of: &Verdict| of.members.iter().sum::<f64>() / of.members.len() as f64;
        assert_eq!(verdict.members.len(), 5);
        let apart = (mean(verdict) - mean(others)) - (verdict.reward - others.reward);
        assert!(apart.abs() < 1e-4, "{verdict:?}");
    }
    let mean = |found: &[Vec<Verdict>]| {
        let all: Vec<f64> = found.iter().flatten().map(|one| one.disagreement().unwrap()).collect();
        all.iter().sum::<f64>() / all.len() as f64
    };
    let known = mean(&found);
    // Five words in a row that no ranking has: w9 over and over.
    let strange: Vec<Value> = (20..32)
        .map(|number| {
            let answers = [0, 1].map(|at| json!({ "content": vec![format!("w{}", number + at); 30].join(" ") }));
            json!({ "prompt": [{ "role": "user", "content": "good good good" }], "responses": answers, "ranks": [1, 2] })
        })
        .collect();
    let unknown = mean(&judged(&world, &out, &strange));
    assert!(known > 0.0 && unknown > known, "{known} on what was ranked, {unknown} on what was not");

    let (more, config) = (world.path("more"), fs::read_to_string(out.join("config.json")).unwrap());
    assert!(config.contains("LlamaForSequenceClassification"), "{config}");
    // Learning on with the same number goes on with these members.
    let on = ["reward", "--model", text(&out), "--data", text(&data), "--out", text(&more), "--ensemble", "5"];
    succeed(&[&on[..], &["--steps", "1", "--learning-rate", "1e-12"]].concat());
    let again = judged(&world, &more, &rankings());
    let spread = |found: &[Vec<Verdict>]| found[3][1].disagreement().unwrap();
    assert!((spread(&again) - spread(&found)).abs() < 1e-4, "{} {}", spread(&again), spread(&found));
}

/// Scored again with the model as it was written: what people wrote is the zero, of the mean and of each member.
#[test]
fn demonstrations_score_zero_on_average_and_those_of_the_test_split_have_no_say() {
    let world = World::new();
    let mut written = demonstrations();
    for (number, record) in written.iter_mut().enumerate() {
        record["split"] = json!(["train", "validation", "test"][number % 3]);
        if number % 3 == 2 {
            record["completion"][0]["content"] = json!("good good good good good");
        }
    }
    let file = world.records("demonstrations.jsonl", &written);
    let inputs = RewardInputs { demonstrations: Some(file.clone()), ..inputs(&world, &rankings()) };
    let settings = RewardSettings { ensemble: 2, ..settings() };
    let out = reward::run(&settings, &inputs, &world.run("out"), &mut Told::default()).unwrap().out;

    let directory = ModelDirectory::open(&out).unwrap();
    let device = world.run("").device;
    let (model, members) = (directory.load_reward_model(&device).unwrap(), directory.load_members(&device).unwrap());
    let tokenizer = ModelTokenizer::open(&directory).unwrap();
    let records = records::demonstrations(&file).unwrap();
    let judged = |of_test: bool| {
        let records = records.iter().filter(|record| (record.split == Some(Split::Test)) == of_test);
        let answers: Vec<Judged> = records
            .map(|record| Judged { prompt: &record.prompt, answer: &record.completion[0].content, finished: true })
            .collect();
        let found = verdicts(&model, members.as_ref(), &tokenizer, &answers, 8, &mut |_| {}).unwrap();
        found.into_iter().map(Option::unwrap).collect::<Vec<Verdict>>()
    };
    let mean = |found: &[Verdict], of: &dyn Fn(&Verdict) -> f64| found.iter().map(of).sum::<f64>() / found.len() as f64;
    let (used, left_out) = (judged(false), judged(true));
    assert_eq!((used.len(), left_out.len()), (64, 32));
    let beyond_zero = |found: &[Verdict]| mean(found, &|one: &Verdict| one.reward) - model.score_mean();
    assert!(beyond_zero(&used).abs() < 1e-4, "{}", beyond_zero(&used));
    assert!(beyond_zero(&left_out) > 0.3, "{}", beyond_zero(&left_out));
    for member in 0..2 {
        let of_member = mean(&used, &|one: &Verdict| one.members[member]);
        assert!(of_member.abs() < 1e-4, "member {member}: {of_member}");
    }

    let of_test: Vec<Value> = written.into_iter().filter(|record| record["split"] == "test").collect();
    let inputs = RewardInputs { demonstrations: Some(world.records("test.jsonl", &of_test)), ..inputs };
    let refused = reward::run(&settings, &inputs, &world.run("refused"), &mut Told::default()).unwrap_err();
    assert!(refused.is_wrong_input() && refused.to_string().contains("test split"), "{refused}");
}

#[test]
fn the_report_of_what_was_held_out_stands_in_the_models_lineage() {
    let world = World::new();
    let mut data = rankings();
    for (number, ranking) in data.iter_mut().enumerate() {
        ranking["annotator"] = json!(["ada", "bob"][number % 2]);
        ranking["split"] = json!(if number % 4 < 2 { "validation" } else { "train" });
    }
    let outcome = reward::run(&settings(), &inputs(&world, &data), &world.run("out"), &mut Told::default()).unwrap();
    let lineage = ModelDirectory::open(&outcome.out).unwrap().lineage().unwrap().unwrap();
    assert_eq!(lineage.report["accuracy"], json!(outcome.metrics["eval/accuracy"]));
    let people = lineage.report["by_annotator"].as_object().unwrap();
    assert_eq!(people.keys().collect::<Vec<_>>(), ["ada", "bob"]);
    assert_eq!(lineage.report["calibration"]["bins"].as_array().unwrap().len(), 10);
    let metrics = &outcome.metrics;
    assert!(metrics["eval/accuracy_margin_2"] >= metrics["eval/accuracy_margin_1"] - 0.1, "{metrics:?}");
    assert!(metrics.contains_key("eval/calibration_error") && metrics.contains_key("eval/log_loss_before"));

    // The same numbers from the outside: what `score` says of the held-out records.
    let held_out: Vec<Value> = data.into_iter().filter(|ranking| ranking["split"] == "validation").collect();
    let (file, folder) = (world.records("held-out.jsonl", &held_out), world.path("report"));
    let score = ["score", "--model", text(&outcome.out), "--data", text(&file), "--report", text(&folder), "--quiet"];
    let output = String::from_utf8(succeed(&score).stdout).unwrap();
    let last: Value = serde_json::from_str(output.lines().last().unwrap()).unwrap();
    let close = |name: &str| (last[name].as_f64().unwrap() - lineage.report[name].as_f64().unwrap()).abs() < 1e-5;
    assert!(close("accuracy") && close("log_loss") && last["pairs"] == lineage.report["pairs"], "{last}");
    let written: Value = serde_json::from_str(&fs::read_to_string(folder.join("report.json")).unwrap()).unwrap();
    assert_eq!(written, last);
    let _: RewardReportFields = serde_json::from_value(written).unwrap();
    assert!(fs::read_to_string(folder.join("calibration.svg")).unwrap().contains("<circle"));
}

/// What programs read from a report.
#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "that the fields are there is what is tested")]
struct RewardReportFields {
    by_margin: std::collections::BTreeMap<String, Value>,
    length: Value,
    calibration: Value,
}
