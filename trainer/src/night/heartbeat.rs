//! Signs of life: a thread that renews a job's lease while the work goes on, and hears of “stop” and of a lost lease.

use std::time::Duration;

use uuid::Uuid;

use super::{
    background::Background,
    client::Client,
    interrupts::{Interruption, Interrupts},
};

/// Time between two signs of life; a lease lasts two minutes, so that some may get lost.
const INTERVAL: Duration = Duration::from_secs(10);

/// Renews the lease until the guard is dropped; raises [`Interruption::Cancelled`] and [`Interruption::LeaseLost`] when it
/// hears so.
pub(super) fn start(client: &Client, job: Uuid, lease: Uuid, interrupts: &Interrupts) -> Background {
    let (client, interrupts) = (client.trying_once(), interrupts.clone());
    Background::start(move |end| {
        while !end.has_come_within(INTERVAL) {
            match client.heartbeat(job, lease) {
                Ok(answer) if answer.stop => interrupts.raise(Interruption::Cancelled),
                Err(error) if error.has_lost_job() => return interrupts.raise(Interruption::LeaseLost),
                // Whether the lease is lost, only the server can say; it may be back before anybody else asks.
                Ok(_) | Err(_) => {}
            }
        }
    })
}
