//! Progress of a command, as people or programs want to see it.

use std::{
    cell::Cell,
    io::IsTerminal,
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde_json::json;

use super::Common;
use crate::{
    terminal,
    transfer::{Gauge, Watcher, Watching},
};

/// Seconds between two lines of `--json`, and between two lines for people where there is no terminal.
const INTERVAL: f64 = 1.0;
const PLAIN_INTERVAL: f64 = 10.0;

/// A file that is read, hashed or written within this time is not worth a bar.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a bar is drawn whose file takes its time over a part: one large tensor, what the disk has still to store.
const TICK: Duration = Duration::from_millis(500);

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
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.1}/s", state.per_sec());
        };
        let style = style("{msg} {wide_bar} {pos}/{len} · {rate} · {eta} left").with_key("rate", rate);
        let bar = hidden_bar(total, what, style);
        if shows_bars(common) {
            terminal::show(&bar);
        }
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
        terminal::take_away(&self.bar);
    }
}

/// What `--json` says in lines needs no bar.
fn shows_bars(common: &Common) -> bool {
    !common.quiet && !common.json
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are constants that indicatif accepts")
}

fn hidden_bar(total: u64, what: &str, style: ProgressStyle) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
    bar.with_style(style).with_message(what.to_string())
}

/// Lets the files that this thread reads, hashes and writes be seen on the terminal, where bars are.
pub(super) fn watch_transfers(common: &Common) -> Option<Watching> {
    let is_seen = shows_bars(common) && std::io::stderr().is_terminal();
    is_seen.then(|| Watching::by(TransferBars))
}

/// A bar for every file that takes longer than [`PATIENCE`].
struct TransferBars;

impl Watcher for TransferBars {
    fn begin(&self, what: String, total: u64) -> Box<dyn Gauge> {
        Box::new(TransferBar::new(&what, total, PATIENCE))
    }
}

struct TransferBar {
    bar: ProgressBar,
    /// Shows the bar, unless it is told before that the transfer is over.
    showing: Option<(Sender<()>, JoinHandle<()>)>,
}

impl TransferBar {
    fn new(what: &str, total: u64, patience: Duration) -> Self {
        let template = "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} · {decimal_bytes_per_sec} · {eta} left";
        let bar = hidden_bar(total, what, style(template));
        let (over, is_over) = mpsc::channel();
        let shown = bar.clone();
        let show = move || {
            if is_over.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                terminal::show(&shown);
                shown.enable_steady_tick(TICK);
            }
        };
        // Where there is no thread to be had, there is only no bar.
        let showing = thread::Builder::new().name("bar".into()).spawn(show).ok();
        Self { bar, showing: showing.map(|thread| (over, thread)) }
    }
}

impl Gauge for TransferBar {
    fn reached(&self, done: u64) {
        self.bar.set_position(done);
    }
}

impl Drop for TransferBar {
    fn drop(&mut self) {
        if let Some((over, thread)) = self.showing.take() {
            drop(over);
            let _ = thread.join();
        }
        terminal::take_away(&self.bar);
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

    #[test]
    fn a_file_gets_its_bar_only_when_it_takes_long_and_waits_for_none() {
        // Where a bar was shown, its thread has ended.
        let is_shown = |bar: &TransferBar| bar.showing.as_ref().is_some_and(|(_, thread)| thread.is_finished());
        let began = Instant::now();
        let quick = TransferBar::new("Reading model", 8, Duration::from_secs(3600));
        quick.reached(8);
        assert!(!is_shown(&quick));
        drop(quick);
        assert!(began.elapsed() < Duration::from_secs(60));
        let slow = TransferBar::new("Reading model", 8, Duration::ZERO);
        slow.reached(4);
        while !is_shown(&slow) {
            assert!(began.elapsed() < Duration::from_secs(60));
            thread::yield_now();
        }
        assert_eq!((slow.bar.position(), slow.bar.length()), (4, Some(8)));
    }
}
