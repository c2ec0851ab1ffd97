//! Where the time of a run goes, part by part of the program (`--profile`): embedding, attention, feed-forward, norm, logits
//! and loss, each forwards and backwards, and what is around them.
//!
//! Off, a part costs the reading of one flag. A part inside another stops the other's clock, so the times add up.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

static ON: AtomicBool = AtomicBool::new(false);
static TIMES: Mutex<BTreeMap<(&str, Direction), Spent>> = Mutex::new(BTreeMap::new());

thread_local! {
    static RUNNING: RefCell<Vec<Running>> = const { RefCell::new(vec![]) };
}

/// Whether a part runs on the way to a loss or back from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// Begins to measure.
pub fn switch_on() {
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
    let now = Instant::now();
    RUNNING.with_borrow_mut(|running| {
        if let Some(outer) = running.last_mut() {
            outer.before += now - outer.since;
        }
        running.push(Running { part, direction, since: now, before: Duration::ZERO });
    });
    Part(true)
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.0 {
            return;
        }
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

/// A table of what was measured, longest first, with each part's share; empty when nothing was.
pub fn table() -> String {
    let times = TIMES.lock().unwrap_or_else(PoisonError::into_inner);
    let mut lines: Vec<_> = times.iter().map(|(&name, &spent)| (name, spent)).collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.1.time));
    let total: f64 = lines.iter().map(|(_, spent)| spent.time.as_secs_f64()).sum();
    let mut table = String::new();
    for ((part, direction), Spent { time, calls }) in lines {
        let name = match direction {
            Direction::Forward => part.to_owned(),
            Direction::Backward => format!("{part}, backward"),
        };
        let (seconds, share) = (time.as_secs_f64(), 100.0 * time.as_secs_f64() / total.max(f64::MIN_POSITIVE));
        table.push_str(&format!("{name:28} {seconds:10.3} s {share:6.1} % {calls:9} times\n"));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_inside_another_is_counted_once() {
        switch_on();
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
    }
}
