//! Signs of life: a thread that renews a job's lease while the work goes on, and hears of “stop” and of a lost lease.

use std::time::Duration;

use uuid::Uuid;

use super::{
    background::Background,
    client::Client,
    interrupts::{Interruption, Interrupts},
};
use crate::terminal;

/// Time between two signs of life; a lease lasts two minutes, so that some may get lost.
const INTERVAL: Duration = Duration::from_secs(10);

/// Renews the lease until the guard is dropped; raises [`Interruption::Cancelled`] and [`Interruption::LeaseLost`] when it
/// hears so.
pub(super) fn start(client: &Client, job: Uuid, lease: Uuid, interrupts: &Interrupts) -> Background {
    every(INTERVAL, client, job, lease, interrupts)
}

fn every(interval: Duration, client: &Client, job: Uuid, lease: Uuid, interrupts: &Interrupts) -> Background {
    let (client, interrupts) = (client.trying_once(), interrupts.clone());
    Background::start(move |end| {
        while !end.has_come_within(interval) {
            match client.heartbeat(job, lease) {
                Ok(answer) if answer.stop => interrupts.raise(Interruption::Cancelled),
                Err(error) if error.has_lost_job() => return interrupts.raise(Interruption::LeaseLost),
                // A token that was revoked renews no lease: what is computed on could not be brought either.
                Err(error) if error.is_of_token() => {
                    terminal::say(format!("laurel-trainer: {error}"));
                    return interrupts.raise(Interruption::LeaseLost);
                }
                // Whether the lease is lost, only the server can say; it may be back before anybody else asks.
                Ok(_) | Err(_) => {}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn a_worker_whose_token_was_revoked_drops_its_work() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let request = BufReader::new(stream.try_clone().expect("a stream")).lines().map_while(Result::ok);
            assert!(request.take_while(|line| !line.is_empty()).count() > 0);
            let body = r#"{"code":"unauthorised","message":"this token does not work: it is unknown or was revoked"}"#;
            let head = format!("HTTP/1.1 401 X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all((head + body).as_bytes()).expect("sent");
            // A connection that is closed on what was not read would take the answer with it.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        });
        let interrupts = Interrupts::default();
        let client = Client::new(&address, "secret", &interrupts);
        let heartbeat = every(Duration::from_millis(1), &client, Uuid::nil(), Uuid::nil(), &interrupts);
        assert_eq!(interrupts.wait(Duration::from_secs(60)), Some(Interruption::LeaseLost));
        drop((heartbeat, client));
        server.join().expect("served");
    }
}
