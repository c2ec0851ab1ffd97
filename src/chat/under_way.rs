//! Answers that are being written now: each turn's once, followed by everybody who asks for them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{Stream, StreamExt, stream};
use tokio::sync::watch;
use uuid::Uuid;

use super::ChatFailure;

/// A turn of a conversation.
pub type TurnKey = (Uuid, i32);

/// How the writing of a turn's answers ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// All are kept.
    Kept,
    Failed(ChatFailure),
    /// They could not be kept, or the writing broke down.
    Lost,
}

/// What is written of a turn so far.
#[derive(Debug, Clone, Default)]
struct Written {
    answers: Vec<String>,
    end: Option<End>,
}

/// What happens while answers are written.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// More of an answer, by its place.
    More(usize, String),
    End(End),
}

/// The turns whose answers are being written. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct UnderWay(Arc<Mutex<HashMap<TurnKey, watch::Receiver<Written>>>>);

impl UnderWay {
    /// What is written of a turn, from its beginning, as it comes; with the right to write it, where nobody is at it.
    pub fn join(&self, turn: TurnKey, answers: usize) -> (Option<Writer>, impl Stream<Item = Progress> + Send + use<>) {
        let mut turns = self.turns();
        let (writer, mut written) = match turns.get(&turn) {
            Some(written) => (None, written.clone()),
            None => {
                let (sender, written) = watch::channel(Written { answers: vec![String::new(); answers], end: None });
                turns.insert(turn, written.clone());
                (Some(Writer { turn, sender, under_way: self.clone() }), written)
            }
        };
        written.mark_changed();
        let reader = Reader { written, told: Vec::new(), over: false };
        (writer, stream::unfold(reader, Reader::next).flat_map(stream::iter))
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<TurnKey, watch::Receiver<Written>>> {
        // The map is whole whatever a thread that held it was doing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who reads a turn's answers as they are written.
struct Reader {
    written: watch::Receiver<Written>,
    /// Bytes of each answer that have been told.
    told: Vec<usize>,
    over: bool,
}

impl Reader {
    /// What is new, once something is.
    async fn next(mut self) -> Option<(Vec<Progress>, Self)> {
        if self.over {
            return None;
        }
        if self.written.changed().await.is_err() {
            // Whoever wrote is gone without a word.
            self.over = true;
            return Some((vec![Progress::End(End::Lost)], self));
        }
        let mut news = Vec::new();
        {
            let written = self.written.borrow_and_update();
            self.told.resize(written.answers.len(), 0);
            for (place, (answer, told)) in written.answers.iter().zip(&mut self.told).enumerate() {
                if let Some(more) = answer.get(*told..).filter(|more| !more.is_empty()) {
                    news.push(Progress::More(place, more.to_owned()));
                }
                *told = answer.len();
            }
            if let Some(end) = &written.end {
                news.push(Progress::End(end.clone()));
                self.over = true;
            }
        }
        Some((news, self))
    }
}

/// Whoever writes a turn's answers, each perhaps from a thread of its own.
#[derive(Debug)]
pub struct Writer {
    turn: TurnKey,
    sender: watch::Sender<Written>,
    under_way: UnderWay,
}

impl Writer {
    /// More of an answer; `false` where the writing has ended, and the rest is for nobody.
    pub fn more(&self, place: usize, text: &str) -> bool {
        self.sender.send_if_modified(|written| match (&written.end, written.answers.get_mut(place)) {
            (None, Some(answer)) => {
                answer.push_str(text);
                true
            }
            _ => false,
        })
    }

    /// Ends the writing, and says how. The turn may be written again.
    pub fn end(&self, end: End) {
        self.under_way.turns().remove(&self.turn);
        self.sender.send_modify(|written| written.end = Some(end));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let ended = self.sender.borrow().end.is_some();
        // Once it has ended, the turn may be another's.
        if !ended {
            self.under_way.turns().remove(&self.turn);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: TurnKey = (Uuid::nil(), 0);

    #[tokio::test]
    async fn a_turn_is_written_once_and_everybody_reads_it_from_its_beginning() {
        let under_way = UnderWay::default();
        let writer = under_way.join(TURN, 2).0.expect("nobody is at it");
        writer.more(0, "你");
        writer.more(1, "a");
        let (second, late) = under_way.join(TURN, 2);
        assert!(second.is_none(), "written twice");
        assert!(under_way.join((TURN.0, 1), 2).0.is_some(), "another turn is another matter");
        writer.more(0, "好");
        writer.end(End::Kept);
        assert!(!writer.more(0, "!"), "it has ended");
        let late: Vec<Progress> = late.collect().await;
        let text = |place: usize| -> String {
            let pieces = late.iter().filter_map(|step| match step {
                Progress::More(of, text) if *of == place => Some(text.as_str()),
                _ => None,
            });
            pieces.collect()
        };
        assert_eq!((text(0).as_str(), text(1).as_str()), ("你好", "a"));
        assert_eq!(late.last(), Some(&Progress::End(End::Kept)));
        let again = under_way.join(TURN, 2).0.expect("it is over");
        drop(writer);
        assert!(under_way.join(TURN, 2).0.is_none(), "the first took the place of the second with it");
        drop(again);
    }

    #[tokio::test]
    async fn readers_of_a_writing_that_broke_down_are_told() {
        let under_way = UnderWay::default();
        let (writer, reader) = under_way.join(TURN, 2);
        drop(writer.expect("nobody is at it"));
        let steps: Vec<Progress> = reader.collect().await;
        assert_eq!(steps, [Progress::End(End::Lost)]);
        assert!(under_way.join(TURN, 2).0.is_some());
    }
}
