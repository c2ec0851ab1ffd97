//! Chat templates beside what transformers makes of them: text, tokens, and the mask of the assistant's answer.
//!
//! Expected values: tests/chat_templates.json, written by scripts/chat_template_reference.py.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use laurel_records::Message;
use laurel_trainer::{
    data::{ChatTemplate, ModelTokenizer},
    model::ModelDirectory,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Expected {
    templates: Vec<Template>,
}

#[derive(Deserialize)]
struct Template {
    name: String,
    template: String,
    special_tokens: BTreeMap<String, String>,
    tokenizer: Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    messages: Vec<Message>,
    text: Option<String>,
    prompt_text: Option<String>,
    refusal: Option<String>,
    input_ids: Option<Vec<u32>>,
    completion_mask: Option<Vec<u8>>,
}

fn templates() -> Vec<Template> {
    let expected: Expected = serde_json::from_str(include_str!("chat_templates.json")).unwrap();
    expected.templates
}

#[test]
fn conversations_become_the_text_that_transformers_makes_of_them() {
    for Template { name, template, special_tokens, cases, .. } in templates() {
        let special_tokens: Vec<_> = special_tokens.into_iter().collect();
        let template = ChatTemplate::new(&template, &special_tokens).unwrap();
        for Case { messages, text, prompt_text, refusal, .. } in cases {
            let whole = template.render(&messages, false);
            if let Some(refusal) = refusal {
                let said = whole.unwrap_err().to_string();
                assert!(said.ends_with(&refusal), "{name}: {said}");
                continue;
            }
            assert_eq!(whole.unwrap(), text.unwrap(), "{name}");
            let prompt = template.render(&messages[..messages.len() - 1], true).unwrap();
            assert_eq!(prompt, prompt_text.unwrap(), "{name}");
        }
    }
}

#[test]
fn the_tokens_to_learn_are_those_that_transformers_masks() {
    let mut compared = 0;
    for template in templates() {
        let tokenizer = open(&template);
        for case in template.cases {
            let (Some(text), Some(prompt_text)) = (case.text, case.prompt_text) else { continue };
            let (Some(input_ids), Some(mask)) = (case.input_ids, case.completion_mask) else { continue };
            let (answer, prompt) = case.messages.split_last().unwrap();
            let example = tokenizer.example(prompt, &answer.content).unwrap();
            assert_eq!(example.ids[..example.prompt_length()], tokenizer.prompt(prompt).unwrap());
            assert_eq!(tokenizer.encode(&prompt_text), tokenizer.prompt(prompt).unwrap());
            let learned = |ids: &[u32], mask: &[u8]| -> Vec<u32> {
                ids.iter().zip(mask).filter(|(_, on)| **on == 1).map(|(&id, _)| id).collect()
            };
            let what = format!("{}: {text}", template.name);
            assert_eq!(learned(&example.ids, &example.completion_mask), learned(&input_ids, &mask), "{what}");
            // Mistral's template writes the system message elsewhere once the question is answered: what is learned is
            // the same, what comes before is the prompt as the model is asked.
            if text.starts_with(&prompt_text) {
                assert_eq!((&example.ids, &example.completion_mask), (&input_ids, &mask), "{what}");
            }
            compared += 1;
        }
    }
    assert_eq!(compared, 24);
}

#[test]
fn answers_end_where_the_template_ends_them() {
    let ends: Vec<(String, Vec<String>)> = templates()
        .iter()
        .filter(|template| template.name != "methods")
        .map(|template| {
            let tokenizer = open(template);
            let stops = tokenizer.stop_ids().iter().map(|&id| tokenizer.decode(&[id], false)).collect();
            (template.name.clone(), stops)
        })
        .collect();
    let expected = [
        ("chatml", vec!["<|im_end|>"]),
        // Its end of text is another token than its end of turn: both end an answer.
        ("qwen2", vec!["<|endoftext|>", "<|im_end|>"]),
        ("llama-3", vec!["<|eot_id|>"]),
        ("zephyr", vec!["</s>"]),
        ("mistral", vec!["</s>"]),
    ];
    assert_eq!(ends.len(), expected.len());
    for ((name, found), (expected_name, expected)) in ends.iter().zip(expected) {
        assert_eq!((name.as_str(), found), (expected_name, &expected.iter().map(|s| s.to_string()).collect()));
    }
}

fn open(template: &Template) -> ModelTokenizer {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &Value| {
        std::fs::write(directory.path().join(name), content.to_string()).unwrap();
    };
    let mut config = json!(template.special_tokens);
    config["chat_template"] = json!(template.template);
    write("tokenizer.json", &template.tokenizer);
    write("tokenizer_config.json", &config);
    let model = json!({"model_type": "llama", "vocab_size": 264, "hidden_size": 8, "intermediate_size": 8,
        "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 2048});
    write("config.json", &model);
    ModelTokenizer::open(&ModelDirectory::open(directory.path()).unwrap()).unwrap()
}
