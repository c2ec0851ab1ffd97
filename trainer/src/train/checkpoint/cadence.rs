//! When a checkpoint is due.

use std::time::Instant;

/// When the next checkpoint is due: after so many steps, or when the last one is so many minutes old.
#[derive(Debug, Clone)]
pub struct Cadence {
    steps: usize,
    minutes: f64,
    last: Instant,
}

impl Cadence {
    /// 0 steps or 0 minutes: not by them.
    pub fn new(steps: usize, minutes: f64) -> Self {
        Self { steps, minutes, last: Instant::now() }
    }

    /// Whether checkpoints are wanted at all.
    pub fn is_wanted(&self) -> bool {
        self.steps > 0 || self.minutes > 0.0
    }

    /// Whether a checkpoint is due after `step` steps; the minutes are then counted anew.
    pub fn is_due(&mut self, step: usize) -> bool {
        let by_steps = self.steps > 0 && step.is_multiple_of(self.steps);
        let by_time = self.minutes > 0.0 && self.last.elapsed().as_secs_f64() >= 60.0 * self.minutes;
        if by_steps || by_time {
            self.last = Instant::now();
        }
        by_steps || by_time
    }
}
