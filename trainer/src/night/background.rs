//! Work beside the job: a thread that is told when to end, and is waited for.

use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::Duration,
};

/// A thread that runs until this is dropped.
pub(super) struct Background {
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread knows of its end.
pub(super) struct End(Receiver<()>);

impl Background {
    /// Starts `work`, which has to return when its [`End`] has come.
    pub fn start(work: impl FnOnce(End) + Send + 'static) -> Self {
        let (done, ended) = mpsc::channel();
        Self { done: Some(done), thread: Some(std::thread::spawn(move || work(End(ended)))) }
    }
}

impl End {
    /// Waits for so long; says whether the end has come.
    pub fn has_come_within(&self, time: Duration) -> bool {
        self.0.recv_timeout(time) != Err(RecvTimeoutError::Timeout)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.done.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
