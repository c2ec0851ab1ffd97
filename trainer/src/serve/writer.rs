//! The thread that owns the model: takes requests up between two tokens, and tells each asker what was written.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

use tokio::sync::{
    OwnedSemaphorePermit, Semaphore,
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot,
};

use super::{
    Limits,
    error::ApiError,
    transcript::{Piece, Transcript},
};
use crate::{
    data::{ModelTokenizer, TextStream},
    generate::{Engine, NO_LAW, Request, RequestId, Sampled, Verdict},
    terminal,
};

/// Hands requests to the thread that answers them.
#[derive(Debug)]
pub struct Writer {
    jobs: Sender<Job>,
    /// One for each answer that is written, waits, or is not fetched yet: what bounds memory.
    places: Arc<Semaphore>,
    limit: usize,
    counts: Arc<Counts>,
}

/// What the thread is at, for whoever looks.
#[derive(Debug, Default)]
pub struct Counts {
    pub running: AtomicUsize,
    pub waiting: AtomicUsize,
    pub answers: AtomicUsize,
    pub tokens: AtomicUsize,
}

/// A piece of one of the answers that somebody asked for.
#[derive(Debug)]
pub struct Told {
    /// Which answer, counted over all prompts.
    pub answer: usize,
    /// Tokens that were written since the last piece of this answer.
    pub tokens: usize,
    pub piece: Piece,
}

/// Answers that are being written. Dropping it ends them.
#[derive(Debug)]
pub struct Answering {
    told: UnboundedReceiver<Told>,
    /// Answers whose end was not told yet.
    left: usize,
    _places: OwnedSemaphorePermit,
}

impl Answering {
    /// The next piece; `None` after the last. No more than a model's context of pieces an answer can wait here.
    ///
    /// # Errors
    /// The model has failed.
    pub async fn next(&mut self) -> Result<Option<Told>, ApiError> {
        if self.left == 0 {
            return Ok(None);
        }
        let told = self.told.recv().await.ok_or_else(ApiError::broken)?;
        self.left -= usize::from(told.piece.finish.is_some());
        Ok(Some(told))
    }
}

/// Requests of one asker.
#[derive(Debug)]
struct Job {
    requests: Vec<Request>,
    /// The answers go on with the texts that are the prompts.
    goes_on: bool,
    stops: Arc<[String]>,
    teller: UnboundedSender<Told>,
}

impl Writer {
    /// Starts the thread. It ends when the writer is dropped and everything is answered; the receiver then hears `Ok`, or an
    /// error when the thread has failed.
    pub fn start(
        engine: Engine,
        tokenizer: Arc<ModelTokenizer>,
        limits: &Limits,
    ) -> std::io::Result<(Self, oneshot::Receiver<()>)> {
        let (jobs, receiver) = channel();
        let counts = Arc::new(Counts::default());
        let (ended, when_ended) = oneshot::channel();
        let desk = Desk { engine, tokenizer, open: HashMap::new(), counts: counts.clone() };
        std::thread::Builder::new().name("writer".into()).spawn(move || {
            desk.run(&receiver);
            // Nobody need be waiting for it any more.
            let _ = ended.send(());
        })?;
        let limit = limits.rows + limits.queue;
        Ok((Self { jobs, places: Arc::new(Semaphore::new(limit)), limit, counts }, when_ended))
    }

    /// Takes requests up, or refuses them when too many wait. Every request must fit the engine. `goes_on`: an answer goes on with
    /// the text of its prompt, else it is a text of its own.
    pub fn ask(&self, requests: Vec<Request>, stops: &[String], goes_on: bool) -> Result<Answering, ApiError> {
        let answers: usize = requests.iter().map(|request| request.seeds.len()).sum();
        if answers > self.limit {
            let message = format!("{answers} answers at once are more than this server takes ({})", self.limit);
            return Err(ApiError::invalid("prompt", message));
        }
        let wanted = u32::try_from(answers).map_err(|_| ApiError::busy())?;
        let places = self.places.clone().try_acquire_many_owned(wanted).map_err(|_| ApiError::busy())?;
        let (teller, told) = unbounded_channel();
        self.jobs.send(Job { requests, goes_on, stops: stops.into(), teller }).map_err(|_| ApiError::broken())?;
        Ok(Answering { told, left: answers, _places: places })
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Waits until nothing is written, waits, or is to be fetched, nor is any more after `quiet`: a request that was on its way here
    /// may have become an answer meanwhile.
    pub async fn all_fetched(&self, quiet: Duration) {
        let all = u32::try_from(self.limit).unwrap_or(u32::MAX);
        loop {
            // The semaphore is never closed.
            let _ = self.places.acquire_many(all).await;
            tokio::time::sleep(quiet).await;
            if self.places.available_permits() >= self.limit {
                return;
            }
        }
    }
}

/// What the thread holds.
struct Desk {
    engine: Engine,
    tokenizer: Arc<ModelTokenizer>,
    open: HashMap<RequestId, Open>,
    counts: Arc<Counts>,
}

/// A request of the engine's, and who asked.
struct Open {
    /// The place of its first answer among those of its job.
    first: usize,
    answers: Vec<OpenAnswer>,
    /// Answers that have not ended.
    left: usize,
    teller: UnboundedSender<Told>,
}

struct OpenAnswer {
    transcript: Transcript,
    /// Tokens since the last piece that was told.
    tokens: usize,
}

impl Desk {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            if self.engine.is_idle() {
                match jobs.recv() {
                    Ok(job) => self.take_up(job),
                    Err(_) => return,
                }
            }
            while let Ok(job) = jobs.try_recv() {
                self.take_up(job);
            }
            self.forget_those_who_left();
            // On a worker: its products then begin at once instead of with the waking of one each.
            rayon::scope(|_| self.step());
            self.counts.running.store(self.engine.running(), Ordering::Relaxed);
            self.counts.waiting.store(self.engine.waiting(), Ordering::Relaxed);
        }
    }

    fn take_up(&mut self, job: Job) {
        let mut first = 0;
        for request in job.requests {
            let answers = request.seeds.len();
            let before = if job.goes_on { request.prompt.as_slice() } else { &[] };
            let stream = TextStream::after(&self.tokenizer, before);
            let transcript =
                || OpenAnswer { transcript: Transcript::new(job.stops.clone(), stream.clone()), tokens: 0 };
            let open = Open {
                first,
                answers: (0..answers).map(|_| transcript()).collect(),
                left: answers,
                teller: job.teller.clone(),
            };
            first += answers;
            // A request that does not fit was refused before; its asker hears that the line has closed.
            if let Some(id) = self.engine.submit(request) {
                self.open.insert(id, open);
            }
        }
    }

    fn forget_those_who_left(&mut self) {
        let engine = &mut self.engine;
        self.open.retain(|&id, open| {
            let stays = !open.teller.is_closed();
            if !stays {
                engine.cancel(id);
            }
            stays
        });
    }

    fn step(&mut self) {
        let (open, tokenizer, counts) = (&mut self.open, &self.tokenizer, &self.counts);
        self.engine.step(&mut |sampled| {
            let id = sampled.request;
            if sampled.logprob.is_nan() {
                // Whoever waits for it hears that the server has failed.
                if open.remove(&id).is_some() {
                    terminal::say(format!("laurel-trainer: {NO_LAW}"));
                }
                return Verdict::Leave;
            }
            let Some(request) = open.get_mut(&id) else { return Verdict::Leave };
            counts.tokens.fetch_add(1, Ordering::Relaxed);
            let verdict = request.tell(sampled, tokenizer);
            if verdict == Verdict::Leave {
                counts.answers.fetch_add(1, Ordering::Relaxed);
                request.left -= 1;
                if request.left == 0 {
                    open.remove(&id);
                }
            }
            verdict
        });
    }
}

impl Open {
    /// Tells the asker of a token; `Leave` when the answer has ended, or nobody listens.
    fn tell(&mut self, sampled: Sampled, tokenizer: &ModelTokenizer) -> Verdict {
        let answer = &mut self.answers[sampled.answer];
        answer.tokens += 1;
        let piece = answer.transcript.take(tokenizer, sampled.token, sampled.of_model, sampled.end);
        let has_ended = piece.finish.is_some();
        let hears = if piece.is_empty() {
            !self.teller.is_closed()
        } else {
            let tokens = std::mem::take(&mut answer.tokens);
            self.teller.send(Told { answer: self.first + sampled.answer, tokens, piece }).is_ok()
        };
        if has_ended || !hears { Verdict::Leave } else { Verdict::GoOn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::SamplingSettings;

    #[tokio::test]
    async fn an_answer_that_is_asked_for_at_the_last_moment_is_waited_for() {
        let quiet = Duration::from_millis(100);
        let (jobs, _line) = channel();
        let writer = Writer { jobs, places: Arc::new(Semaphore::new(2)), limit: 2, counts: Arc::default() };
        let end = writer.all_fetched(quiet);
        let mut end = std::pin::pin!(end);
        // It finds nothing under way.
        assert!(tokio::time::timeout(Duration::ZERO, &mut end).await.is_err());
        let request = Request::new(vec![1], SamplingSettings::default(), vec![0]);
        let answering = writer.ask(vec![request], &[], false).unwrap();
        assert!(tokio::time::timeout(5 * quiet, &mut end).await.is_err(), "it would be cut in the middle");
        drop(answering);
        end.await;
    }
}
