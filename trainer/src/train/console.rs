//! Progress for people at a terminal (a bar on standard error) and for programs (lines of JSON on standard output).

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use laurel_records::{LogLevel, Stage};
use serde_json::{Value, json};

use super::metrics::Reporter;

/// Metrics that the bar shows beside it, where a stage has them, with their short names.
const SHOWN: [(&str, &str); 5] = [
    ("train/loss", "loss"),
    ("eval/nll", "held-out NLL"),
    ("eval/accuracy", "held-out accuracy"),
    ("objective/scores", "score"),
    ("objective/kl", "KL"),
];

/// How often a run without a terminal says where it stands.
const PLAIN_EVERY: Duration = Duration::from_secs(30);

/// Reports to the terminal, and with `json` one object a line to standard output.
pub struct ConsoleReporter {
    quiet: bool,
    json: bool,
    bar: Option<(Stage, ProgressBar)>,
    shown: BTreeMap<&'static str, f64>,
    said: Instant,
}

impl ConsoleReporter {
    /// `quiet` shows no progress and no log below warnings; `json` writes everything to standard output as well.
    pub fn new(quiet: bool, json: bool) -> Self {
        Self { quiet, json, bar: None, shown: BTreeMap::new(), said: Instant::now() }
    }

    /// Takes the bar away, so that what follows stands alone.
    pub fn finish(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn line(&self, value: Value) {
        if self.json {
            // A reader that went away must not end a training run.
            let _ = writeln!(std::io::stdout().lock(), "{value}");
        }
    }

    fn bar(&mut self, stage: Stage, total: u64) -> &ProgressBar {
        if self.bar.as_ref().is_none_or(|(of, _)| *of != stage) {
            self.finish();
            self.shown.clear();
        }
        let (_, bar) = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {elapsed}<{eta} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            (stage, ProgressBar::new(total).with_style(style).with_prefix(name_of(stage)))
        });
        bar
    }

    fn message(&self) -> String {
        let shown = SHOWN.iter().filter_map(|(_, short)| self.shown.get(short).map(|value| (short, value)));
        shown.map(|(short, value)| format!("{short} {value:.4}")).collect::<Vec<_>>().join(" ")
    }
}

impl Reporter for ConsoleReporter {
    fn metric(&mut self, stage: Stage, step: u64, name: &str, value: f64) {
        self.line(json!({ "event": "metric", "stage": name_of(stage), "step": step, "name": name, "value": value }));
        if let Some((_, short)) = SHOWN.iter().find(|(long, _)| *long == name) {
            self.shown.insert(short, value);
        }
    }

    fn log(&mut self, level: LogLevel, text: &str) {
        self.line(json!({ "event": "log", "level": level, "text": text }));
        if self.quiet && level == LogLevel::Info {
            return;
        }
        let text = match level {
            LogLevel::Info => text.to_owned(),
            LogLevel::Warning => format!("warning: {text}"),
            LogLevel::Error => format!("error: {text}"),
        };
        match &self.bar {
            Some((_, bar)) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    fn progress(&mut self, stage: Stage, step: u64, total: u64) {
        self.line(json!({ "event": "progress", "stage": name_of(stage), "step": step, "total": total }));
        if self.quiet {
            return;
        }
        let message = self.message();
        if std::io::stderr().is_terminal() {
            let bar = self.bar(stage, total);
            bar.set_length(total);
            bar.set_message(message);
            bar.set_position(step);
        } else if step == total || self.said.elapsed() > PLAIN_EVERY {
            self.said = Instant::now();
            eprintln!("{} {step}/{total} {message}", name_of(stage));
        }
    }
}

/// The stage as the commands call it.
fn name_of(stage: Stage) -> &'static str {
    match stage {
        Stage::Base => "pretrain",
        Stage::Sft => "sft",
        Stage::Reward => "reward",
        Stage::Ppo => "ppo",
        Stage::Dpo => "dpo",
        Stage::Rloo => "rloo",
        Stage::Grpo => "grpo",
        Stage::Evaluate => "evaluate",
        Stage::Sample => "sample",
    }
}
