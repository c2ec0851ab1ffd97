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

    /// How many will be due by the steps alone after step `done` and before the last one, `total`.
    pub fn due_between(&self, done: usize, total: usize) -> usize {
        let due_by = |step: usize| step.checked_div(self.steps).unwrap_or(0);
        due_by(total.saturating_sub(1)).saturating_sub(due_by(done))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_due_between_two_steps_as_come_due_on_the_way() {
        for (steps, done, total) in
            [(25, 0, 100), (25, 25, 100), (25, 30, 101), (25, 0, 25), (25, 0, 0), (0, 0, 9), (1, 4, 5)]
        {
            let mut cadence = Cadence::new(steps, 0.0);
            let expected = (done + 1..total).filter(|&step| cadence.is_due(step)).count();
            assert_eq!(cadence.due_between(done, total), expected, "{steps} {done} {total}");
        }
    }
}
