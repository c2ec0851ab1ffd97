//! What a job has to tell: metrics, log lines and progress are collected and sent in batches by a thread of their own.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use laurel_records::{JobReport, LogLevel, LogLine, MetricRecord, Progress, SampleRecord, Stage};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    background::Background,
    client::{Client, ClientError},
    interrupts::{Interruption, Interrupts},
};
use crate::{terminal, train::Sample};

/// Time between two reports.
const INTERVAL: Duration = Duration::from_secs(1);
/// Most metrics and most log lines of one report.
const BATCH: usize = 500;
/// Most samples of one report: each may be as long as a conversation.
const SAMPLES: usize = 20;
/// Characters of a log line; what goes beyond is cut.
const LINE: usize = 4000;

/// Collects what a job has to tell; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Reports(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    next_sequence: u64,
    progress: Option<Progress>,
    metrics: Vec<MetricRecord>,
    log: Vec<LogLine>,
    samples: Vec<SampleRecord>,
    /// Log lines are printed too.
    aloud: bool,
}

impl Reports {
    /// `aloud` prints log lines on standard error as well.
    pub fn new(aloud: bool) -> Self {
        Self(Arc::new(Mutex::new(Waiting { aloud, ..Waiting::default() })))
    }

    /// Notes one number of one step; what is not finite is left out.
    pub fn metric(&self, stage: Stage, step: u64, name: &str, value: f64) {
        if value.is_finite() {
            self.lock().metrics.push(MetricRecord { stage, step, name: name.to_owned(), value });
        }
    }

    /// Notes a line for the log.
    pub fn log(&self, level: LogLevel, text: &str) {
        let mut waiting = self.lock();
        if waiting.aloud || level != LogLevel::Info {
            terminal::say(text);
        }
        let sequence = waiting.next_sequence;
        waiting.next_sequence += 1;
        let text = text.chars().take(LINE).collect();
        waiting.log.push(LogLine { sequence, at: OffsetDateTime::now_utc(), level, text });
    }

    /// Notes where the job stands.
    pub fn progress(&self, stage: Stage, step: u64, total: u64) {
        self.lock().progress = Some(Progress { stage, step, total });
    }

    /// Notes the answers of a policy and its reference to the prompts that a stage shows.
    pub fn samples(&self, stage: Stage, step: u64, samples: &[Sample]) {
        let finite = |reward: f64| reward.is_finite().then_some(reward);
        let records = (0..).zip(samples).map(|(position, sample)| SampleRecord {
            stage,
            step,
            position,
            prompt: sample.prompt.clone(),
            policy: sample.policy.clone(),
            policy_reward: finite(sample.policy_reward),
            reference: sample.reference.clone(),
            reference_reward: finite(sample.reference_reward),
        });
        self.lock().samples.extend(records);
    }

    /// The oldest that waits, as one report; `None` when nothing does.
    fn batch(&self, lease: Uuid) -> Option<JobReport> {
        let waiting = self.lock();
        let report = JobReport {
            lease,
            progress: waiting.progress,
            metrics: waiting.metrics.iter().take(BATCH).cloned().collect(),
            log: waiting.log.iter().take(BATCH).cloned().collect(),
            samples: waiting.samples.iter().take(SAMPLES).cloned().collect(),
        };
        let says_something = report.progress.is_some()
            || !report.metrics.is_empty()
            || !report.log.is_empty()
            || !report.samples.is_empty();
        says_something.then_some(report)
    }

    /// Forgets what has arrived.
    fn arrived(&self, report: &JobReport) {
        let mut waiting = self.lock();
        waiting.metrics.drain(..report.metrics.len());
        waiting.log.drain(..report.log.len());
        waiting.samples.drain(..report.samples.len());
        if waiting.progress == report.progress {
            waiting.progress = None;
        }
    }

    /// Sends all that waits; what comes up meanwhile is for the next time. What could not be sent stays for it, too: the server
    /// takes a line or a metric that comes twice as one.
    fn send(&self, client: &Client, job: Uuid, lease: Uuid) -> Result<(), ClientError> {
        while let Some(report) = self.batch(lease) {
            match client.report(job, &report) {
                // Refused once is refused always: it must not stand in the way of what follows.
                Err(error @ ClientError::Refused { .. }) => terminal::say(format!("laurel-trainer: {error}")),
                other => other?,
            }
            self.arrived(&report);
            if !is_full(&report) {
                break;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether more may have waited than this report had room for.
fn is_full(report: &JobReport) -> bool {
    report.metrics.len() == BATCH || report.log.len() == BATCH || report.samples.len() == SAMPLES
}

/// Sends `reports` once a second until the guard is dropped; then what still waits.
pub(super) fn send(client: &Client, job: Uuid, lease: Uuid, reports: &Reports, interrupts: &Interrupts) -> Background {
    let (patient, client) = (client.clone(), client.trying_once());
    let (reports, interrupts) = (reports.clone(), interrupts.clone());
    Background::start(move |end| {
        loop {
            let last = end.has_come_within(INTERVAL);
            let client = if last { &patient } else { &client };
            if let Err(ClientError::LeaseLost) = reports.send(client, job, lease) {
                return interrupts.raise(Interruption::LeaseLost);
            }
            if last {
                return;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Read, Write},
        net::TcpListener,
    };

    use super::*;

    #[test]
    fn what_did_not_arrive_is_sent_again_under_the_same_numbers() {
        let reports = Reports::default();
        let lease = Uuid::nil();
        assert!(reports.batch(lease).is_none());
        for step in 0..=BATCH as u64 {
            reports.metric(Stage::Sft, step, "train/loss", 1.0);
        }
        reports.metric(Stage::Sft, 0, "train/loss", f64::NAN);
        reports.log(LogLevel::Info, "first");
        reports.progress(Stage::Sft, 1, 9);
        let lost = reports.batch(lease).expect("a report");
        reports.log(LogLevel::Info, "second");
        reports.progress(Stage::Sft, 2, 9);
        reports.arrived(&lost);
        let next = reports.batch(lease).expect("a report");
        assert_eq!(next.metrics.iter().map(|metric| metric.step).collect::<Vec<_>>(), [BATCH as u64]);
        assert_eq!(
            next.log.iter().map(|line| (line.sequence, line.text.as_str())).collect::<Vec<_>>(),
            [(1, "second")]
        );
        assert_eq!(next.progress.map(|progress| progress.step), Some(2));
        reports.arrived(&next);
        assert!(reports.batch(lease).is_none());
    }

    #[test]
    fn a_step_that_is_quicker_than_the_server_waits_for_the_next_second() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let reports = Reports::default();
        let news = reports.clone();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            // The report is on its way, and the next step is done.
            news.metric(Stage::Sft, 1, "train/loss", 1.0);
            let mut request = BufReader::new(stream.try_clone().expect("a stream"));
            let (mut line, mut length) = (String::new(), 0);
            while !line.trim().is_empty() || length == 0 {
                line.clear();
                request.read_line(&mut line).expect("a header");
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
            }
            request.read_exact(&mut vec![0; length]).expect("a body");
            stream.write_all(b"HTTP/1.1 204 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").expect("sent");
        });
        reports.metric(Stage::Sft, 0, "train/loss", 1.0);
        let client = Client::new(&address, "secret", &Interrupts::default()).trying_once();
        reports.send(&client, Uuid::nil(), Uuid::nil()).expect("one report");
        server.join().expect("served");
        let waiting = reports.batch(Uuid::nil()).expect("what came up meanwhile");
        assert_eq!(waiting.metrics.iter().map(|metric| metric.step).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn samples_go_in_small_reports_and_a_reward_that_is_no_number_is_left_out() {
        let reports = Reports::default();
        let sample = Sample {
            prompt: Vec::new(),
            policy: "learned".to_owned(),
            policy_reward: f64::NAN,
            reference: "as it was".to_owned(),
            reference_reward: 0.5,
        };
        reports.samples(Stage::Ppo, 3, &vec![sample; SAMPLES + 1]);
        let first = reports.batch(Uuid::nil()).expect("a report");
        assert_eq!(first.samples.len(), SAMPLES);
        assert_eq!((first.samples[0].policy_reward, first.samples[0].reference_reward), (None, Some(0.5)));
        reports.arrived(&first);
        let rest = reports.batch(Uuid::nil()).expect("a report");
        assert_eq!(rest.samples.iter().map(|sample| sample.position).collect::<Vec<_>>(), [SAMPLES as u32]);
        reports.arrived(&rest);
        assert!(reports.batch(Uuid::nil()).is_none());
    }
}
