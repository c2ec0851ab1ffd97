//! Progress of a command, as people or programs want to see it.

use std::{cell::Cell, io::IsTerminal, time::Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde_json::json;

use super::Common;
use crate::terminal;

/// Seconds between two lines of `--json`, and between two lines for people where there is no terminal.
const INTERVAL: f64 = 1.0;
const PLAIN_INTERVAL: f64 = 10.0;

/// A count on its way to a total: a bar on the terminal and a line now and then elsewhere, with rate and remaining time;
/// `{"event":"progress","step":…,"total":…}` lines with `--json`. `--quiet` is about what people see alone.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    total: u64,
    what: String,
    json: bool,
    plain: bool,
    started: Instant,
    /// What was done before that: what the rate is told without.
    before: Cell<u64>,
    last_line: Cell<Option<Instant>>,
}

impl Progress {
    pub(super) fn new(common: &Common, total: u64, what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if common.quiet || common.json {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} · {rate} · {eta} left")
            .expect("the template is a constant that indicatif accepts");
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.1}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
        bar.set_message(what.to_string());
        // The first of many answers may take a while.
        if total > 0 {
            bar.tick();
        }
        Self {
            bar,
            total,
            what: what.to_string(),
            json: common.json,
            plain: !common.json && !common.quiet && !std::io::stderr().is_terminal(),
            started: Instant::now(),
            before: Cell::new(0),
            last_line: Cell::new(None),
        }
    }

    /// An earlier run has done `step`.
    pub fn resumed_at(&self, step: u64) {
        self.before.set(step);
        self.bar.set_position(step);
        self.bar.reset_eta();
    }

    /// `step` of the total are done.
    pub fn reached(&self, step: u64) {
        let total = self.total;
        self.bar.set_position(step);
        let is_due = self.last_line.get().is_none_or(|last| last.elapsed().as_secs_f64() >= INTERVAL);
        if self.json && (is_due || step == total) {
            terminal::report(json!({"event": "progress", "step": step, "total": total}));
            self.last_line.set(Some(Instant::now()));
        }
        // What is done at once needs no line on the way.
        let last = self.last_line.get().unwrap_or(self.started);
        if self.plain && last.elapsed().as_secs_f64() >= PLAIN_INTERVAL {
            terminal::say(line(&self.what, step, total, self.before.get(), self.started.elapsed().as_secs_f64()));
            self.last_line.set(Some(Instant::now()));
        }
    }

    /// Takes the bar off the terminal.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}

/// A line for people, of which `before` took no time of this run's; before anything is done nobody knows how long the rest takes.
fn line(what: &str, step: u64, total: u64, before: u64, took: f64) -> String {
    let done = step.saturating_sub(before);
    if done == 0 {
        return format!("{what} {step}/{total}");
    }
    let left = took / done as f64 * total.saturating_sub(step) as f64;
    let rate = done as f64 / took;
    format!("{what} {step}/{total} · {rate:.1}/s · {left:.0} s left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_that_is_left_is_told_once_something_is_done() {
        assert_eq!(line("Answers", 0, 32, 0, 40.0), "Answers 0/32");
        assert_eq!(line("Answers", 8, 32, 0, 40.0), "Answers 8/32 · 0.2/s · 120 s left");
        // Of a run that was resumed.
        assert_eq!(line("Answers", 16, 32, 16, 1.0), "Answers 16/32");
        assert_eq!(line("Answers", 24, 32, 16, 40.0), "Answers 24/32 · 0.2/s · 40 s left");
    }
}
