//! Workers that stay awake between many small pieces of work.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rayon::Yield;

/// No more workers than these are kept awake: they look for work in each other's places.
const MOST: usize = 8;

/// Runs `work`, and keeps the other workers looking for what it gives them meanwhile. A worker that has found nothing for some
/// microseconds goes to sleep, and waking it takes as long as a small product: a step of decoding has some hundred of them, with
/// little between them (32 answers by a model of 34 M on two cores: 1,460 tokens a second, 1,570 awake). Whoever else wants the
/// processor gets it: a worker that finds nothing gives its turn away.
pub fn keep_awake<T>(work: impl FnOnce() -> T) -> T {
    let others = rayon::current_num_threads().min(MOST) - 1;
    let ended = AtomicBool::new(false);
    rayon::in_place_scope(|scope| {
        // Also where the work ends with a panic.
        let _guard = Guard(&ended);
        (0..others).for_each(|_| scope.spawn(|_| look_for_work(&ended)));
        work()
    })
}

fn look_for_work(ended: &AtomicBool) {
    while !ended.load(Ordering::Acquire) {
        if rayon::yield_now() != Some(Yield::Executed) {
            thread::yield_now();
        }
    }
}

/// Says that it has ended, when it does.
struct Guard<'a>(&'a AtomicBool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use rayon::prelude::*;

    use super::*;

    #[test]
    fn work_is_shared_as_ever_nested_alone_and_from_any_thread() {
        let sum = || keep_awake(|| (0..1000u64).into_par_iter().map(|n| n * n).sum::<u64>());
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let sums: Vec<u64> = pool.install(|| keep_awake(|| (0..20).into_par_iter().map(|_| sum()).collect()));
            assert!(sums.iter().all(|&found| found == 332_833_500), "{threads} threads");
        }
        assert_eq!(sum(), 332_833_500);
    }

    #[test]
    fn nobody_waits_for_work_that_panicked() {
        let found = std::panic::catch_unwind(|| keep_awake(|| panic!("as it should")));
        assert!(found.is_err());
        assert_eq!(keep_awake(|| 3), 3);
    }
}
