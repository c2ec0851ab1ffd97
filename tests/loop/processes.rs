//! The two programs as processes: the server with its private Postgres, and workers that may be killed.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use laurel::{
    config::Config,
    db::{self, Database},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// `laurel` at work on a data directory of its own.
pub struct Laurel {
    serving: Child,
    /// `http://127.0.0.1:41234`
    pub address: String,
    data_dir: tempfile::TempDir,
}

impl Laurel {
    /// Starts the server with its private Postgres, both empty.
    pub fn start() -> Self {
        let data_dir = tempfile::Builder::new().prefix("laurel-loop").tempdir().expect("a directory");
        // Postgres may run as another user: it has to pass.
        std::fs::set_permissions(data_dir.path(), std::fs::Permissions::from_mode(0o755)).expect("permissions");
        let (serving, address) = serve(data_dir.path(), "127.0.0.1:0");
        Self { serving, address, data_dir }
    }

    /// Stops the server as an update does, and starts it again at the same address.
    pub fn restart(&mut self) {
        kill(Pid::from_raw(self.serving.id() as i32), Signal::SIGTERM).expect("asked");
        let status = self.serving.wait().expect("ended");
        assert!(status.success(), "SIGTERM is no failure: {status}");
        let listen = self.address.trim_start_matches("http://");
        let (serving, address) = serve(self.data_dir.path(), listen);
        assert_eq!(address, self.address);
        self.serving = serving;
    }

    /// Runs a command of `laurel` beside the server; what it printed.
    pub fn command(&self, arguments: &[&str], input: &str) -> String {
        let mut child = laurel(self.data_dir.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("laurel starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_owned();
        let writing = std::thread::spawn(move || {
            let _ = stdin.write_all(input.as_bytes());
        });
        let output = child.wait_with_output().expect("laurel ends");
        writing.join().expect("written");
        assert!(output.status.success(), "laurel {arguments:?}: {}", output.status);
        String::from_utf8(output.stdout).expect("text")
    }

    /// The server's database, to look into it and to make time pass.
    pub async fn database(&self) -> Database {
        db::open(&Config::in_directory(self.data_dir.path())).await.expect("the server's database")
    }

    /// A directory for a test's own files.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.data_dir.path().join(name);
        std::fs::create_dir_all(&path).expect("a directory");
        path
    }
}

impl Drop for Laurel {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.serving.id() as i32), Signal::SIGTERM);
        let _ = self.serving.wait();
    }
}

/// Starts the server on a data directory; its process and address.
fn serve(data_dir: &Path, listen: &str) -> (Child, String) {
    let mut serving =
        laurel(data_dir).args(["serve", "--listen", listen]).stdout(Stdio::piped()).spawn().expect("laurel starts");
    let mut lines = BufReader::new(serving.stdout.take().expect("a pipe")).lines();
    let first = lines.next().expect("a line").expect("text");
    let address = first.strip_prefix("Laurel serves ").unwrap_or_else(|| panic!("no address in “{first}”"));
    let address = address.trim_end_matches('/').to_owned();
    // Whatever it says later is read away, so that it never waits for us.
    std::thread::spawn(move || lines.for_each(drop));
    (serving, address)
}

fn laurel(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_laurel"));
    command.env_remove("DATABASE_URL").env("LAUREL_DATA_DIR", data_dir).stderr(Stdio::inherit());
    command
}

/// The trainer's program, which cargo does not build for tests of another package.
fn trainer() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_laurel")).with_file_name("laurel-trainer");
    assert!(path.exists(), "{} is not there: build it first with `cargo build -p laurel-trainer`", path.display());
    path
}

/// A tiny model with random weights, its tokenizer learned from the sample.
pub fn tiny_model(out: &Path) {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/sample/demonstrations.jsonl");
    let status = Command::new(trainer())
        .args(["init", "--config", "llama-tiny", "--vocabulary", "400", "--quiet", "--corpus", corpus, "--out"])
        .arg(out)
        .status()
        .expect("laurel-trainer starts");
    assert!(status.success(), "{status}");
}

/// `laurel-trainer work` at work.
pub struct Worker(Child);

impl Worker {
    /// Starts a worker with a work directory of its own.
    pub fn start(laurel: &Laurel, token: &Path, work_dir: &str, more: &[&str]) -> Self {
        Self(Self::command(laurel, token, work_dir, more).spawn().expect("laurel-trainer starts"))
    }

    fn command(laurel: &Laurel, token: &Path, work_dir: &str, more: &[&str]) -> Command {
        let mut command = Command::new(trainer());
        command
            .args(["work", "--device", "cpu", "--server", &laurel.address, "--name", work_dir])
            .arg("--token-file")
            .arg(token)
            .arg("--work-dir")
            .arg(laurel.directory(work_dir))
            .args(more);
        command
    }

    /// Does one job and ends.
    pub fn once(laurel: &Laurel, token: &Path, work_dir: &str) {
        let mut command = Self::command(laurel, token, work_dir, &["--once", "--json"]);
        let ended = command.stderr(Stdio::inherit()).output().expect("the worker ends");
        assert!(ended.status.success(), "the worker ended with {}", ended.status);
        assert_eq!(String::from_utf8_lossy(&ended.stdout).trim(), r#"{"event":"result","job":"done"}"#);
    }

    /// Ends as by a power cut.
    pub fn kill_hard(mut self) {
        kill(Pid::from_raw(self.0.id() as i32), Signal::SIGKILL).expect("killed");
        self.0.wait().expect("dead");
    }

    /// Ends as asked by SIGTERM, and with what status.
    pub fn end(mut self) -> std::process::ExitStatus {
        kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM).expect("asked");
        self.0.wait().expect("ended")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks again and again until there is an answer; fails after two minutes.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(120), "{what} did not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
