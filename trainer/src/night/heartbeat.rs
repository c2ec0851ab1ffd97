//! Signs of life: a thread that renews a job's lease while the work goes on, and hears of “stop” and of a lost lease.

use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::Duration,
};

use uuid::Uuid;

use super::{
    client::{Client, ClientError},
    interrupts::{Interruption, Interrupts},
};

/// Time between two signs of life; a lease lasts two minutes, so that some may get lost.
const INTERVAL: Duration = Duration::from_secs(10);

/// Beats until it is dropped.
pub struct Heartbeat {
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Starts to renew the lease; raises [`Interruption::Cancelled`] and [`Interruption::LeaseLost`] when it hears so.
    pub fn start(client: &Client, job: Uuid, lease: Uuid, interrupts: &Interrupts) -> Self {
        let (done, ended) = mpsc::channel::<()>();
        let (client, interrupts) = (client.trying_once(), interrupts.clone());
        let thread = std::thread::spawn(move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                match client.heartbeat(job, lease) {
                    Ok(answer) if answer.stop => interrupts.raise(Interruption::Cancelled),
                    Err(ClientError::LeaseLost) => {
                        interrupts.raise(Interruption::LeaseLost);
                        return;
                    }
                    // Whether the lease is lost, only the server can say; it may be back before anybody else asks.
                    Ok(_) | Err(_) => {}
                }
            }
        });
        Self { done: Some(done), thread: Some(thread) }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.done.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
