//! The program as a process, and a client that knows HTTP only.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use ureq::{Agent, Body, http::Response};

pub const NAME: &str = "tiny-model";
/// Long enough for the slowest machine; a test that gets there has failed.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sample")
}

pub fn tiny_model() -> PathBuf {
    sample().join("tiny-model")
}

/// The tiny model with room for `context` tokens, in a directory of the same name.
pub fn with_context(context: usize) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(NAME);
    fs::create_dir(&path).unwrap();
    for entry in fs::read_dir(tiny_model()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), path.join(entry.file_name())).unwrap();
    }
    let config = path.join("config.json");
    let mut value: Value = serde_json::from_str(&fs::read_to_string(&config).unwrap()).unwrap();
    value["max_position_embeddings"] = json!(context);
    fs::write(&config, value.to_string()).unwrap();
    (directory, path)
}

pub fn trainer(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_laurel-trainer"));
    command.args(["--device", "cpu"]).args(arguments);
    command
}

/// A server on a port of its own; it ends with the test.
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:41234`
    pub address: String,
    agent: Agent,
}

impl Server {
    pub fn of_tiny_model(options: &[&str]) -> Self {
        Self::start(&tiny_model(), options)
    }

    /// Starts it, and waits until it says where it answers.
    pub fn start(model: &Path, options: &[&str]) -> Self {
        let mut command = trainer(&["serve", "--json", "--listen", "127.0.0.1:0", "--model"]);
        let mut child = command.arg(model).args(options).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).expect("a line that says where it answers");
        assert_eq!((&ready["event"], &ready["model"]), (&json!("ready"), &json!(NAME)));
        assert!(ready["cache_bytes"].as_u64() > Some(0), "{ready}");
        let address = ready["address"].as_str().unwrap().to_owned();
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Self { child, address, agent: config.build().into() }
    }

    pub fn get(&self, path: &str) -> (u16, Value) {
        read(self.agent.get(format!("{}{path}", self.address)).call().unwrap())
    }

    pub fn send(&self, path: &str, body: &[u8], key: Option<&str>) -> Response<Body> {
        let mut request = self.agent.post(format!("{}{path}", self.address)).content_type("application/json");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        request.send(body).unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        read(self.send(path, body.to_string().as_bytes(), None))
    }

    /// The completion of a conversation that is one question, with more fields.
    pub fn chat(&self, question: &str, fields: &Value) -> Value {
        let (status, answer) = self.post("/v1/chat/completions", &question_with(question, fields));
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The same, as it comes.
    pub fn stream(&self, question: &str, fields: &Value) -> Events {
        let mut body = question_with(question, fields);
        body["stream"] = json!(true);
        let response = self.send("/v1/chat/completions", body.to_string().as_bytes(), None);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Events(BufReader::new(response.into_body().into_reader()).lines())
    }

    /// SIGTERM. By the shell's own kill: small systems have no program of that name.
    pub fn ask_to_end(&self) {
        let id = self.child.id().to_string();
        let told = Command::new("sh").args(["-c", "kill -TERM $1", "sh", &id]).status().unwrap();
        assert!(told.success());
    }

    /// Waits for the process.
    pub fn ended(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn question_with(question: &str, fields: &Value) -> Value {
    let mut body = json!({"model": NAME, "messages": [{"role": "user", "content": question}]});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

pub fn read(mut response: Response<Body>) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {status} {text}")))
}

/// The events of a stream, up to `[DONE]`.
pub struct Events(Lines<BufReader<ureq::BodyReader<'static>>>);

impl Iterator for Events {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        loop {
            let line = self.0.next().expect("a stream ends with [DONE]").unwrap();
            match line.strip_prefix("data: ") {
                Some("[DONE]") => return None,
                Some(data) => return Some(serde_json::from_str(data).unwrap()),
                None => assert!(line.is_empty() || line.starts_with(':'), "{line}"),
            }
        }
    }
}

/// Content of a whole answer.
pub fn content(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap()
}

/// The prompts of the sample that are in a language.
pub fn questions(language: &str, count: usize) -> Vec<String> {
    let text = fs::read_to_string(sample().join("prompts.jsonl")).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let wanted =
        records.filter(|record| record["language"] == language && record["prompt"].as_array().unwrap().len() == 1);
    let found: Vec<String> =
        wanted.map(|record| record["prompt"][0]["content"].as_str().unwrap().to_owned()).take(count).collect();
    assert_eq!(found.len(), count);
    found
}
