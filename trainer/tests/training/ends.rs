//! How answers end: what is written says it to other programs.

use std::{fs, path::PathBuf};

use laurel_trainer::{
    data::ModelTokenizer,
    model::ModelDirectory,
    train::{
        OnlineInputs,
        grpo::{self, GrpoSettings},
        ppo::{self, PpoSettings},
        rloo::{self, RlooSettings},
        sft::{self, SftInputs, SftSettings},
    },
};
use serde_json::{Value, json};

use super::{
    ppo::inputs,
    world::{Told, World, demonstrations, succeed, text, without_an_end},
};

/// A base model ends texts with `<|end|>`, by its configuration; its chat template ends turns with another token.
#[test]
fn a_policy_that_learned_another_end_of_turn_says_so_to_other_programs() {
    let world = World::new();
    world.records("data.jsonl", &demonstrations());
    let change = |file: &str, change: &dyn Fn(&mut Value)| {
        let place = world.path("base").join(file);
        let mut content: Value = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
        change(&mut content);
        fs::write(&place, content.to_string()).unwrap();
    };
    change("tokenizer_config.json", &|config| {
        config["chat_template"] = json!("{% for message in messages %}{{ message.content }} <|unk|> {% endfor %}");
    });
    // The token for unknown text would end no answer.
    change("tokenizer.json", &|tokenizer| tokenizer["model"]["unk_token"] = json!("good"));

    let settings = SftSettings { steps: 1, ..SftSettings::default() };
    let learned = |model: &str, out: &str| {
        let inputs = SftInputs { model: world.path(model), data: world.path("data.jsonl"), reward: None };
        sft::run(&settings, &inputs, &world.run(out), &mut Told::default()).unwrap();
        fs::read(world.path(out).join("generation_config.json")).unwrap()
    };
    let first = learned("base", "first");
    // Where this file is, nobody asks the configuration for the padding any more.
    let said: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!(said, json!({"pad_token_id": 0, "eos_token_id": [1, 2]}));
    let tokenizer = ModelTokenizer::open(&ModelDirectory::open(world.path("first")).unwrap()).unwrap();
    assert_eq!((tokenizer.end_of_answer(), tokenizer.stop_ids()), (Some(2), &[1, 2][..]));
    // Where it is said already, the file stays as it is.
    assert_eq!(learned("first", "second"), first);
}

#[test]
fn a_base_model_that_cannot_end_a_text_is_warned_of_and_so_are_its_answers_where_they_are_judged() {
    let world = World::new();
    world.records("data.jsonl", &demonstrations());
    let judge = inputs(&world).reward;
    let warned = |out: &str, reward: Option<&PathBuf>| {
        let settings = SftSettings { steps: 1, eval_max_new_tokens: 4, ..SftSettings::default() };
        let inputs = SftInputs { model: world.path("base"), data: world.path("data.jsonl"), reward: reward.cloned() };
        let mut told = Told::default();
        sft::run(&settings, &inputs, &world.run(out), &mut told).unwrap();
        told.log.into_iter().find(|text| text.contains("learned without an end"))
    };
    assert_eq!(warned("first", Some(&judge)), None);
    without_an_end(&world);
    assert!(warned("second", None).is_some_and(|text| text.ends_with("until it is cut")));
    assert!(warned("third", Some(&judge)).is_some_and(|text| text.ends_with("is cut at eval_max_new_tokens")));
}

#[test]
fn a_base_model_without_a_chat_template_is_told_of_as_it_learns_conversations() {
    let world = World::new();
    world.records("data.jsonl", &demonstrations());
    let lines = |out: &str| {
        let settings = SftSettings { steps: 1, ..SftSettings::default() };
        let inputs = SftInputs { model: world.path("base"), data: world.path("data.jsonl"), reward: None };
        let mut told = Told::default();
        sft::run(&settings, &inputs, &world.run(out), &mut told).unwrap();
        told.log.iter().filter(|text| text.contains("has no chat template")).count()
    };
    assert_eq!(lines("without"), 1);
    let template = "{% for message in messages %}{{ message.content }} <|end|> {% endfor %}";
    fs::write(world.path("base").join("chat_template.jinja"), template).unwrap();
    assert_eq!(lines("with"), 0);
}

#[test]
fn a_policy_whose_answers_all_are_cut_is_warned_of_once() {
    let world = World::new();
    let inputs = inputs(&world);
    let online =
        OnlineInputs { policy: inputs.policy.clone(), reward: inputs.reward.clone(), prompts: inputs.prompts.clone() };
    let warnings = |told: &Told| told.log.iter().filter(|text| text.contains("every answer is cut")).count();
    let all = |name: &str| {
        let run = |method: &str| world.run(&format!("{name}-{method}"));
        let mut told = [Told::default(), Told::default(), Told::default()];
        let settings = PpoSettings { steps: 2, batch_size: 4, max_new_tokens: 4, ..PpoSettings::default() };
        ppo::run(&settings, &inputs, &run("ppo"), &mut told[0]).unwrap();
        let settings = RlooSettings { steps: 2, batch_size: 4, max_new_tokens: 4, ..RlooSettings::default() };
        rloo::run(&settings, &online, &run("rloo"), &mut told[1]).unwrap();
        let settings = GrpoSettings { steps: 2, batch_size: 4, max_new_tokens: 4, ..GrpoSettings::default() };
        grpo::run(&settings, &online, &run("grpo"), &mut told[2]).unwrap();
        told.each_ref().map(warnings)
    };
    assert_eq!(all("ending"), [0; 3]);
    without_an_end(&world);
    assert_eq!(all("endless"), [1; 3]);
}

#[test]
fn a_policy_whose_answers_all_are_cut_is_warned_of_where_the_best_is_chosen_of_several() {
    let world = World::new();
    let inputs = inputs(&world);
    let (policy, reward, prompts) = (text(&inputs.policy), text(&inputs.reward), text(&inputs.prompts));
    let models = ["best-of-n", "--policy", policy, "--reward", reward, "--prompts", prompts, "--n", "2"];
    let warned = |out: &str| {
        let out = world.path(out);
        let output = succeed(&[&models[..], &["--max-new-tokens", "4", "--quiet", "--out", text(&out)]].concat());
        String::from_utf8(output.stderr).unwrap().contains("every answer is cut at max_new_tokens")
    };
    assert!(!warned("ending.jsonl"));
    without_an_end(&world);
    assert!(warned("endless.jsonl"));
}
