//! The real `laurel-trainer`, beside the server's program.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

/// A command of the trainer that is being put together.
pub struct Trainer(Command);

/// Begins a command line.
pub fn trainer(arguments: &[&str]) -> Trainer {
    let mut command = Command::new(program());
    command.args(arguments);
    Trainer(command)
}

/// Where the program lies; fails the test when it was not built.
pub fn program() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_laurel")).with_file_name("laurel-trainer");
    assert!(path.exists(), "{} is not there: `cargo build -p laurel-trainer` first", path.display());
    path
}

impl Trainer {
    pub fn path(mut self, name: &str, path: &Path) -> Self {
        self.0.arg(name).arg(path);
        self
    }

    /// Runs it; fails the test when the command fails.
    pub fn succeeds(mut self) -> Output {
        let output = self.0.output().expect("the trainer starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?} failed: {errors}", self.0);
        output
    }

    /// Runs it with `--json` among its arguments, and gives the line of its result.
    pub fn result(self) -> serde_json::Value {
        let output = String::from_utf8(self.succeeds().stdout).expect("text");
        let mut lines = output.lines().rev().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines.find(|line| line["event"] == "result").expect("a result")
    }
}

/// `laurel-trainer serve` at work on a port of its own; it ends with the test.
pub struct Serving {
    child: Child,
    /// `http://127.0.0.1:41234/v1`
    pub address: String,
}

/// Serves a model, and waits until it answers.
pub fn serve(model: &Path) -> Serving {
    let mut child = Command::new(program())
        .args(["serve", "--device", "cpu", "--json", "--listen", "127.0.0.1:0", "--model"])
        .arg(model)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the trainer starts");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("a line");
    let ready: serde_json::Value = serde_json::from_str(&line).expect("a line that says where it answers");
    let address = format!("{}/v1", ready["address"].as_str().expect("an address"));
    Serving { child, address }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
