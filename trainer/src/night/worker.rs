//! The worker: claims a job, keeps its lease alive while it works, and tells the server how it ended.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, bail};
use burn::tensor::Device;
use laurel_records::{ClaimedJob, FinishRequest, JobKind, JobOutcome, LogLevel};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    client::{Client, ClientError},
    heartbeat,
    interrupts::{Interruption, Interrupts},
    models::ModelStore,
    nightly,
    reports::{self, Reports},
    sample,
    settings::JobSettings,
    stages,
    work::Work,
};
use crate::terminal;

/// Pause between two questions for work while nothing waits.
const IDLE: Duration = Duration::from_secs(3);
/// Age at which what is left of a job that did not end here is removed.
const FORGOTTEN: Duration = Duration::from_secs(7 * 24 * 3600);
/// Characters of an error that the dashboard gets.
const ERROR: usize = 2000;

/// Opens the device that a job's settings name.
pub type OpenDevice<'a> = &'a dyn Fn(&str) -> anyhow::Result<Device>;

/// How a worker works.
pub struct WorkerSettings<'a> {
    /// As the dashboard shows it.
    pub name: String,
    /// Models, records and checkpoints; one worker at a time uses it.
    pub work_dir: PathBuf,
    pub device: OpenDevice<'a>,
    /// Nothing on the terminal but errors.
    pub quiet: bool,
}

/// How a job ended, as its worker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worked {
    /// No job waits.
    Nothing,
    Done,
    Failed,
    Cancelled,
    /// The job is another worker's now, or will be when its lease ends.
    GivenUp,
}

/// What a job that went well has found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub summary: Map<String, Value>,
    /// The rule “better on the held-out split”; `None` where it can't be said.
    pub policy_is_better: Option<bool>,
}

/// A worker with its work directory locked.
pub struct Worker<'a> {
    client: Client,
    interrupts: Interrupts,
    settings: WorkerSettings<'a>,
    models: ModelStore,
    _lock: fs::File,
}

impl<'a> Worker<'a> {
    /// Takes the work directory. Fails when another worker has it.
    pub fn new(client: Client, interrupts: Interrupts, settings: WorkerSettings<'a>) -> anyhow::Result<Self> {
        let shown = settings.work_dir.display();
        let jobs = settings.work_dir.join("jobs");
        fs::create_dir_all(jobs).with_context(|| format!("the work directory {shown} can't be made"))?;
        let lock = fs::File::create(settings.work_dir.join("worker.lock"))
            .with_context(|| format!("the work directory {shown} can't be written to"))?;
        if lock.try_lock().is_err() {
            bail!("another worker uses the work directory {shown}; give this one its own with --work-dir");
        }
        let models = ModelStore::new(&client, settings.work_dir.join("models"));
        Ok(Self { client, interrupts, settings, models, _lock: lock })
    }

    /// Works until the process is asked to end. A server that can't be reached is waited for; a job that could not be
    /// brought to an end goes back when its lease ends.
    pub fn run(&self) -> anyhow::Result<()> {
        let mut waiting = false;
        while !self.interrupts.is_ending() {
            match self.once() {
                Ok(Worked::Nothing) => {}
                Ok(_) => {
                    waiting = false;
                    continue;
                }
                Err(error) if is_for_good(&error) => return Err(error),
                Err(error) => terminal::say(format!("laurel-trainer: {error:#}")),
            }
            if !waiting {
                self.say("Waiting for jobs.");
            }
            waiting = true;
            self.interrupts.wait(IDLE);
        }
        Ok(())
    }

    /// Does one job, if one waits.
    pub fn once(&self) -> anyhow::Result<Worked> {
        self.interrupts.begin_job();
        let Some(job) = self.client.claim(&self.settings.name)? else { return Ok(Worked::Nothing) };
        let kind = match job.kind {
            JobKind::Nightly => "training run",
            JobKind::Sample => "new answers",
        };
        self.say(&format!("{}: {kind} ({})", job.project, job.id));
        let folder = self.jobs().join(job.id.to_string());
        let reports = Reports::new(!self.settings.quiet);
        let heartbeat = heartbeat::start(&self.client, job.id, job.lease, &self.interrupts);
        let sending = reports::send(&self.client, job.id, job.lease, &reports, &self.interrupts);
        let result = self.work(&job, &reports, folder.clone());
        let end = self.end_of(&job, result, &reports);
        // What was told arrives before the job ends: afterwards nobody listens.
        drop(sending);
        let worked = self.finish(&job, end)?;
        drop(heartbeat);
        if worked != Worked::GivenUp && folder.is_dir() {
            fs::remove_dir_all(&folder).with_context(|| format!("{} can't be removed", folder.display()))?;
        }
        self.models.prune()?;
        Ok(worked)
    }

    fn jobs(&self) -> PathBuf {
        self.settings.work_dir.join("jobs")
    }

    /// Removes what is left here of other jobs that have ended, elsewhere or by “stop”, and of those that nobody took up for long:
    /// checkpoints are large, and this job needs the room.
    fn tidy(&self, job: &ClaimedJob) -> anyhow::Result<()> {
        let client = self.client.trying_once();
        for entry in fs::read_dir(self.jobs())? {
            let entry = entry?;
            let found = entry.metadata()?;
            let id = entry.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok());
            let Some(other) = id.filter(|id| *id != job.id && found.is_dir()) else { continue };
            let is_forgotten = found.modified()?.elapsed().is_ok_and(|age| age > FORGOTTEN);
            if is_forgotten || client.has_ended(other).unwrap_or(false) {
                let path = entry.path();
                fs::remove_dir_all(&path).with_context(|| format!("{} can't be removed", path.display()))?;
            }
        }
        Ok(())
    }

    fn work(&self, job: &ClaimedJob, reports: &Reports, folder: PathBuf) -> anyhow::Result<Found> {
        // Here, where a full disk is told to whoever waits for the job: else one job after the other would be claimed and let lie.
        fs::create_dir_all(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
        if let Err(error) = self.tidy(job) {
            reports.log(LogLevel::Warning, &format!("What is left of other jobs stays on the disk: {error:#}"));
        }
        let settings = JobSettings::read(&job.config)?;
        let device = (self.settings.device)(&settings.device)?;
        stages::check_precision(&settings, &device)?;
        let work = Work {
            job,
            client: &self.client,
            models: &self.models,
            reports: reports.clone(),
            interrupts: &self.interrupts,
            device,
            settings,
            folder,
        };
        if job.attempt > 0 {
            work.log(format!("Attempt {}: an earlier worker did not come to the end.", job.attempt + 1));
        }
        let run = || match job.kind {
            JobKind::Nightly => nightly::run(&work),
            JobKind::Sample => sample::run(&work),
        };
        // A fault of ours must not end the worker, and must be told to whoever waits for the job.
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
            bail!("the trainer met a fault of its own; what the worker printed says where. Please report it.")
        })
    }

    /// What the server is told; `None` when it is told nothing: the job is not ours, or is to go on elsewhere.
    fn end_of(&self, job: &ClaimedJob, result: anyhow::Result<Found>, reports: &Reports) -> Option<FinishRequest> {
        let mut request = FinishRequest {
            lease: job.lease,
            outcome: JobOutcome::Done,
            error: None,
            summary: Map::new(),
            policy_is_better: None,
        };
        let error = match (result, self.interrupts.raised()) {
            (_, Some(Interruption::LeaseLost)) => {
                terminal::say("laurel-trainer: the job is not this worker's any more; its work is dropped");
                return None;
            }
            (Ok(found), _) => {
                request.summary = found.summary;
                request.policy_is_better = found.policy_is_better;
                return Some(request);
            }
            (Err(_), Some(Interruption::Ending)) => {
                reports.log(LogLevel::Warning, "The worker was stopped; the job goes on when its lease has ended.");
                return None;
            }
            (Err(_), Some(Interruption::Cancelled)) => {
                reports.log(LogLevel::Info, "Stopped on request.");
                request.outcome = JobOutcome::Cancelled;
                return Some(request);
            }
            (Err(error), None) => error,
        };
        if is_unreachable(&error) {
            terminal::say(format!("laurel-trainer: {error:#}; the job goes on when its lease has ended"));
            return None;
        }
        let text = format!("{error:#}");
        reports.log(LogLevel::Error, &text);
        request.outcome = JobOutcome::Failed;
        request.error = Some(text.chars().take(ERROR).collect());
        Some(request)
    }

    fn finish(&self, job: &ClaimedJob, end: Option<FinishRequest>) -> anyhow::Result<Worked> {
        let Some(request) = end else { return Ok(Worked::GivenUp) };
        match self.client.finish(job.id, &request) {
            Ok(()) => {}
            Err(error) if error.has_lost_job() => return Ok(Worked::GivenUp),
            Err(error) => return Err(error.into()),
        }
        Ok(match request.outcome {
            JobOutcome::Done => Worked::Done,
            JobOutcome::Failed => Worked::Failed,
            JobOutcome::Cancelled => Worked::Cancelled,
        })
    }

    fn say(&self, text: &str) {
        if !self.settings.quiet {
            terminal::say(text);
        }
    }
}

/// Whether every other job would meet the same: the token or the address is wrong.
fn is_for_good(error: &anyhow::Error) -> bool {
    let refused = |error: &ClientError| match error {
        ClientError::Refused { status, .. } => matches!(*status, 300..400 | 404),
        other => other.is_of_token(),
    };
    error.downcast_ref().is_some_and(refused)
}

fn is_unreachable(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ClientError::Unreachable { .. }))
}
