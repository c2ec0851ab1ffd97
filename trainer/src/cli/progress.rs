//! Progress of a command, as people or programs want to see it.

use std::{cell::Cell, time::Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::Common;

/// Seconds between two lines of `--json`.
const INTERVAL: f64 = 1.0;

/// A count on its way to a total: a bar on the terminal, `{"event":"progress","step":…,"total":…}` lines with `--json`.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    total: u64,
    json: bool,
    last_line: Cell<Option<Instant>>,
}

impl Progress {
    pub(super) fn new(common: &Common, total: u64, what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if common.quiet || common.json {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} · {eta} left")
            .expect("the template is a constant that indicatif accepts");
        bar.set_style(style);
        bar.set_message(what.to_string());
        Self { bar, total, json: common.json && !common.quiet, last_line: Cell::new(None) }
    }

    /// `step` of the total are done.
    pub fn reached(&self, step: u64) {
        self.bar.set_position(step);
        let is_due = self.last_line.get().is_none_or(|last| last.elapsed().as_secs_f64() >= INTERVAL);
        if self.json && (is_due || step == self.total) {
            println!("{}", json!({"event": "progress", "step": step, "total": self.total}));
            self.last_line.set(Some(Instant::now()));
        }
    }

    /// Takes the bar off the terminal.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
