//! A database of one's own that is reached by TLS alone, as those that others run are.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use laurel::{
    config::Config,
    db::{self, Database},
};

use super::backup::{directory, done, failed};

/// A Postgres on a port of this machine that talks to nobody without TLS; it stops with the test.
struct Encrypted<'a> {
    programs: &'a Database,
    cluster: PathBuf,
    port: u16,
}

impl<'a> Encrypted<'a> {
    /// The cluster, at rest, is started with a certificate that nobody but itself vouches for.
    fn start(programs: &'a Database, cluster: PathBuf) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("its address").port();
        let encrypted = Self { programs, cluster, port };
        let (certificate, key) = (encrypted.certificate(), encrypted.file("server.key"));
        run(encrypted.program(
            "openssl",
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=127.0.0.1",
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-keyout",
                &key,
                "-out",
                &certificate,
            ],
        ));
        let rules = encrypted.file("encrypted.conf");
        run(encrypted.program("sh", &["-c", "echo 'hostssl all all 127.0.0.1/32 trust' > \"$1\"", "sh", &rules]));
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories= -c hba_file={rules} -c ssl=on \
             -c ssl_cert_file={certificate} -c ssl_key_file={key}"
        );
        run(encrypted.control(&["start", "--wait", "--log", &encrypted.file("encrypted.log"), "--options", &options]));
        encrypted
    }

    fn file(&self, name: &str) -> String {
        self.cluster.join(name).to_str().expect("text").to_owned()
    }

    fn certificate(&self) -> String {
        self.file("server.crt")
    }

    fn url(&self, more: &str) -> String {
        format!("postgresql://laurel@127.0.0.1:{}/laurel?{more}", self.port)
    }

    fn control(&self, arguments: &[&str]) -> Command {
        self.program("pg_ctl", &[&["--silent", "--pgdata", self.cluster.to_str().expect("text")], arguments].concat())
    }

    fn program(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.programs.embedded().expect("a private Postgres").program(name);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for Encrypted<'_> {
    fn drop(&mut self) {
        // One that never started can't be stopped, and a second panic would end the other tests, too.
        let _ = self.control(&["stop", "--mode=immediate"]).status();
    }
}

fn run(mut command: Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}");
}

async fn open(directory: &Path) -> Database {
    db::open(&Config::in_directory(directory)).await.expect("the database opens")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_talks_by_tls_alone_is_reached_and_its_certificate_checked_where_that_is_asked_for() {
    let (kept, programs, ours) = (directory(), directory(), directory());
    open(kept.path()).await.close().await.expect("it closes");
    // Whose programs, and whose right to start them, serve the other.
    let programs = open(programs.path()).await;
    let database = Encrypted::start(&programs, kept.path().join("postgres").canonicalize().expect("a cluster"));

    let add = |slug, more: &str| {
        done(ours.path(), &["project", "add", slug, "--name", "Tea", "--database-url", &database.url(more)])
    };
    add("tea", "sslmode=require");
    let root = format!("sslmode=verify-full&sslrootcert={}", database.certificate());
    add("oolong", &root);
    let archive = ours.path().join("laurel.backup");
    done(ours.path(), &["backup", "--database-url", &database.url("sslmode=require"), archive.to_str().expect("text")]);

    for refused in ["sslmode=disable", "sslmode=verify-full"] {
        let url = database.url(refused);
        let error = failed(ours.path(), &["project", "add", "green", "--name", "Tea", "--database-url", &url]);
        assert!(error.contains("the database does not answer"), "{error}");
    }
    drop(database);
    programs.close().await.expect("it closes");
}
