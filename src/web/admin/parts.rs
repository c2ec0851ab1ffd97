//! Parts of pages that change while people look at them: sent whole as server-sent events, anew whenever they have changed.

use std::{convert::Infallible, future::Future, time::Duration};

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use tokio::time::Instant;

use crate::web::PageError;

/// Time between two looks at the database.
const LOOK: Duration = Duration::from_secs(2);
/// Of a part that takes long to draw, the time between two looks in times of that: many people may look on.
const TIMES: u32 = 10;
/// A connection ends after this time and the browser comes again: a server that stops does not wait for readers for long, and a part
/// is drawn again though its pulse is the same: leases end, days begin, labels are corrected.
const LONGEST: Duration = Duration::from_secs(20);

/// A part of a page.
pub trait Part: Send + Sync + 'static {
    /// A few numbers that change with what the part shows, and are cheaper to have than the part.
    type Pulse: PartialEq + Send;

    /// Feels it now.
    fn pulse(&self) -> impl Future<Output = sqlx::Result<Self::Pulse>> + Send;

    /// Draws the part as it is now.
    fn draw(&self) -> impl Future<Output = Result<String, PageError>> + Send;
}

/// The part at once, and again whenever it has changed, as events named `part`.
pub fn follow<P: Part>(part: P) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(changes(part)).keep_alive(KeepAlive::default())
}

fn changes<P: Part>(part: P) -> impl Stream<Item = Result<Event, Infallible>> {
    async_stream::stream! {
        let until = Instant::now() + LONGEST;
        let mut seen = None;
        let mut told = String::new();
        let mut took = Duration::ZERO;
        while Instant::now() < until {
            // A database that is away for a moment ends the connection; the browser comes again.
            let Ok(pulse) = part.pulse().await else { break };
            if seen.as_ref() != Some(&pulse) {
                let begun = Instant::now();
                let Ok(html) = part.draw().await else { break };
                took = begun.elapsed();
                seen = Some(pulse);
                if html != told {
                    // The protocol knows no carriage returns.
                    yield Ok(Event::default().event("part").retry(LOOK).data(html.replace('\r', " ")));
                    told = html;
                }
            }
            tokio::time::sleep(LOOK.max(TIMES * took)).await;
        }
    }
}
