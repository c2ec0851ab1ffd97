//! A language of forty words, a tiny model of it, and tasks in it whose right answers are known.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use laurel_records::{LogLevel, Stage};
use laurel_trainer::{
    cli::device::device_of_tests,
    model::{
        Decoder, DecoderConfig,
        hf::{Companions, Lineage, write_decoder},
    },
    train::{Earlier, Reporter, Run, Sample},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Words of the language besides the special ones: w0 … w35.
pub const WORDS: usize = 36;
const SPECIAL: [&str; 4] = ["<|pad|>", "<|end|>", "<|unk|>", "good"];

/// A directory for one test, with a fresh model in it.
pub struct World {
    directory: TempDir,
}

impl World {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let world = Self { directory };
        write_model(&world.path("base"), "llama-tiny");
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes records, a line each.
    pub fn records(&self, name: &str, records: &[Value]) -> PathBuf {
        let path = self.path(name);
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        fs::write(&path, lines).unwrap();
        path
    }

    pub fn run(&self, out: &str) -> Run {
        Run { out: self.path(out), device: device_of_tests(), seed: 3, earlier: Earlier::Refuse }
    }

    /// What lies in the directory, hidden things too.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A fresh model of the language: a preset of two layers that reads 64 tokens.
pub fn write_model(path: &Path, preset: &str) {
    let words: Vec<String> =
        SPECIAL.iter().map(|word| word.to_string()).chain((0..WORDS).map(|number| format!("w{number}"))).collect();
    let vocabulary: BTreeMap<&str, usize> = words.iter().enumerate().map(|(id, word)| (word.as_str(), id)).collect();
    let added = |id: usize| {
        json!({"id": id, "content": SPECIAL[id], "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true})
    };
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [added(0), added(1), added(2)],
        "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<|unk|>"}
    });
    let tokenizer_config = json!({"pad_token": "<|pad|>", "eos_token": "<|end|>", "unk_token": "<|unk|>"});
    let mut config = DecoderConfig::preset(preset).unwrap().with_vocabulary(words.len(), None, vec![1], Some(0));
    (config.layers, config.context_length) = (2, 64);
    let companions = Companions::none()
        .with("tokenizer.json", tokenizer.to_string())
        .with("tokenizer_config.json", tokenizer_config.to_string());
    let decoder = Decoder::init_with_seed(&config, 1, &device_of_tests());
    write_decoder(path, &decoder, &companions, &Lineage::of("init")).unwrap();
}

/// A copy of the base, which reads 64 tokens, that reads fewer.
pub fn shorter(world: &World, name: &str, tokens: u64) {
    let path = world.path(name);
    fs::create_dir(&path).unwrap();
    for entry in fs::read_dir(world.path("base")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), path.join(entry.file_name())).unwrap();
    }
    let mut config: Value = serde_json::from_slice(&fs::read(path.join("config.json")).unwrap()).unwrap();
    config["max_position_embeddings"] = tokens.into();
    fs::write(path.join("config.json"), config.to_string()).unwrap();
}

/// Takes what the base ends texts with out of all of its files.
pub fn without_an_end(world: &World) {
    for (file, name) in [("tokenizer_config.json", "eos_token"), ("config.json", "eos_token_id")] {
        let place = world.path("base").join(file);
        let mut content: Value = serde_json::from_slice(&fs::read(&place).unwrap()).unwrap();
        content[name] = Value::Null;
        fs::write(&place, content.to_string()).unwrap();
    }
}

fn said(role: &str, content: &str) -> Value {
    json!([{"role": role, "content": content}])
}

/// `w4 w17` is answered `w17 w18`: what follows depends on the last word alone.
pub fn demonstrations() -> Vec<Value> {
    let pairs = (0..8).flat_map(|first| (8..20).map(move |second| (first, second)));
    pairs
        .map(|(first, second)| {
            let answer = format!("w{second} w{}", second + 1);
            json!({"id": format!("{first}-{second}"), "prompt": said("user", &format!("w{first} w{second}")),
                "completion": said("assistant", &answer)})
        })
        .collect()
}

/// Four answers to a prompt, ranked by how often they say `good`; two of them tie.
pub fn rankings() -> Vec<Value> {
    (0..72)
        .map(|number| {
            let counts = [number % 4, (number + 1) % 4, (number + 2) % 4, number % 4];
            let answers = counts.iter().enumerate().map(|(place, &good)| {
                let words = (0..5).map(|at| {
                    // Where the good words stand differs from answer to answer.
                    if (at + place + number) % 5 < good { "good".into() } else { format!("w{}", (number * 7 + at * 3 + place) % WORDS) }
                });
                json!({"content": words.collect::<Vec<String>>().join(" ")})
            });
            let ranks = counts.iter().map(|count| 1 + counts.iter().filter(|other| *other > count).count());
            json!({"id": number.to_string(), "prompt": said("user", &format!("w{} w{}", number % WORDS, number / WORDS)),
                "responses": answers.collect::<Vec<_>>(), "ranks": ranks.collect::<Vec<_>>()})
        })
        .collect()
}

pub fn prompts() -> Vec<Value> {
    (0..24)
        .map(
            |number| json!({"id": number.to_string(), "prompt": said("user", &format!("w{} w{}", number, number % 7))}),
        )
        .collect()
}

/// Keeps what a stage tells.
#[derive(Default)]
pub struct Told {
    pub metrics: BTreeMap<String, Vec<f64>>,
    pub log: Vec<String>,
    pub samples: Vec<(u64, Vec<Sample>)>,
    pub stop_after: Option<u64>,
    pub step: u64,
}

impl Reporter for Told {
    fn metric(&mut self, _: Stage, _: u64, name: &str, value: f64) {
        self.metrics.entry(name.into()).or_default().push(value);
    }

    fn log(&mut self, _: LogLevel, text: &str) {
        self.log.push(text.into());
    }

    fn progress(&mut self, _: Stage, step: u64, _: u64) {
        self.step = step;
    }

    fn samples(&mut self, _: Stage, step: u64, samples: &[Sample]) {
        self.samples.push((step, samples.to_vec()));
    }

    fn stop_requested(&self) -> bool {
        self.stop_after.is_some_and(|step| self.step >= step)
    }
}

/// The program itself.
pub fn trainer(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_laurel-trainer"));
    command.args(arguments).args(["--device", "cpu"]);
    command
}

/// Runs the program to its end, which must be a good one.
#[track_caller]
pub fn succeed(arguments: &[&str]) -> Output {
    let output = trainer(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
