//! Progress for people (a bar on standard error, or a line a step where that is no terminal) and for programs (lines of
//! JSON on standard output).

use std::{
    collections::BTreeMap,
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use laurel_records::{LogLevel, Stage};
use serde_json::{Value, json};

use super::metrics::Reporter;
use crate::terminal;

/// Metrics that the bar shows beside it, where a stage has them, with their short names.
const SHOWN: [(&str, &str); 7] = [
    ("train/loss", "loss"),
    ("eval/nll", "held-out NLL"),
    ("eval/reward", "held-out reward"),
    ("eval/accuracy", "held-out accuracy"),
    ("eval/rewards/accuracies", "held-out accuracy"),
    ("objective/scores", "score"),
    ("objective/kl", "KL"),
];

/// Reports to the terminal, and with `json` one object a line to standard output.
pub struct ConsoleReporter {
    quiet: bool,
    json: bool,
    bar: Option<(Stage, ProgressBar)>,
    /// By their long names.
    shown: BTreeMap<&'static str, f64>,
    /// The stage under way, the step that it began or went on at, and when.
    since: Option<(Stage, u64, Instant)>,
}

impl ConsoleReporter {
    /// `quiet` shows no bar and no log below warnings: where standard error is no terminal, the line of each step is left.
    /// `json` writes everything to standard output as well.
    pub fn new(quiet: bool, json: bool) -> Self {
        Self { quiet, json, bar: None, shown: BTreeMap::new(), since: None }
    }

    /// Takes the bar away, so that what follows stands alone.
    pub fn finish(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            terminal::take_away(&bar);
        }
    }

    fn line(&self, value: Value) {
        if self.json {
            terminal::report(value);
        }
    }

    fn bar(&mut self, stage: Stage, total: u64) -> &ProgressBar {
        if self.bar.as_ref().is_none_or(|(of, _)| *of != stage) {
            self.finish();
        }
        let (_, bar) = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
            let bar = bar.with_style(style).with_prefix(name_of(stage));
            terminal::show(&bar);
            (stage, bar)
        });
        bar
    }

    /// Rate and remaining time, from the steps of this run alone: one that went on from a checkpoint did not take the others.
    fn pace(&mut self, stage: Stage, step: u64, total: u64) -> Option<String> {
        if self.since.is_none_or(|(of, _, _)| of != stage) {
            if self.since.is_some() {
                self.shown.clear();
            }
            self.since = Some((stage, step, Instant::now()));
        }
        let (_, first, since) = self.since?;
        pace(step.saturating_sub(first), total.saturating_sub(step), since.elapsed())
    }

    fn message(&self) -> String {
        let shown = SHOWN.iter().filter_map(|(long, short)| self.shown.get(long).map(|value| (short, value)));
        shown.map(|(short, value)| format!("{short} {}", terminal::rounded(*value, 4))).collect::<Vec<_>>().join(" ")
    }
}

impl Reporter for ConsoleReporter {
    fn metric(&mut self, stage: Stage, step: u64, name: &str, value: f64) {
        self.line(json!({ "event": "metric", "stage": name_of(stage), "step": step, "name": name, "value": value }));
        if let Some((long, _)) = SHOWN.iter().find(|(long, _)| *long == name) {
            self.shown.insert(long, value);
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
        terminal::say(text);
        if let Some((_, bar)) = &self.bar {
            bar.tick();
        }
    }

    fn progress(&mut self, stage: Stage, step: u64, total: u64) {
        self.line(json!({ "event": "progress", "stage": name_of(stage), "step": step, "total": total }));
        let pace = self.pace(stage, step, total);
        let message = [pace.unwrap_or_default(), self.message()].join(" ");
        let message = message.trim().to_owned();
        if !std::io::stderr().is_terminal() {
            // The lines on standard output say the same.
            if self.json {
                return;
            }
            terminal::say(format!("{} {step}/{total} {message}", name_of(stage)).trim_end());
        } else if !self.quiet {
            let bar = self.bar(stage, total);
            bar.set_length(total);
            bar.set_message(message);
            bar.set_position(step);
        }
    }
}

/// `2.5 steps/s, 1:20 left`; `None` before the first step is done.
fn pace(done: u64, left: u64, took: Duration) -> Option<String> {
    if done == 0 || took.is_zero() {
        return None;
    }
    let each = took.as_secs_f64() / done as f64;
    let rate = if each <= 1.0 { format!("{:.1} steps/s", 1.0 / each) } else { format!("{each:.1} s/step") };
    let rest = (each * left as f64).round() as u64;
    let (hours, minutes, seconds) = (rest / 3600, rest / 60 % 60, rest % 60);
    let rest = if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") };
    Some(format!("{rate}, {rest} left"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_remaining_time_are_of_the_steps_that_were_taken() {
        let pace = |done, left, seconds| pace(done, left, Duration::from_secs_f64(seconds));
        assert_eq!(pace(0, 9, 5.0), None);
        assert_eq!(pace(5, 10, 2.0).as_deref(), Some("2.5 steps/s, 0:04 left"));
        assert_eq!(pace(2, 20, 9.0).as_deref(), Some("4.5 s/step, 1:30 left"));
        assert_eq!(pace(1, 1000, 8.0).as_deref(), Some("8.0 s/step, 2:13:20 left"));
        assert_eq!(pace(4, 0, 2.0).as_deref(), Some("2.0 steps/s, 0:00 left"));
    }

    #[test]
    fn what_is_held_out_is_shown_whatever_a_stage_judges_it_by() {
        let message = |measured: &[(&str, f64)]| {
            let mut reporter = ConsoleReporter::new(true, false);
            for (name, value) in measured {
                reporter.metric(Stage::Sft, 1, name, *value);
            }
            reporter.message()
        };
        assert_eq!(message(&[("eval/rewards/accuracies", 0.75)]), "held-out accuracy 0.7500");
        let judged = message(&[("eval/reward", 0.5), ("eval/nll", 2.0), ("eval/perplexity", 7.389)]);
        assert_eq!(judged, "held-out NLL 2.0000 held-out reward 0.5000");
        assert_eq!(message(&[("objective/kl", -6.4e-7)]), "KL 0.0000");
    }
}
