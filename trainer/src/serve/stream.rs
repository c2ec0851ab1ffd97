//! Answers as server-sent events, while they are written.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{
    Served, Wanted,
    error::ApiError,
    form::{Letter, Usage},
    writer::Answering,
};

/// Events that wait for the connection to take them. What is written beyond waits as text, bounded by the answer's length.
const AHEAD: usize = 16;

/// A stream of the answers' chunks, ended by `data: [DONE]`.
pub fn respond(served: Arc<Served>, wanted: Wanted, answering: Answering, answers: usize, prompt: usize) -> Response {
    let (sender, receiver) = channel(AHEAD);
    let patience = served.limits.patience;
    tokio::spawn(async move {
        let letter = Letter::new(&served, wanted.form, &wanted.asked);
        let reader = Reader { sender, patience };
        // A reader who has left, or takes nothing, ends the answers: `answering` is dropped.
        let _ = feed(&letter, answering, answers, prompt, &reader).await;
    });
    // A comment now and then tells a client that waits for its turn that somebody is there.
    Sse::new(events(receiver)).keep_alive(KeepAlive::default()).into_response()
}

fn events(receiver: Receiver<Event>) -> impl futures_util::Stream<Item = Result<Event, Infallible>> {
    futures_util::stream::unfold(receiver, |mut receiver| async {
        let event = receiver.recv().await?;
        Some((Ok(event), receiver))
    })
}

/// The other end of the connection has gone, or has taken nothing for too long.
#[derive(Debug, PartialEq)]
struct Gone;

struct Reader {
    sender: Sender<Event>,
    patience: Duration,
}

impl Reader {
    async fn send(&self, data: &str) -> Result<(), Gone> {
        let sent = self.sender.send(Event::default().data(data));
        match tokio::time::timeout(self.patience, sent).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }

    async fn send_all(&self, chunks: impl IntoIterator<Item = Value>) -> Result<(), Gone> {
        for chunk in chunks {
            self.send(&chunk.to_string()).await?;
        }
        Ok(())
    }
}

async fn feed(
    letter: &Letter<'_>,
    mut answering: Answering,
    answers: usize,
    prompt: usize,
    reader: &Reader,
) -> Result<(), Gone> {
    reader.send_all(letter.opening(answers)).await?;
    let mut usage = Usage { prompt, completion: 0 };
    loop {
        let next = tokio::select! {
            next = answering.next() => next,
            () = reader.sender.closed() => return Err(Gone),
        };
        match next {
            Ok(Some(told)) => {
                usage.completion += told.tokens;
                reader.send_all(letter.chunks(&told)).await?;
            }
            Ok(None) => break,
            Err(error) => return reader.send(&ApiError::body(&error).to_string()).await,
        }
    }
    reader.send_all(letter.usage(usage)).await?;
    reader.send("[DONE]").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_who_takes_nothing_is_given_up() {
        let (sender, mut receiver) = channel(2);
        let reader = Reader { sender, patience: Duration::from_millis(20) };
        let endless = std::iter::repeat_with(|| Value::Null);
        assert_eq!(reader.send_all(endless).await, Err(Gone));
        assert!(receiver.recv().await.is_some(), "what was sent before is there");
    }

    #[tokio::test]
    async fn a_reader_who_has_left_is_noticed() {
        let (sender, receiver) = channel(2);
        let reader = Reader { sender, patience: Duration::from_secs(3600) };
        drop(receiver);
        assert_eq!(reader.send("x").await, Err(Gone));
    }
}
