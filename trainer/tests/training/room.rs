//! What does not fit is refused or told: answers beside their prompts, sequences that the reward model cannot read whole.

use std::{fs, path::Path};

use laurel_trainer::{
    cli::device::device_of_tests,
    generate::SamplingSettings,
    model::Precision,
    train::{
        OnlineInputs, TrainError,
        best_of_n::BestOfN,
        dpo::{self, DpoInputs, DpoSettings},
        judge::BestBy,
        ppo::{self, PpoInputs, PpoSettings},
        reward::{self, RewardInputs, RewardSettings},
        sft::{self, SftInputs, SftSettings},
    },
};
use serde_json::{Value, json};

use super::{
    ppo::inputs,
    world::{Told, World, demonstrations, rankings, without_an_end},
};

/// The reward model as one that reads at most 32 tokens; the policies of these tests read 64.
fn shorten(reward: &Path) {
    let path = reward.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["max_position_embeddings"] = 32.into();
    fs::write(&path, config.to_string()).unwrap();
}

#[track_caller]
fn assert_refused<T>(result: Result<T, TrainError>, words: &[&str]) {
    let error = result.err().expect("an error");
    let said = error.to_string();
    assert!(error.is_wrong_input() && words.iter().all(|word| said.contains(word)), "{said}");
}

#[test]
fn a_judge_of_sft_needs_room_for_prompts_and_tells_which_it_cut() {
    let world = World::new();
    let reward = inputs(&world).reward;
    let data = world.records("data.jsonl", &demonstrations());
    let inputs = SftInputs { model: world.path("base"), data, reward: Some(reward) };
    let settings = SftSettings { steps: 2, eval_steps: 1, eval_prompts: 5, max_length: 8, ..SftSettings::default() };
    let run = |eval_max_new_tokens: usize, out: &str| {
        let mut told = Told::default();
        let settings = SftSettings { eval_max_new_tokens, ..settings.clone() };
        sft::run(&settings, &inputs, &world.run(out), &mut told).map(|_| told)
    };
    assert_refused(run(8, "out"), &["eval_max_new_tokens", "8 leaves no room", "max_length"]);
    assert_refused(run(128, "out"), &["eval_max_new_tokens", "128 leaves no room", "max_length"]);
    // Prompts have two tokens. However often they are answered, how many are cut is told once.
    for (answer, expected) in [(6, 0), (7, 1)] {
        let told = run(answer, &format!("out-{answer}")).unwrap();
        let lines = told.log.iter().filter(|line| line.starts_with("5 prompts that the reward model judges")).count();
        assert_eq!(lines, expected, "{:?}", told.log);
        assert_eq!(told.metrics["eval/reward"].len(), 3);
    }
}

#[test]
fn a_reward_model_that_reads_less_than_the_policy_bounds_what_they_read_together() {
    let world = World::new();
    let inputs = inputs(&world);
    shorten(&inputs.reward);
    let settings = PpoSettings { steps: 1, batch_size: 4, max_new_tokens: 6, ..PpoSettings::default() };
    let bounds = |told: &Told| told.log.iter().filter(|line| line.contains("at most 32 tokens")).count();
    let ppo = |name: &str, settings: &PpoSettings| {
        let mut told = Told::default();
        ppo::run(settings, &inputs, &world.run(name), &mut told).map(|_| bounds(&told))
    };
    assert_eq!(ppo("ppo", &settings).unwrap(), 1);
    // Whoever bounds them is told nothing; answers as long as all that the reward model reads leave no room.
    assert_eq!(ppo("ppo-32", &PpoSettings { max_length: 32, ..settings.clone() }).unwrap(), 0);
    assert_refused(ppo("ppo-full", &PpoSettings { max_new_tokens: 32, ..settings }), &["no room for a prompt"]);

    let data = world.records("data.jsonl", &demonstrations());
    let judged = SftInputs { model: world.path("base"), data, reward: Some(inputs.reward.clone()) };
    let settings = SftSettings { steps: 1, eval_max_new_tokens: 6, ..SftSettings::default() };
    let sft = |name: &str, settings: &SftSettings| {
        let mut told = Told::default();
        sft::run(settings, &judged, &world.run(name), &mut told).map(|_| bounds(&told))
    };
    assert_eq!(sft("sft", &settings).unwrap(), 1);
    assert_eq!(sft("sft-32", &SftSettings { max_length: 32, ..settings }).unwrap(), 0);
}

/// Only the policy reads it.
#[test]
fn pretraining_text_has_the_blocks_that_were_asked_for_whatever_the_reward_model_reads() {
    let world = World::new();
    let mut inputs = inputs(&world);
    shorten(&inputs.reward);
    fs::write(world.path("text.txt"), "w1 w2 w3 w4 w5 ".repeat(120)).unwrap();
    inputs.pretrain = vec![world.path("text.txt")];
    let settings =
        PpoSettings { steps: 1, batch_size: 4, max_new_tokens: 6, ptx_block_length: 48, ..PpoSettings::default() };
    let mut told = Told::default();
    ppo::run(&settings, &inputs, &world.run("out"), &mut told).unwrap();
    // 600 words and an end: twelve blocks of 48, where 32 would make eighteen.
    assert!(told.log.iter().any(|line| line == "12 blocks of pretraining text are mixed in"), "{:?}", told.log);
}

#[test]
fn the_best_of_n_has_room_in_the_reward_model_too() {
    let world = World::new();
    let inputs = inputs(&world);
    shorten(&inputs.reward);
    let asked = [3, 26, 27, 58].map(|words| {
        let words = vec!["w1"; words].join(" ");
        json!({"id": words, "prompt": [{"role": "user", "content": words}]})
    });
    let prompts = world.records("long.jsonl", &asked);
    let inputs = OnlineInputs { policy: inputs.policy, reward: inputs.reward, prompts };
    let best = |max_new_tokens: usize| {
        let sampling = SamplingSettings { max_new_tokens, ..SamplingSettings::default() };
        let method = BestOfN { n: 2, sampling, precision: Precision::Float32, missing_eos_penalty: 0.0, batch: 4 };
        method.open(&inputs, &device_of_tests(), 5)
    };
    let answering = best(6).unwrap();
    let mut answered = 0;
    let done = answering.run(0, &mut |_| {}, |_| {
        answered += 1;
        Ok::<(), TrainError>(())
    });
    done.unwrap();
    assert_eq!((answered, answering.prompts_cut), (4, 2));
    assert_refused(best(32), &["an answer of 32 tokens", "no room for a prompt"]);
}

/// In this language a text without a word has no token.
#[test]
fn prompts_without_a_token_are_left_out_and_counted_or_refused() {
    let world = World::new();
    let inputs = inputs(&world);
    let records = |name: &str, contents: &[&str]| {
        let asked = |(at, content): (usize, &&str)| json!({"id": format!("prompt {at}"), "prompt": [{"role": "user", "content": content}]});
        world.records(name, &contents.iter().enumerate().map(asked).collect::<Vec<Value>>())
    };
    let (some, none) = (records("some.jsonl", &["w1 w2", "", " "]), records("none.jsonl", &["", " "]));
    let settings = PpoSettings { steps: 1, batch_size: 2, max_new_tokens: 6, ..PpoSettings::default() };
    let ppo = |name: &str, prompts: &Path| {
        let mut told = Told::default();
        let inputs = PpoInputs { prompts: prompts.into(), ..inputs.clone() };
        ppo::run(&settings, &inputs, &world.run(name), &mut told).map(|_| told)
    };
    let told = ppo("ppo", &some).unwrap();
    assert!(told.log.iter().any(|line| line.starts_with("2 prompts are left out")), "{:?}", told.log);
    assert!(told.log.iter().any(|line| line == "1 prompt to learn from"), "{:?}", told.log);
    assert_refused(ppo("no-ppo", &none), &["none.jsonl", "no prompt to learn from", "any of 2"]);

    let sampling = SamplingSettings { max_new_tokens: 6, ..SamplingSettings::default() };
    let method = BestOfN { n: 2, sampling, precision: Precision::Float32, missing_eos_penalty: 0.0, batch: 4 };
    let asked = OnlineInputs { policy: inputs.policy.clone(), reward: inputs.reward.clone(), prompts: some };
    assert_refused(method.open(&asked, &device_of_tests(), 5), &["nothing to answer to 2 prompts", "\"prompt 1\""]);

    let sft = |name: &str, held_out: &[&str], best_by: BestBy| {
        let mut records = demonstrations();
        for (record, content) in records.iter_mut().zip(held_out) {
            record["prompt"][0]["content"] = (*content).into();
            record["split"] = "validation".into();
        }
        let data = world.records(&format!("{name}.jsonl"), &records);
        let inputs = SftInputs { model: world.path("base"), data, reward: Some(inputs.reward.clone()) };
        let settings = SftSettings { steps: 1, eval_max_new_tokens: 6, best_by, ..SftSettings::default() };
        let mut told = Told::default();
        sft::run(&settings, &inputs, &world.run(name), &mut told).map(|_| told)
    };
    let told = sft("sft", &["w1 w2", " "], BestBy::Reward).unwrap();
    assert!(told.log.iter().any(|line| line.starts_with("1 held-out prompt is not answered")), "{:?}", told.log);
    assert_eq!(told.metrics["eval/reward"].len(), 2);
    assert_refused(sft("no-sft", &[" "], BestBy::Reward), &["best_by", "no token"]);
}

/// Where a model has no end of text and no template, an answer without a word has no token.
#[test]
fn answers_without_a_token_are_left_out_of_dpo_and_counted() {
    let world = World::new();
    without_an_end(&world);
    let dpo = |name: &str, records: &[Value]| {
        let inputs = DpoInputs { model: world.path("base"), data: world.records(&format!("{name}.jsonl"), records) };
        let mut told = Told::default();
        let settings = DpoSettings { steps: 1, batch_size: 4, ..DpoSettings::default() };
        dpo::run(&settings, &inputs, &world.run(name), &mut told).map(|_| told)
    };
    let mut records = rankings();
    records[0]["responses"][0]["content"] = " ".into();
    let told = dpo("some", &records).unwrap();
    assert!(told.log.iter().any(|line| line.starts_with("1 answer is left out")), "{:?}", told.log);

    records.truncate(2);
    for answer in records.iter_mut().flat_map(|record| record["responses"].as_array_mut().unwrap()) {
        answer["content"] = "".into();
    }
    assert_refused(dpo("none", &records), &["none.jsonl", "no ranking to learn from"]);
}

#[test]
fn demonstrations_without_a_token_are_left_out_of_sft_and_counted() {
    let world = World::new();
    without_an_end(&world);
    let sft = |name: &str, records: &[Value]| {
        let data = world.records(&format!("{name}.jsonl"), records);
        let inputs = SftInputs { model: world.path("base"), data, reward: None };
        let mut told = Told::default();
        let settings = SftSettings { steps: 2, batch_size: 1, ..SftSettings::default() };
        sft::run(&settings, &inputs, &world.run(name), &mut told).map(|_| told)
    };
    let mut records = demonstrations()[..4].to_vec();
    for (record, split) in records.iter_mut().zip(["train", "train", "train", "validation"]) {
        record["split"] = split.into();
    }
    records[0]["completion"][0]["content"] = " ".into();
    let told = sft("some", &records).unwrap();
    assert!(told.log.iter().any(|line| line.starts_with("1 answer is left out")), "{:?}", told.log);
    assert!(told.log.iter().any(|line| line.starts_with("learning from 2 demonstrations")), "{:?}", told.log);
    assert_refused(sft("none", &records[..1]), &["none.jsonl", "no demonstration to learn from", "none has a token"]);
}

/// Where the prompt has no token either, nothing is there whose state could be scored.
#[test]
fn answers_without_a_token_are_left_out_of_reward_modelling_and_counted() {
    let world = World::new();
    without_an_end(&world);
    let reward = |name: &str, records: &[Value], answered: Option<&[Value]>| {
        let data = world.records(&format!("{name}.jsonl"), records);
        let demonstrations = answered.map(|answered| world.records(&format!("{name}-answered.jsonl"), answered));
        let inputs = RewardInputs { model: world.path("base"), data, demonstrations };
        let settings = RewardSettings { steps: 2, batch_size: 1, rating_coefficient: 0.5, ..RewardSettings::default() };
        let mut told = Told::default();
        reward::run(&settings, &inputs, &world.run(name), &mut told).map(|_| told)
    };
    let lines = |told: &Told, text: &str| told.log.iter().filter(|line| line.starts_with(text)).count();
    let asked_nothing = |mut record: Value| {
        record["prompt"][0]["content"] = " ".into();
        record
    };
    // One of four answers goes, with its rank and its rating; of two, the other one alone says nothing.
    let mut records: Vec<Value> = rankings().into_iter().take(3).map(asked_nothing).collect();
    for record in &mut records {
        record["ratings"] = json!([1, 3, 5, 7]);
    }
    records[0]["responses"][1]["content"] = "".into();
    let pair = |answer: &str| json!([{"role": "assistant", "content": answer}]);
    records.push(asked_nothing(json!({"prompt": [{"role": "user"}], "chosen": pair("w1"), "rejected": pair(" ")})));
    for (record, split) in records.iter_mut().zip(["train", "train", "validation", "train"]) {
        record["split"] = split.into();
    }
    let mut answered = demonstrations()[..2].to_vec();
    answered[0] = asked_nothing(answered[0].clone());
    answered[0]["completion"][0]["content"] = "".into();
    let told = reward("some", &records, Some(&answered[..])).unwrap();
    assert_eq!(lines(&told, "2 answers are left out: they have no token"), 1, "{:?}", told.log);
    assert_eq!(lines(&told, "1 answer is left out: it has no token"), 1, "{:?}", told.log);
    assert_eq!(lines(&told, "learning from 2 rankings"), 1, "{:?}", told.log);

    assert_refused(reward("zero", &records, Some(&answered[..1])), &["zero-answered.jsonl", "none has a token"]);
    assert_refused(reward("none", &records[3..], None), &["none.jsonl", "no ranking to learn from"]);
}
