//! The demo as people start it: an empty directory, a page, the printed passwords; and again, with everything as it was.

mod support;

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use support::Client;

/// A running `laurel demo`; ends with the test.
struct Demo {
    process: Child,
    address: String,
    /// Email and password as printed.
    people: Vec<(String, String)>,
}

impl Demo {
    /// Starts the demo on a directory and reads what it prints until it serves.
    fn start(directory: &Path) -> Demo {
        let mut process = laurel(directory)
            .args(["demo", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut people = Vec::new();
        let address = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                if let Some((email, rest)) = line.trim().split_once(" password ") {
                    let password = rest.split_whitespace().next().expect("a password");
                    people.push((email.trim().to_owned(), password.to_owned()));
                }
                Some(line.strip_prefix("Laurel serves ")?.trim_end_matches('/').to_owned())
            })
            .expect("it serves");
        Demo { process, address, people }
    }

    /// Logs in as the first of the printed people whose address begins so.
    async fn log_in(&self, name: &str) -> Client {
        let (email, password) = self.people.iter().find(|(email, _)| email.starts_with(name)).expect("somebody");
        let client = Client::new(&self.address);
        client.log_in(email, password).await;
        client
    }

    /// Asks it to stop, as the system does, and waits until it has.
    fn stop(mut self) {
        let id = i32::try_from(self.process.id()).expect("an id");
        kill(Pid::from_raw(id), Signal::SIGTERM).expect("a signal");
        assert!(self.process.wait().expect("an end").success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn laurel(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_laurel"));
    command.env_remove("DATABASE_URL").arg("--data-dir").arg(directory);
    command
}

/// The records of a kind, as the command line exports them.
fn export(directory: &Path, kind: &str) -> Vec<String> {
    let output = laurel(directory).args(["export", kind, "--project", "sample"]).output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_has_something_on_every_page_and_is_the_same_the_second_time() {
    let directory = tempfile::Builder::new().prefix("laurel-demo").tempdir().expect("a directory");
    // The cluster's owner may be another user than ours: it has to pass.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).expect("permissions");
    let data = directory.path().join("data");

    let demo = Demo::start(&data);
    let bea = demo.log_in("bea@").await;
    bea.get("/queue").await.assert(200).assert_contains("Short warm answers");
    assert!(bea.post("/queue/next", &[]).await.leads_to().starts_with("/tasks/"));
    let admin = demo.log_in("admin@").await;
    for page in [
        "",
        "/prompts",
        "/guidelines",
        "/import",
        "/export",
        "/training",
        "/models",
        "/settings",
        "/quality",
        "/reviews",
        "/reviews/demonstrations",
        "/leaderboard",
    ] {
        admin.get(&format!("/admin/projects/sample{page}")).await.assert(200);
    }
    admin.get("/admin/projects/sample").await.assert_contains("Simulated");
    admin.get("/admin/projects/sample/prompts").await.assert_contains("254 prompts");

    // Ninety tasks were ranked by three simulated annotators before; two more give twelve labels each, then rest.
    let given = 161 + 254 + 90 * 3 + 24;
    let deadline = Instant::now() + Duration::from_secs(120);
    let all = loop {
        let all = [export(&data, "demonstrations"), export(&data, "rankings")].concat();
        if all.len() >= given {
            break all;
        }
        assert!(Instant::now() < deadline, "{} labels", all.len());
        // Each look is two programs, which take the processor from those who label.
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert_eq!(all.len(), given);
    let by_programs = all.iter().filter(|line| line.contains("simulated-")).count();
    assert_eq!(by_programs, given - 161, "labels of programs carry a program's name");

    let people = demo.people.clone();
    demo.stop();
    let demo = Demo::start(&data);
    assert_eq!(demo.people, people);
    demo.log_in("bea@").await.get("/queue").await.assert(200).assert_contains("Go on");
    assert_eq!([export(&data, "demonstrations"), export(&data, "rankings")].concat(), all);
    assert_eq!(export(&data, "prompts").len(), 254);
    demo.stop();
}
