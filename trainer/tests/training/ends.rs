//! How answers end: what is written says it to other programs.

use std::fs;

use laurel_trainer::{
    data::ModelTokenizer,
    model::ModelDirectory,
    train::sft::{self, SftInputs, SftSettings},
};
use serde_json::{Value, json};

use super::world::{Told, World, demonstrations};

/// A base model ends texts with `<|end|>`, by its configuration; its chat template ends turns with another token.
#[test]
fn a_policy_that_learned_another_end_of_turn_says_so_to_other_programs() {
    let world = World::new();
    world.records("data.jsonl", &demonstrations());
    let place = world.path("base").join("tokenizer_config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
    config["chat_template"] = json!("{% for message in messages %}{{ message.content }} <|unk|> {% endfor %}");
    fs::write(&place, config.to_string()).unwrap();

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
fn a_base_model_that_cannot_end_a_text_is_warned_of() {
    let world = World::new();
    world.records("data.jsonl", &demonstrations());
    let warned = |out: &str| {
        let settings = SftSettings { steps: 1, ..SftSettings::default() };
        let inputs = SftInputs { model: world.path("base"), data: world.path("data.jsonl"), reward: None };
        let mut told = Told::default();
        sft::run(&settings, &inputs, &world.run(out), &mut told).unwrap();
        told.log.iter().any(|text| text.contains("learned without an end"))
    };
    assert!(!warned("first"));
    for (file, name) in [("tokenizer_config.json", "eos_token"), ("config.json", "eos_token_id")] {
        let place = world.path("base").join(file);
        let mut content: Value = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
        content[name] = Value::Null;
        fs::write(&place, content.to_string()).unwrap();
    }
    assert!(warned("second"));
}
