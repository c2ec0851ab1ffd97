//! Answers to many prompts, whole, from the engine that also serves.

use std::collections::HashMap;

use super::{End, Engine, Request, RequestId, Sampled, Verdict};
use crate::generate::Generated;

/// Answers every request and gives each request's answers, in the order of its seeds, to `done` as soon as the last of them
/// ends: with its place among the requests. Requests that can't be answered get empty answers.
///
/// # Errors
/// What `done` or `go_on` give ends the work; `go_on` is asked between two tokens.
pub fn answer_all<E>(
    engine: &mut Engine,
    requests: Vec<Request>,
    mut go_on: impl FnMut() -> Result<(), E>,
    mut done: impl FnMut(usize, Vec<Generated>) -> Result<(), E>,
) -> Result<(), E> {
    let mut open: HashMap<RequestId, Open> = HashMap::new();
    for (place, request) in requests.into_iter().enumerate() {
        let answers = vec![Generated::default(); request.seeds.len()];
        match engine.submit(request) {
            Some(id) => {
                open.insert(id, Open { place, left: answers.len(), answers });
            }
            None => done(place, answers)?,
        }
    }
    while !engine.is_idle() {
        go_on()?;
        let mut ended = vec![];
        engine.step(&mut |sampled| {
            if let Some(request) = open.get_mut(&sampled.request)
                && request.take(&sampled)
            {
                ended.extend(open.remove(&sampled.request));
            }
            Verdict::GoOn
        });
        for request in ended {
            done(request.place, request.answers)?;
        }
    }
    Ok(())
}

/// A request whose answers are not all there.
struct Open {
    place: usize,
    left: usize,
    answers: Vec<Generated>,
}

impl Open {
    /// Notes a token; whether it was the request's last.
    fn take(&mut self, sampled: &Sampled) -> bool {
        let answer = &mut self.answers[sampled.answer];
        answer.tokens.push(sampled.token);
        answer.logprobs.push(sampled.logprob);
        answer.finished = sampled.end == Some(End::StopToken);
        self.left -= usize::from(sampled.end.is_some());
        self.left == 0
    }
}
