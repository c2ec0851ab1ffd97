//! Where the time of a run goes, part by part of the program (`--profile`): embedding, attention, feed-forward, norm, logits
//! and loss, each forwards and backwards, and what is around them.
//!
//! Off, a part costs the reading of one flag. A part inside another stops the other's clock, so the times add up. A GPU is only
//! told what to do and does it later: there each part waits, at both ends, until all is done that was asked of it.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use burn::tensor::Device;
use serde::Serialize;

static ON: AtomicBool = AtomicBool::new(false);
static SINCE: OnceLock<Instant> = OnceLock::new();
static TIMES: Mutex<BTreeMap<(&str, Direction), Spent>> = Mutex::new(BTreeMap::new());

thread_local! {
    static RUNNING: RefCell<Vec<Running>> = const { RefCell::new(vec![]) };
    /// What the parts of this thread hand their work to, where that is not the CPU.
    static GPU: RefCell<Option<Device>> = const { RefCell::new(None) };
}

/// Whether a part runs on the way to a loss or back from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Forward,
    Backward,
}

#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    time: Duration,
    calls: u64,
}

struct Running {
    part: &'static str,
    direction: Direction,
    since: Instant,
    before: Duration,
}

/// Begins to measure; the calling thread is the one that gives `device` its work.
pub fn switch_on(device: &Device) {
    if *device != Device::flex() {
        GPU.set(Some(device.clone()));
    }
    SINCE.get_or_init(Instant::now);
    ON.store(true, Ordering::Relaxed);
}

/// Measures until it is dropped.
#[must_use = "a part lasts as long as this does"]
pub struct Part(bool);

/// Enters a part of the program.
pub fn part(name: &'static str) -> Part {
    enter(name, Direction::Forward)
}

/// Enters the way back through a part of the program.
pub fn backward(name: &'static str) -> Part {
    enter(name, Direction::Backward)
}

/// The innermost part that this thread is in.
pub fn current() -> &'static str {
    if !ON.load(Ordering::Relaxed) {
        return OTHER;
    }
    RUNNING.with_borrow(|running| running.last().map_or(OTHER, |part| part.part))
}

const OTHER: &str = "other";

fn enter(part: &'static str, direction: Direction) -> Part {
    if !ON.load(Ordering::Relaxed) {
        return Part(false);
    }
    wait();
    let now = Instant::now();
    RUNNING.with_borrow_mut(|running| {
        if let Some(outer) = running.last_mut() {
            outer.before += now - outer.since;
        }
        running.push(Running { part, direction, since: now, before: Duration::ZERO });
    });
    Part(true)
}

/// Until what this thread asked of its GPU is done.
fn wait() {
    GPU.with_borrow(|gpu| {
        if let Some(gpu) = gpu {
            // What fails there is told when its result is read.
            let _ = gpu.sync();
        }
    });
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.0 {
            return;
        }
        wait();
        let now = Instant::now();
        RUNNING.with_borrow_mut(|running| {
            let Some(part) = running.pop() else { return };
            let mut times = TIMES.lock().unwrap_or_else(PoisonError::into_inner);
            let spent = times.entry((part.part, part.direction)).or_default();
            spent.time += part.before + (now - part.since);
            spent.calls += 1;
            if let Some(outer) = running.last_mut() {
                outer.since = now;
            }
        });
    }
}

/// What was measured of one part of the program, in one direction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Line {
    pub part: &'static str,
    pub direction: Direction,
    pub seconds: f64,
    /// Of the time since the measuring began, 0 to 1.
    pub share: f64,
    pub calls: u64,
}

/// What no part is said to have taken: reading files, data between the models, what waits.
const OUTSIDE: &str = "outside these parts";

/// What was measured since [`switch_on`], longest first, and at the end what the parts left over; empty when nothing was.
pub fn lines() -> Vec<Line> {
    let times = TIMES.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(whole) = SINCE.get().map(|since| since.elapsed().as_secs_f64()) else { return vec![] };
    let share = |seconds: f64| seconds / whole.max(f64::MIN_POSITIVE);
    let mut lines: Vec<Line> = times
        .iter()
        .map(|(&(part, direction), spent)| {
            let seconds = spent.time.as_secs_f64();
            Line { part, direction, seconds, share: share(seconds), calls: spent.calls }
        })
        .collect();
    if lines.is_empty() {
        return lines;
    }
    lines.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let seconds = (whole - lines.iter().map(|line| line.seconds).sum::<f64>()).max(0.0);
    lines.push(Line { part: OUTSIDE, direction: Direction::Forward, seconds, share: share(seconds), calls: 0 });
    lines
}

/// [`lines`] as a table for people.
pub fn table() -> String {
    let mut table = String::new();
    for Line { part, direction, seconds, share, calls } in lines() {
        let name = match direction {
            Direction::Forward => part.to_owned(),
            Direction::Backward => format!("{part}, backward"),
        };
        let calls = if calls > 0 { format!("{calls:9} times") } else { String::new() };
        table.push_str(format!("{name:30} {seconds:10.3} s {:6.1} % {calls}", 100.0 * share).trim_end());
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_inside_another_is_counted_once() {
        switch_on(&Device::flex());
        let started = Instant::now();
        {
            let _outer = part("outer of the test");
            let _inner = backward("inner of the test");
            assert_eq!(current(), "inner of the test");
            std::hint::black_box((0..100_000).fold(0u64, |sum, i| sum ^ i));
        }
        let elapsed = started.elapsed();
        let times = TIMES.lock().unwrap();
        let outer = times[&("outer of the test", Direction::Forward)];
        let inner = times[&("inner of the test", Direction::Backward)];
        assert_eq!((outer.calls, inner.calls), (1, 1));
        assert!(outer.time + inner.time <= elapsed);
        drop(times);
        assert!(table().contains("inner of the test, backward"));
        let lines = lines();
        let outside = lines.last().unwrap();
        assert_eq!((outside.part, outside.calls), (OUTSIDE, 0));
        // Other tests of this process may measure on other threads, so the shares may go beyond one; here they add up.
        assert!(lines.iter().map(|line| line.share).sum::<f64>() >= 0.999);
    }
}
