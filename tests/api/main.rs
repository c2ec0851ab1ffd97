//! The API from outside, over real HTTP: the life of a job, models' files, who may call what, and what wrong calls hear.

#[path = "../support/mod.rs"]
mod support;

mod backup;
mod commands;
mod encrypted;
mod errors;
mod files;
mod job_life;
mod projects;
mod records;
mod removed_files;
mod roles;

use laurel::{
    db::tokens::TokenRole,
    jobs::model_files::{hexadecimal, model_digest},
};
use laurel_records::{ApiError, ClaimedJob, ModelFile, ModelRecord, RegisterModel, Stage};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::Server;
use uuid::Uuid;

/// A program with a token.
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub fn assert(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// A refusal with this status and code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> ApiError {
        let error: ApiError = self.assert(status).json();
        assert_eq!(error.code, code, "{}", error.message);
        error
    }
}

impl Api {
    pub async fn of(server: &Server, role: TokenRole) -> Self {
        Self::with(server, Some(server.token(role).await))
    }

    pub fn with(server: &Server, token: Option<String>) -> Self {
        Api { http: reqwest::Client::new(), base: format!("{}/api/v1", server.address), token }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}/{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.send().await.expect("the server answers");
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { status, headers, body: answer.bytes().await.expect("a whole answer").to_vec() }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(self.request(Method::PUT, path).body(body)).await
    }

    pub async fn claim(&self) -> ClaimedJob {
        self.post("jobs/claim", &json!({ "worker": "worker" })).await.assert(200).json()
    }

    /// Registers a model of these files, brings them and completes it.
    pub async fn bring(&self, job: &ClaimedJob, stage: Stage, files: &[(&str, &[u8])]) -> ModelRecord {
        let record: ModelRecord = self
            .post(&format!("jobs/{}/models", job.id), &registration(job.lease, stage, files))
            .await
            .assert(200)
            .json();
        for (name, content) in files {
            self.put(&format!("models/{}/files/{name}", record.id), content.to_vec()).await.assert(204);
        }
        self.post(&format!("models/{}/complete", record.id), &json!({ "lease": job.lease })).await.assert(200).json()
    }
}

/// A file as a model's list has it.
pub fn listed(name: &str, content: &[u8]) -> ModelFile {
    let sha256 = hexadecimal(&Sha256::digest(content));
    ModelFile { name: name.to_owned(), bytes: content.len() as u64, sha256 }
}

/// What a worker says of a model of these files.
pub fn registration(lease: Uuid, stage: Stage, files: &[(&str, &[u8])]) -> Value {
    let files: Vec<ModelFile> = files.iter().map(|(name, content)| listed(name, content)).collect();
    json!(RegisterModel {
        lease,
        stage,
        parent: None,
        digest: model_digest(&files),
        files,
        metrics: [("eval/nll".to_owned(), 1.25)].into(),
        lineage: json!({ "stage": "test" }),
    })
}
