//! Reasons to stop work before it is done: the process is to end, somebody pressed “stop”, the lease is lost.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Why work stops before it is done. A later one outweighs an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interruption {
    /// The process was asked to end (SIGTERM, Ctrl-C): the job goes back.
    Ending,
    /// Somebody pressed “stop” on the dashboard: the job ends as cancelled.
    Cancelled,
    /// The job is another worker's now: nothing may be written for it any more.
    LeaseLost,
}

/// What has been raised so far; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Interrupts(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    raised: Mutex<Raised>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Raised {
    ending: bool,
    of_job: Option<Interruption>,
}

impl Raised {
    fn strongest(self) -> Option<Interruption> {
        self.of_job.max(self.ending.then_some(Interruption::Ending))
    }
}

impl Interrupts {
    /// Raises one; whoever waits wakes up.
    pub fn raise(&self, what: Interruption) {
        let mut raised = self.lock();
        match what {
            Interruption::Ending => raised.ending = true,
            of_job => raised.of_job = raised.of_job.max(Some(of_job)),
        }
        self.0.changed.notify_all();
    }

    /// The strongest that was raised.
    pub fn raised(&self) -> Option<Interruption> {
        self.lock().strongest()
    }

    /// Whether the process is to end, whatever else was raised for a job.
    pub fn is_ending(&self) -> bool {
        self.lock().ending
    }

    /// Forgets what was raised for one job; that the process is to end stays.
    pub fn begin_job(&self) {
        self.lock().of_job = None;
    }

    /// Waits for `time`, or until something is raised.
    pub fn wait(&self, time: Duration) -> Option<Interruption> {
        let until = Instant::now() + time;
        let mut raised = self.lock();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if raised.strongest().is_some() || left.is_zero() {
                return raised.strongest();
            }
            raised = self.0.changed.wait_timeout(raised, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Raised> {
        self.0.raised.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Raises [`Interruption::Ending`] at SIGTERM and Ctrl-C; at the second one the process ends at once.
pub fn end_politely(interrupts: &Interrupts) -> std::io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    let interrupts = interrupts.clone();
    std::thread::spawn(move || {
        for (count, signal) in signals.forever().enumerate() {
            if count > 0 {
                std::process::exit(128 + signal);
            }
            interrupts.raise(Interruption::Ending);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_lease_outweighs_stop_and_the_end_of_the_process_outlives_the_job() {
        let interrupts = Interrupts::default();
        assert_eq!(interrupts.wait(Duration::ZERO), None);
        interrupts.raise(Interruption::LeaseLost);
        interrupts.raise(Interruption::Cancelled);
        interrupts.raise(Interruption::Ending);
        assert_eq!(interrupts.wait(Duration::from_secs(3600)), Some(Interruption::LeaseLost));
        assert!(interrupts.is_ending());
        interrupts.begin_job();
        assert_eq!(interrupts.raised(), Some(Interruption::Ending));
    }
}
