//! The threads that share the arithmetic, and running a command on one of them.
//!
//! A step of decoding is some hundred products of a few microseconds each. Asked for from a thread that is none of the
//! workers, every one of them begins with waking a worker and ends with being woken by it, which takes as long as a
//! small product itself; a worker begins at once.

/// As much as the main thread has, which the workers stand in for; no memory is taken that is not used.
const STACK_BYTES: usize = 8 << 20;

/// Runs `work` on one of the workers, which is then busy with it until it ends: not for what waits for others.
pub fn among_workers<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    // Fails where the workers are there already, with the stack that they have.
    let _ = rayon::ThreadPoolBuilder::new().stack_size(STACK_BYTES).build_global();
    rayon::scope(|_| work())
}
