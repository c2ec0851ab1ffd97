//! The allocator's one setting: memory that was freed is kept for the next tensor instead of going back to the system.
//!
//! A training step frees and takes the same large buffers again and again. With purging on, each comes back as fresh
//! pages that the system has to clear first; that costs more than the arithmetic (adding 8 million floats: 34 ms instead
//! of 1.8).

use std::ffi::{c_int, c_long};

/// `mi_option_purge_delay` in mimalloc.h, the same number in mimalloc 2 and 3.
const PURGE_DELAY: c_int = 15;
const NEVER: c_long = -1;

// Part of the library that the `mimalloc` crate links; its own binding of these is behind a feature.
unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
}

/// Keeps freed memory, unless the variable `MIMALLOC_PURGE_DELAY` says otherwise. Call it first thing, before there are
/// threads.
pub fn keep_freed_memory() {
    // SAFETY: a plain write to a table of options, by the only thread there is.
    unsafe { mi_option_set_default(PURGE_DELAY, NEVER) }
}
