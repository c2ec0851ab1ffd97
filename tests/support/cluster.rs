//! One Postgres a test process, started by the code that serves the product; a copy of a migrated database for each test.
//!
//! The first process makes the cluster and keeps it as it is before any test; those after it begin with a copy of that, where they
//! would wait some seconds for `initdb` and every migration.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

use laurel::{
    config::Config,
    db::{self, Database},
    domain::secret::secret_hash,
};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

struct Cluster {
    /// Reaches the maintenance database.
    options: PgConnectOptions,
    /// One copy at a time: copying needs the template for itself.
    copying: Mutex<()>,
}

/// A migrated, empty database that no other test sees.
pub async fn database() -> PgPool {
    let name = format!("t{}", Uuid::now_v7().simple());
    let options = tokio::task::spawn_blocking(move || copy(&name)).await.expect("a copy of the database");
    let pool = PgPoolOptions::new().max_connections(20).test_before_acquire(false);
    pool.connect_with(options).await.expect("the database answers")
}

/// Blocking, on a runtime of its own: connections belong to the runtime that made them.
fn copy(name: &str) -> PgConnectOptions {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(start);
    let _alone = cluster.copying.lock().unwrap_or_else(PoisonError::into_inner);
    runtime().block_on(async {
        let mut connection = cluster.options.clone().connect().await.expect("Postgres answers");
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE laurel")))
            .execute(&mut connection)
            .await
            .expect("a copy");
        connection.close().await.expect("closes");
    });
    cluster.options.clone().database(name)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn start() -> Cluster {
    let directory = tempfile::Builder::new().prefix("laurel-test").tempdir().expect("a directory").keep();
    // The cluster's owner may be another user than ours: it has to pass.
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("permissions");
    let place = directory.join("postgres");
    let kept = kept();
    if !copied(&kept, &place) {
        runtime().block_on(make(&directory));
        keep(&place, &kept);
    }
    let options = runtime().block_on(async {
        let database = open(&directory).await;
        let options = database.embedded().expect("a private Postgres").options("postgres");
        database.pool.close().await;
        // Not closed: it runs until this process ends.
        std::mem::forget(database);
        options
    });
    // The pipe closes with this process, however it ends; then Postgres and its directory go.
    let mut watcher = Command::new("sh")
        .arg("-c")
        .arg(
            "cat >/dev/null; kill -QUIT $(head -1 \"$1/postgres/postmaster.pid\"); \
             while [ -e \"$1/postgres/postmaster.pid\" ]; do sleep 0.1; done; rm -rf \"$1\"",
        )
        .arg("sh")
        .arg(&directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Out of reach of Ctrl-C, which ends the tests.
        .process_group(0)
        .spawn()
        .expect("sh");
    std::mem::forget(watcher.stdin.take());
    // Nobody waits for it: it outlives this process, by as long as Postgres takes to stop.
    std::mem::forget(watcher);
    Cluster { options, copying: Mutex::new(()) }
}

async fn open(directory: &Path) -> Database {
    db::open(&Config::in_directory(directory)).await.expect("the private Postgres")
}

/// Makes the cluster of a directory; it is at rest then.
async fn make(directory: &Path) {
    let database = open(directory).await;
    // A test waits for what it wrote, not for the disk: nothing here outlives the process.
    sqlx::query("ALTER ROLE laurel SET synchronous_commit = off").execute(&database.pool).await.expect("a setting");
    database.close().await.expect("stopped");
}

/// Where the cluster lies that was made by these migrations and the Postgres that this machine has.
fn kept() -> PathBuf {
    let migrations = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations")).expect("the migrations");
    let mut made_by: Vec<String> =
        migrations.map(|file| fs::read_to_string(file.expect("a file").path()).expect("readable")).collect();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    made_by.extend(installed.map(|version| version.path().display().to_string()));
    made_by.extend(std::env::var("PG_BIN_DIR"));
    made_by.sort();
    let digits: String = secret_hash(&made_by.concat()).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("laurel-postgres-{digits}"))
}

/// Keeps a cluster that is at rest for the processes that come after this one; one of two that do so at once is enough.
fn keep(place: &Path, kept: &Path) {
    // Where its owner can't reach the directory, it lies elsewhere.
    if place.is_symlink() {
        return;
    }
    let part = kept.with_extension(Uuid::now_v7().simple().to_string());
    if copied(place, &part) && fs::rename(&part, kept).is_err() {
        let _ = fs::remove_dir_all(&part);
    }
}

/// Copies a directory with the owners of what is in it; false where it is not there, or can't be copied.
fn copied(from: &Path, to: &Path) -> bool {
    let copied =
        from.is_dir() && Command::new("cp").arg("-a").arg(from).arg(to).status().is_ok_and(|status| status.success());
    if !copied {
        let _ = fs::remove_dir_all(to);
    }
    copied
}
