//! One Postgres a test process, started by the code that serves the product; a copy of a migrated database for each test.

use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::{Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

use laurel::{config::Config, db};
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
    PgPoolOptions::new().max_connections(20).connect_with(options).await.expect("the database answers")
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
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    let config = Config::in_directory(&directory);
    let options = runtime().block_on(async {
        let database = db::open(&config).await.expect("the private Postgres");
        let options = database.embedded().expect("a private Postgres").options("postgres");
        // A test waits for what it wrote, not for the disk: nothing here outlives the process.
        sqlx::query("ALTER ROLE laurel SET synchronous_commit = off").execute(&database.pool).await.expect("a setting");
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
