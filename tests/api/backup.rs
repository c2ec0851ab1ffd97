//! `laurel backup` and `laurel restore`, and `laurel model`, as a person types them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use laurel::{config::Config, db};
use sqlx::{AssertSqlSafe, PgPool};
use tempfile::TempDir;
use uuid::Uuid;

/// A data directory that the owner of a private Postgres can enter, whoever that is.
pub fn directory() -> TempDir {
    let directory = tempfile::Builder::new().prefix("laurel-backup").tempdir().expect("a directory");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("permissions");
    directory
}

fn laurel(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_laurel"));
    command.env_remove("DATABASE_URL").env("LAUREL_DATA_DIR", data_dir).stdin(Stdio::null());
    command
}

fn run(data_dir: &Path, arguments: &[&str]) -> Output {
    laurel(data_dir).args(arguments).output().expect("laurel runs")
}

#[track_caller]
pub fn done(data_dir: &Path, arguments: &[&str]) -> String {
    let output = run(data_dir, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
pub fn wrong(data_dir: &Path, arguments: &[&str]) -> String {
    ended(data_dir, arguments, 2)
}

#[track_caller]
pub fn failed(data_dir: &Path, arguments: &[&str]) -> String {
    ended(data_dir, arguments, 1)
}

#[track_caller]
fn ended(data_dir: &Path, arguments: &[&str], code: i32) -> String {
    let output = run(data_dir, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
    error
}

/// A server process that is killed with the test.
pub struct Serving(Child);

impl Serving {
    pub fn start(data_dir: &Path) -> Self {
        let mut child = laurel(data_dir)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("laurel serves");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let first = lines.next().expect("a line").expect("text");
        assert!(first.contains("http://"), "{first}");
        // The rest of its output must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Serving(child)
    }

    pub fn stop(mut self) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).expect("an id"));
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).expect("it hears");
        assert!(self.0.wait().expect("it ends").success());
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

pub async fn with_pool<T>(data_dir: &Path, work: impl AsyncFnOnce(&PgPool) -> T) -> T {
    let database = db::open(&Config::in_directory(data_dir)).await.expect("the database opens");
    let result = work(&database.pool).await;
    database.close().await.expect("it closes");
    result
}

/// A label that a person gave, without the page: only its survival counts here.
async fn label(pool: &PgPool, text: &str) {
    let prompt = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO prompts (id, project_id, conversation, split, content_hash)
         SELECT $1, id, '[{\"role\":\"user\",\"content\":\"Why?\"}]', 'train', $2 FROM projects",
    )
    .bind(prompt)
    .bind(prompt.as_bytes().to_vec())
    .execute(pool)
    .await
    .expect("a prompt");
    sqlx::query("INSERT INTO demonstrations (id, prompt_id, completion) VALUES ($1, $2, $3)")
        .bind(Uuid::now_v7())
        .bind(prompt)
        .bind(text)
        .execute(pool)
        .await
        .expect("a label");
}

async fn labels(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("SELECT completion FROM demonstrations ORDER BY id").fetch_all(pool).await.expect("labels")
}

/// A model directory of a few bytes.
pub fn model_directory(place: &Path) -> PathBuf {
    let folder = place.join("small-model");
    std::fs::create_dir(&folder).expect("a directory");
    for (name, content) in [("config.json", "{}"), ("tokenizer.json", "{}"), ("model.safetensors", "weights")] {
        std::fs::write(folder.join(name), content).expect("a file");
    }
    folder
}

/// What lies in the models' directory, path and content.
pub fn models(data_dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for model in std::fs::read_dir(data_dir.join("models")).into_iter().flatten().flatten() {
        for file in std::fs::read_dir(model.path()).expect("a model's directory").flatten() {
            let path = format!("{}/{}", model.file_name().to_string_lossy(), file.file_name().to_string_lossy());
            found.push((path, std::fs::read_to_string(file.path()).expect("a text")));
        }
    }
    found.sort();
    found
}

#[test]
fn two_commands_at_once_make_one_database() {
    let data = directory();
    let started = ["tea", "milk"].map(|slug| {
        let mut command = laurel(data.path());
        command.args(["project", "add", slug, "--name", "Tea"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("laurel runs")
    });
    for command in started {
        let output = command.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_laurel_is_refused_and_its_postgres_is_not_left_running() {
    let data = directory();
    with_pool(data.path(), async |pool| {
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (999999, 'newer', true, '\\x00', 0)",
        )
        .execute(pool)
        .await
        .expect("a migration of a newer one");
    })
    .await;
    let output = run(data.path(), &["project", "add", "tea", "--name", "Tea"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("made by a newer Laurel"), "{said}");
    assert!(!data.path().join("postgres/postmaster.pid").exists(), "nobody uses it");
}

#[test]
fn a_data_directory_has_any_name_and_every_process_a_place_of_its_own_for_temporary_files() {
    let (around, elsewhere) = (directory(), directory());
    for name in ["Ann's data, 2026", "17:04 50% a+b"] {
        let data = around.path().join(name);
        let server = Serving::start(&data);
        let mut command = laurel(&data);
        command.env("TMPDIR", elsewhere.path()).arg("backup").arg(elsewhere.path().join("laurel.backup"));
        let output = command.output().expect("laurel runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        server.stop();
    }
}

#[test]
fn a_server_that_is_ended_at_its_first_word_ends_well_and_leaves_no_postgres() {
    let data = directory();
    Serving::start(data.path()).stop();
    assert!(!data.path().join("postgres/postmaster.pid").exists());
}

#[test]
fn a_server_whose_greeting_nobody_reads_serves() {
    let data = directory();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let mut command = laurel(data.path());
    command.args(["serve", "--listen", &port.to_string()]).stdout(writer);
    let server = Serving(command.spawn().expect("laurel serves"));
    let connected = |_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        TcpStream::connect(port).ok()
    };
    // Two minutes: its Postgres has to be made first, and others' beside it.
    let mut connection = (0..2400).find_map(connected).expect("it listens");
    connection.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").expect("asked");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("200 OK"), "{answer}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_and_a_model_survive_backup_and_restore() {
    let (from, to, elsewhere) = (directory(), directory(), directory());
    let (from, to, elsewhere) = (from.path(), to.path(), elsewhere.path());
    let archive = elsewhere.join("laurel.backup");
    let archive_text = archive.to_str().expect("text");
    done(from, &["project", "add", "tea", "--name", "Tea"]);
    let source = model_directory(elsewhere);
    let added = done(from, &["model", "add", "--project", "tea", "--path", source.to_str().expect("text")]);
    assert_eq!(added.trim(), "small-model");
    with_pool(from, async |pool| label(pool, "Because.").await).await;

    // While a server runs, and again while none does: the second replaces the first.
    let server = Serving::start(from);
    let said = done(from, &["backup", archive_text]);
    assert!(said.contains("1 models"), "{said}");
    server.stop();
    with_pool(from, async |pool| label(pool, "Later.").await).await;
    done(from, &["backup", archive_text]);
    assert_eq!(std::fs::metadata(&archive).expect("the archive").permissions().mode() & 0o077, 0, "it holds secrets");
    let left: Vec<_> =
        std::fs::read_dir(elsewhere).expect("a directory").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");

    // Where the models can't take their place, the database stays empty too.
    let empty = directory();
    std::os::unix::fs::symlink(empty.path(), to.join("models")).expect("a link");
    let refused = run(to, &["restore", archive_text]);
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("can't be replaced"), "{said}");
    std::fs::remove_file(to.join("models")).expect("removed");

    done(to, &["restore", archive_text]);
    assert_eq!(with_pool(to, labels).await, ["Because.", "Later."]);
    assert_eq!(models(to), models(from));
    assert_eq!(models(to).len(), 3);
    let list = done(to, &["model", "list", "--project", "tea"]);
    assert!(list.starts_with("small-model\tbase\t0\tcomplete\t"), "{list}");

    let job = done(to, &["model", "promote", "--project", "tea", "small-model"]);
    assert!(job.trim().parse::<Uuid>().is_ok(), "{job}");
    assert!(done(to, &["model", "list", "--project", "tea"]).starts_with("small-model\tbase\t0\tanswers\t"));

    // What is there is never overwritten.
    assert!(wrong(to, &["restore", archive_text]).contains("models already"));
    std::fs::remove_dir_all(to.join("models")).expect("removed");
    assert!(wrong(to, &["restore", archive_text]).contains("not empty"));
    assert_eq!(with_pool(to, labels).await.len(), 2);
    assert!(!to.join("models").exists() && !to.join("models.restoring").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_archive_leaves_an_empty_place() {
    let (from, to) = (directory(), directory());
    let archive = from.path().join("laurel.backup");
    done(from.path(), &["project", "add", "tea", "--name", "Tea"]);
    let source = model_directory(from.path());
    done(from.path(), &["model", "add", "--project", "tea", "--path", source.to_str().expect("text")]);
    done(from.path(), &["backup", archive.to_str().expect("text")]);
    let whole = std::fs::read(&archive).expect("the archive");
    let weights = whole.windows(7).position(|bytes| bytes == b"weights").expect("the model is in it");
    let mut flipped = whole.clone();
    flipped[weights] ^= 1;
    let mut flipped_dump = whole.clone();
    let dump = whole.windows(5).rposition(|bytes| bytes == b"PGDMP").expect("the dump is in it");
    flipped_dump[dump + 2000] ^= 1;
    let broken = from.path().join("broken.backup");
    for content in [&whole[..whole.len() / 2], &whole[..100], b"", b"no archive at all", &flipped, &flipped_dump] {
        std::fs::write(&broken, content).expect("a file");
        let error = wrong(to.path(), &["restore", broken.to_str().expect("text")]);
        assert!(error.contains("no backup") && error.contains("damaged"), "{error}");
        assert!(!to.path().join("models").exists() && !to.path().join("models.restoring").exists());
    }
    assert!(wrong(to.path(), &["restore", "/nowhere/laurel.backup"]).contains("can't be read"));
    done(to.path(), &["restore", archive.to_str().expect("text")]);
    assert_eq!(models(to.path()).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_into_a_database_of_ones_own() {
    let (from, to) = (directory(), directory());
    let archive = from.path().join("laurel.backup");
    let archive = archive.to_str().expect("text");
    done(from.path(), &["project", "add", "tea", "--name", "Tea"]);
    done(from.path(), &["backup", archive]);
    let database = db::open(&Config::in_directory(from.path())).await.expect("the database opens");
    let name = format!("own{}", Uuid::now_v7().simple());
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&database.pool)
        .await
        .expect("an empty database");
    let url = database.embedded().expect("a private Postgres").url();
    let url = format!("{}/{name}", url.rsplit_once('/').expect("a database").0);
    done(to.path(), &["restore", "--database-url", &url, archive]);
    assert!(wrong(to.path(), &["restore", "--database-url", &url, archive]).contains("not empty"));
    assert!(!to.path().join("postgres").exists(), "no private Postgres is needed");
    done(to.path(), &["backup", "--database-url", &url, archive]);
    database.close().await.expect("it closes");
}

#[test]
fn what_a_person_types_wrong_is_said_by_the_commands() {
    let data = directory();
    let data = data.path();
    done(data, &["project", "add", "tea", "--name", "Tea"]);
    assert!(wrong(data, &["model", "add", "--project", "coffee", "--path", "/"]).contains("coffee"));
    assert!(wrong(data, &["model", "add", "--project", "tea", "--path", "/nowhere"]).contains("not there"));
    let empty = data.join("empty");
    std::fs::create_dir(&empty).expect("a directory");
    assert!(
        wrong(data, &["model", "add", "--project", "tea", "--path", empty.to_str().expect("text")]).contains("GGUF")
    );
    assert!(wrong(data, &["model", "promote", "--project", "tea", "sft-1"]).contains("sft-1"));
    for no_file in ["/dev/fd/1", data.to_str().expect("text")] {
        assert!(wrong(data, &["backup", no_file]).contains("is no file"));
    }
    // Nor is a file wrong for what a browser has called it.
    let downloaded = data.join("Tiny model (1).GGUF");
    std::fs::write(&downloaded, "weights").expect("a file");
    let added = done(data, &["model", "add", "--project", "tea", "--path", downloaded.to_str().expect("text")]);
    assert_eq!(added.trim(), "Tiny model (1)");
    assert!(models(data)[0].0.ends_with("/model.gguf"));
    let output = run(data, &["backup", "/nowhere/laurel.backup"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere"));
}

#[test]
fn a_password_ends_with_its_line() {
    let data = directory();
    let mut command = laurel(data.path());
    command.args(["user", "add", "ada@example.org", "--role", "admin", "--password-stdin"]).stdin(Stdio::piped());
    let mut adding = command.stdout(Stdio::null()).spawn().expect("laurel runs");
    // As a person who types it, and does not say that nothing follows.
    let mut typing = adding.stdin.take().expect("its input");
    typing.write_all(b"a long password\n").expect("typed");
    assert!(adding.wait().expect("it ends").success());
}

#[test]
fn a_result_that_nobody_reads_ends_no_command_with_a_fault_and_one_that_cannot_be_written_is_told() {
    let data = directory();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let add = |slug: &str| {
        let mut command = laurel(data.path());
        command.args(["project", "add", slug, "--name", "Tea"]).stderr(Stdio::piped());
        command
    };
    let output = add("tea").stdout(writer).output().expect("laurel runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let output = add("milk").stdout(full).output().expect("laurel runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("laurel: standard output can't be written"), "{said}");
}
