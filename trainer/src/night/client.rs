//! The server as a worker sees it: one method a call of `/api/v1`. Lost connections and a server in trouble are tried
//! again; every call may be made twice and changes nothing the second time.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use laurel_records::{
    ApiError, ClaimRequest, ClaimedJob, FinishRequest, HeartbeatAnswer, JobReport, Lease, ModelFile, ModelRecord,
    PromptRecord, PromptScores, PromptScoresAnswer, RegisterModel, ResponsesAnswer, ResponsesRecord,
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use ureq::{Agent, Body, RequestBuilder, http::Response};
use uuid::Uuid;

use super::interrupts::{Interruption, Interrupts};

/// Time after which a silent connection counts as lost.
const SILENCE: Duration = Duration::from_secs(60);
/// First and longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How long a worker goes on trying after the first failure: a server that is being updated is back by then.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Most bytes of an answer that is read into memory.
const ANSWER_LIMIT: u64 = 64 << 20;

/// Why a call failed for good.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "{server} refuses the token ({message}); make one with `laurel token add --name NAME --role trainer` and write it to the token file"
    )]
    RefusedToken { server: String, message: String },
    #[error("the token may not do this ({message}); a worker needs a token of the role trainer")]
    NotAllowed { message: String },
    #[error("the job is not this worker's any more: its lease has ended")]
    LeaseLost,
    #[error("{server} can't be reached: {reason}")]
    Unreachable { server: String, reason: String },
    #[error("the server refuses {what}: {message}")]
    Refused { what: String, status: u16, code: String, message: String },
    #[error("what the server answers to {what} can't be understood: {reason}")]
    Malformed { what: String, reason: String },
    #[error("{path}: {error}")]
    File { path: String, error: io::Error },
}

impl ClientError {
    /// Whether a call about a job was refused because it is not this worker's any more: another has it, or the server knows it no
    /// longer, as after an older backup was brought back. A 404 without the server's own word for it may be a proxy's.
    pub fn has_lost_job(&self) -> bool {
        match self {
            Self::LeaseLost => true,
            Self::Refused { status: 404, code, .. } => code == "not_found",
            _ => false,
        }
    }

    /// Whether the token does not serve, or no longer: every other call will be refused too.
    pub fn is_of_token(&self) -> bool {
        matches!(self, Self::RefusedToken { .. } | Self::NotAllowed { .. })
    }
}

/// A failed try.
enum Failed {
    /// Another try may do.
    ForNow(String),
    ForGood(ClientError),
}

impl From<ureq::Error> for Failed {
    fn from(error: ureq::Error) -> Self {
        Failed::ForNow(match error {
            ureq::Error::Io(error) => error.to_string(),
            ureq::Error::HostNotFound => "no such host".to_owned(),
            other => other.to_string(),
        })
    }
}

/// Calls of one worker; clones share connections.
#[derive(Debug, Clone)]
pub struct Client {
    agent: Agent,
    server: String,
    authorization: String,
    patience: Duration,
    interrupts: Interrupts,
    /// Whether a Laurel server has answered at this address: then what a proxy says in its place is no refusal.
    is_known: Arc<AtomicBool>,
}

impl Client {
    /// A client of the server at `server` (`https://laurel.example.org`). Waits are cut short by `interrupts`.
    pub fn new(server: &str, token: &str, interrupts: &Interrupts) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .user_agent(concat!("laurel-trainer/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self {
            agent,
            server: server.trim_end_matches('/').to_owned(),
            authorization: format!("Bearer {token}"),
            patience: PATIENCE,
            interrupts: interrupts.clone(),
            is_known: Arc::default(),
        }
    }

    /// The same, with one try a call: for calls that come again by themselves.
    pub fn trying_once(&self) -> Self {
        Self { patience: Duration::ZERO, ..self.clone() }
    }

    /// The next job; `None` when nothing waits.
    pub fn claim(&self, worker: &str) -> Result<Option<ClaimedJob>, ClientError> {
        let request = ClaimRequest { worker: worker.to_owned() };
        self.tries("the claim of a job", || {
            let mut answer = self.post_json("jobs/claim", &request)?;
            if answer.status().as_u16() == 204 { Ok(None) } else { json(&mut answer, "the claim").map(Some) }
        })
    }

    /// Renews the lease.
    pub fn heartbeat(&self, job: Uuid, lease: Uuid) -> Result<HeartbeatAnswer, ClientError> {
        self.call("the sign of life", &format!("jobs/{job}/heartbeat"), &Lease { lease })
    }

    /// Whether a job has come to its end, here or elsewhere.
    pub fn has_ended(&self, job: Uuid) -> Result<bool, ClientError> {
        let (what, url) = ("how a job ended", self.url(&format!("jobs/{job}")));
        let job: serde_json::Value = self.tries(what, || {
            let mut answer = self.checked(self.authorized(self.agent.get(&url)).call()?)?;
            json(&mut answer, what)
        })?;
        Ok(matches!(job["state"].as_str(), Some("done" | "failed" | "cancelled")))
    }

    /// Brings metrics, log lines and progress.
    pub fn report(&self, job: Uuid, report: &JobReport) -> Result<(), ClientError> {
        self.tries("the report", || self.post_json(&format!("jobs/{job}/report"), report).map(drop))
    }

    /// Ends the job.
    pub fn finish(&self, job: Uuid, request: &FinishRequest) -> Result<(), ClientError> {
        self.tries("the end of the job", || self.post_json(&format!("jobs/{job}/finish"), request).map(drop))
    }

    /// Announces a model; the record of the first announcement where it was announced before.
    pub fn register(&self, job: Uuid, model: &RegisterModel) -> Result<ModelRecord, ClientError> {
        self.call("the model", &format!("jobs/{job}/models"), model)
    }

    /// Uploads one file of a model.
    pub fn put_file(&self, model: Uuid, name: &str, path: &Path) -> Result<(), ClientError> {
        of_file(model, name, |place| {
            let url = self.url(place);
            self.tries(&format!("the file {name}"), || {
                let file = File::open(path).map_err(|error| Failed::ForGood(at(path, error)))?;
                let request = self.authorized(self.agent.put(&url)).header("content-type", "application/octet-stream");
                self.checked(request.send(&file)?).map(drop)
            })
        })
    }

    /// Says that every file of a model is there.
    pub fn complete(&self, model: Uuid, lease: Uuid) -> Result<ModelRecord, ClientError> {
        self.call("the completed model", &format!("models/{model}/complete"), &Lease { lease })
    }

    /// Downloads one file of a model to `path`; it appears whole, with the digest that the record says.
    pub fn get_file(&self, model: Uuid, file: &ModelFile, path: &Path) -> Result<(), ClientError> {
        of_file(model, &file.name, |place| self.download(place, path, Some(&file.sha256)))
    }

    /// Downloads the records of a project to `path` as JSON lines. `kind`: `prompts`, `demonstrations`, `rankings`.
    pub fn export(&self, project: &str, kind: &str, split: &str, path: &Path) -> Result<(), ClientError> {
        self.download(&format!("projects/{project}/export/{kind}?format=jsonl&split={split}"), path, None)
    }

    /// The prompts that a sampling job still has to answer.
    pub fn prompts_to_answer(&self, job: Uuid) -> Result<Vec<PromptRecord>, ClientError> {
        self.lines("the prompts to answer", &format!("jobs/{job}/prompts"))
    }

    /// Records, a line each.
    fn lines<T: DeserializeOwned>(&self, what: &str, path: &str) -> Result<Vec<T>, ClientError> {
        let url = self.url(path);
        self.tries(what, || {
            let mut answer = self.checked(self.authorized(self.agent.get(&url)).call()?)?;
            let text = answer.body_mut().with_config().limit(u64::MAX).read_to_string()?;
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            lines.map(|line| serde_json::from_str(line).map_err(|error| malformed(what, &error))).collect()
        })
    }

    /// The project's prompts whose answers wait to be ranked, with those answers, the newest first.
    pub fn waiting_answers(&self, job: Uuid) -> Result<Vec<ResponsesRecord>, ClientError> {
        self.lines("the answers that wait", &format!("jobs/{job}/waiting"))
    }

    /// Tells how unsure a reward model is of prompts.
    pub fn prompt_scores(&self, project: &str, scores: &PromptScores) -> Result<PromptScoresAnswer, ClientError> {
        self.call("how unsure the reward model is", &format!("projects/{project}/prompt-scores"), scores)
    }

    /// Stores sampled answers; a prompt that has its answers of this job keeps them.
    pub fn responses(
        &self,
        job: Uuid,
        lease: Uuid,
        records: &[ResponsesRecord],
    ) -> Result<ResponsesAnswer, ClientError> {
        let url = self.url(&format!("jobs/{job}/responses?lease={lease}"));
        let body: String =
            records.iter().map(|record| serde_json::to_string(record).unwrap_or_default() + "\n").collect();
        self.tries("the answers", || {
            let request = self.authorized(self.agent.post(&url)).header("content-type", "application/jsonl");
            json(&mut self.checked(request.send(&body)?)?, "the answers")
        })
    }

    fn call<T: DeserializeOwned>(&self, what: &str, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        self.tries(what, || json(&mut self.post_json(path, body)?, what))
    }

    fn post_json(&self, path: &str, body: &impl Serialize) -> Result<Response<Body>, Failed> {
        self.checked(self.authorized(self.agent.post(self.url(path))).send_json(body)?)
    }

    fn download(&self, place: &str, path: &Path, digest: Option<&str>) -> Result<(), ClientError> {
        let url = self.url(place);
        self.tries(&format!("the download of {place}"), || {
            let answer = self.checked(self.authorized(self.agent.get(&url)).call()?)?;
            write_whole(answer.into_body().into_with_config().limit(u64::MAX).reader(), path, digest)
        })
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.server)
    }

    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        request.header("authorization", &self.authorization)
    }

    /// The answer if it is a good one.
    fn checked(&self, mut answer: Response<Body>) -> Result<Response<Body>, Failed> {
        let status = answer.status().as_u16();
        if answer.status().is_success() {
            self.is_known.store(true, Ordering::Relaxed);
            return Ok(answer);
        }
        let text = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_string().unwrap_or_default();
        let said = match serde_json::from_str::<ApiError>(&text) {
            Ok(said) => {
                self.is_known.store(true, Ordering::Relaxed);
                said
            }
            Err(_) => ApiError { code: String::new(), message: without_a_reason(status), details: vec![] },
        };
        let message = [vec![said.message], said.details].concat().join("; ");
        Err(match status {
            // Some proxies say so, or send on to a page, while the server behind them is started anew.
            300..=399 | 401 | 403 | 404 if said.code.is_empty() && self.is_known.load(Ordering::Relaxed) => {
                Failed::ForNow(message)
            }
            408 | 429 | 500.. => Failed::ForNow(format!("the server is in trouble ({status}): {message}")),
            401 => Failed::ForGood(ClientError::RefusedToken { server: self.server.clone(), message }),
            403 => Failed::ForGood(ClientError::NotAllowed { message }),
            409 if said.code == "lease_lost" => Failed::ForGood(ClientError::LeaseLost),
            _ => Failed::ForGood(ClientError::Refused { what: String::new(), status, code: said.code, message }),
        })
    }

    /// Tries until it works, is refused, or patience ends.
    fn tries<T>(&self, what: &str, mut call: impl FnMut() -> Result<T, Failed>) -> Result<T, ClientError> {
        // From the first failure on: what breaks off after half an hour, as large files do, is tried again too.
        let mut until = None;
        let mut pause = PAUSES.0;
        loop {
            let reason = match call() {
                Ok(value) => return Ok(value),
                Err(Failed::ForGood(ClientError::Refused { status, code, message, .. })) => {
                    return Err(ClientError::Refused { what: what.to_owned(), status, code, message });
                }
                Err(Failed::ForGood(error)) => return Err(error),
                Err(Failed::ForNow(reason)) => reason,
            };
            let unreachable = ClientError::Unreachable { server: self.server.clone(), reason };
            let until = *until.get_or_insert_with(|| Instant::now() + self.patience);
            if Instant::now() + pause > until {
                return Err(unreachable);
            }
            match self.interrupts.wait(pause) {
                Some(Interruption::LeaseLost) => return Err(ClientError::LeaseLost),
                Some(Interruption::Ending) => return Err(unreachable),
                // The end of a cancelled job has to reach the server all the same.
                Some(Interruption::Cancelled) => std::thread::sleep(pause),
                None => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

/// Calls for a file of a model where it lies. Its name may have a folder, whose slash stands as it is: some proxies refuse one that
/// is escaped. A server of before that was so has no such address, and knows the file by one name.
fn of_file<T>(model: Uuid, name: &str, call: impl Fn(&str) -> Result<T, ClientError>) -> Result<T, ClientError> {
    let place = |name: &str| format!("models/{model}/files/{name}");
    match call(&place(name)) {
        Err(ClientError::Refused { status: 404, .. }) if name.contains('/') => call(&place(&name.replace('/', "%2F"))),
        answer => answer,
    }
}

/// Writes beside `path` and renames, after the digest was checked.
fn write_whole(mut content: impl Read, path: &Path, digest: Option<&str>) -> Result<(), Failed> {
    let failed = |error: io::Error| Failed::ForGood(at(path, error));
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".incoming-").tempfile_in(directory).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = content.read(&mut buffer).map_err(|error| Failed::ForNow(error.to_string()))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        file.write_all(&buffer[..read]).map_err(failed)?;
    }
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if digest.is_some_and(|digest| digest != found) {
        return Err(Failed::ForNow(format!("{} did not arrive as it was sent", path.display())));
    }
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map(drop).map_err(|error| failed(error.error))
}

fn json<T: DeserializeOwned>(answer: &mut Response<Body>, what: &str) -> Result<T, Failed> {
    let text = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_string()?;
    serde_json::from_str(&text).map_err(|error| malformed(what, &error))
}

/// What is told of a refusal that says no word of ours: it may be a proxy's.
fn without_a_reason(status: u16) -> String {
    match status {
        300..400 => {
            format!("it sends calls on to another address ({status}), as from http to https; give --server that one")
        }
        413 => "a proxy in front of it takes no file of this size (413); let it take larger ones, in nginx by \
                client_max_body_size"
            .to_owned(),
        _ => format!("it answers {status} without a reason; is this the address of a Laurel server?"),
    }
}

fn malformed(what: &str, error: &serde_json::Error) -> Failed {
    Failed::ForGood(ClientError::Malformed { what: what.to_owned(), reason: error.to_string() })
}

fn at(path: &Path, error: io::Error) -> ClientError {
    ClientError::File { path: path.display().to_string(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_breaks_off_later_than_patience_lasts_is_tried_again() {
        let client = Client::new("http://127.0.0.1", "secret", &Interrupts::default());
        let client = Client { patience: PAUSES.0 + Duration::from_millis(100), ..client };
        let mut tries = 0;
        let found = client.tries("the file", || {
            tries += 1;
            if tries > 1 {
                return Ok(tries);
            }
            std::thread::sleep(client.patience + Duration::from_millis(100));
            Err(Failed::ForNow("the connection broke".to_owned()))
        });
        assert_eq!(found.expect("the second try"), 2);
        let refused = client.trying_once().tries("the file", || Err::<(), _>(Failed::ForNow("again".to_owned())));
        assert!(matches!(refused, Err(ClientError::Unreachable { .. })));
    }
}
