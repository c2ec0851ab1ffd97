//! A private Postgres in the data directory: real Postgres binaries, a Unix socket, fully durable settings.
//!
//! Several processes may use it at once (the server, an import): each holds a shared lock on `postgres.users` while it
//! does, and the last one to leave stops Postgres. A Postgres whose users were killed is found by its socket and taken over.

mod binaries;
mod owner;

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use binaries::Binaries;
use owner::Owner;

/// Name of the database and of its owner.
const NAME: &str = "laurel";
/// Longest path of a Unix socket on Linux, without the byte that ends it.
const SOCKET_PATH_LIMIT: usize = 107;
/// Postgres names its socket so, by its port.
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// A running private Postgres that this process uses.
pub struct Embedded {
    cluster: PathBuf,
    socket_dir: PathBuf,
    binaries: Binaries,
    owner: Owner,
    users: Option<Flock<File>>,
}

impl Embedded {
    /// Starts the data directory's Postgres, or joins the one that runs.
    ///
    /// # Errors
    /// When there are no Postgres binaries, or Postgres does not start; the message names the remedy.
    pub async fn open(data_dir: &Path) -> anyhow::Result<Embedded> {
        fs::create_dir_all(data_dir)
            .with_context(|| format!("the data directory {} can't be made", data_dir.display()))?;
        let data_dir = fs::canonicalize(data_dir)?;
        let data_dir_copy = data_dir.clone();
        let (embedded, starting) = tokio::task::spawn_blocking(move || Self::start(&data_dir_copy)).await??;
        embedded.create_database().await?;
        drop(starting);
        Ok(embedded)
    }

    /// The Postgres, and the lock that keeps other processes waiting until Laurel's database is in it.
    fn start(data_dir: &Path) -> anyhow::Result<(Embedded, Flock<File>)> {
        // One process at a time decides whether Postgres, and the database, has to be made or started.
        let starting = lock(&data_dir.join("postgres.starting"), FlockArg::LockExclusive)?;
        let users = lock(&data_dir.join("postgres.users"), FlockArg::LockShared)?;
        let owner = Owner::find()?;
        let cluster = cluster_dir(data_dir, &owner)?;
        let binaries = Binaries::find(data_dir, &cluster)?;
        if !cluster.join("PG_VERSION").exists() {
            init(&binaries, &cluster, &owner)?;
        }
        let socket_dir = socket_dir(&cluster, &owner)?;
        let mut embedded = Embedded { cluster, socket_dir, binaries, owner, users: Some(users) };
        if !embedded.is_running()? {
            embedded.launch()?;
        } else if let Some(socket_dir) = embedded.socket_dir_of_running() {
            // Whoever started it may have another directory for temporary files.
            embedded.socket_dir = socket_dir;
        }
        Ok((embedded, starting))
    }

    /// How to reach one of its databases.
    pub fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(&self.socket_dir).port(5432).username(NAME).database(database)
    }

    /// How to reach Laurel's database.
    pub fn laurel(&self) -> PgConnectOptions {
        self.options(NAME)
    }

    /// Address of Laurel's database for programs of Postgres, such as `pg_dump`.
    pub fn url(&self) -> String {
        format!("postgresql://{NAME}@{}/{NAME}", encoded(&self.socket_dir.to_string_lossy()))
    }

    /// A program of this Postgres, run as its owner.
    pub fn program(&self, name: &str) -> Command {
        self.owner.command(&self.binaries.path(name))
    }

    /// Stops Postgres, unless another process uses it.
    pub fn close(mut self) -> anyhow::Result<()> {
        let Some(users) = self.users.take() else { return Ok(()) };
        let data_lock = users.unlock().map_err(|(_, error)| io::Error::from(error))?;
        let Ok(_alone) = Flock::lock(data_lock, FlockArg::LockExclusiveNonblock) else { return Ok(()) };
        let output = self
            .owner
            .command(&self.binaries.path("pg_ctl"))
            .args(["stop", "--mode=fast", "--wait", "--silent", "--pgdata"])
            .arg(&self.cluster)
            .output()?;
        if !output.status.success() {
            tracing::warn!(output = %String::from_utf8_lossy(&output.stderr), "Postgres did not stop");
        }
        Ok(())
    }

    fn is_running(&self) -> anyhow::Result<bool> {
        let status = self
            .owner
            .command(&self.binaries.path("pg_ctl"))
            .args(["status", "--pgdata"])
            .arg(&self.cluster)
            .output()
            .context("pg_ctl can't be run")?
            .status;
        Ok(status.success())
    }

    /// Where the Postgres that runs has its socket, as the fifth line of its lock file says.
    fn socket_dir_of_running(&self) -> Option<PathBuf> {
        let text = fs::read_to_string(self.cluster.join("postmaster.pid")).ok()?;
        text.lines().nth(4).filter(|line| line.starts_with('/')).map(PathBuf::from)
    }

    fn launch(&self) -> anyhow::Result<()> {
        let log = self.cluster.join("server.log");
        let options = format!(
            "-c listen_addresses='' -c port=5432 -c unix_socket_directories='{}' -c unix_socket_permissions=0700 \
             -c fsync=on -c synchronous_commit=on -c full_page_writes=on -c max_connections=100",
            self.socket_dir.display()
        );
        let status = self
            .owner
            .command(&self.binaries.path("pg_ctl"))
            .args(["start", "--wait", "--timeout=120", "--silent", "--log"])
            .arg(&log)
            .arg("--pgdata")
            .arg(&self.cluster)
            .arg("--options")
            .arg(options)
            // pg_ctl's child keeps its streams: they must not be pipes of ours that somebody reads to the end.
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()
            .context("pg_ctl can't be run")?;
        if !status.success() {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let last: Vec<&str> = text.lines().rev().take(8).collect();
            let last: Vec<&str> = last.into_iter().rev().collect();
            bail!("the private Postgres in {} did not start:\n{}", self.cluster.display(), last.join("\n"));
        }
        Ok(())
    }

    async fn create_database(&self) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect_with(&self.options("postgres"))
            .await
            .with_context(|| format!("the private Postgres in {} does not answer", self.cluster.display()))?;
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(NAME)
            .fetch_one(&mut connection)
            .await?;
        if !exists {
            sqlx::query("CREATE DATABASE laurel").execute(&mut connection).await?;
        }
        connection.close().await?;
        Ok(())
    }
}

/// A program of Postgres for a database that is not ours.
pub fn client_program(data_dir: &Path, name: &str) -> Command {
    Command::new(Binaries::client(data_dir, name))
}

/// A text as it stands in an address of a database.
pub fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn lock(path: &Path, kind: FlockArg) -> anyhow::Result<Flock<File>> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .with_context(|| format!("{} can't be written", path.display()))?;
    Flock::lock(file, kind)
        .map_err(|(_, error)| anyhow::Error::from(error).context("the data directory can't be locked"))
}

/// Where the cluster lies: `postgres` in the data directory; elsewhere, with a link to it, where its owner can't reach that.
fn cluster_dir(data_dir: &Path, owner: &Owner) -> anyhow::Result<PathBuf> {
    let place = data_dir.join("postgres");
    if place.exists() {
        return Ok(fs::canonicalize(place)?);
    }
    if owner.reaches(data_dir) {
        return Ok(place);
    }
    if place.is_symlink() {
        bail!("{} leads to a database that is not there any more", place.display());
    }
    let shared = Path::new("/var/lib/laurel");
    fs::create_dir_all(shared)?;
    let elsewhere = shared.join(uuid::Uuid::now_v7().simple().to_string());
    symlink(&elsewhere, &place)?;
    Ok(elsewhere)
}

/// Makes the cluster beside its place and renames it: a start that is cut off leaves none.
fn init(binaries: &Binaries, cluster: &Path, owner: &Owner) -> anyhow::Result<()> {
    let fresh = cluster.with_extension("new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o700))?;
    owner.give(&fresh)?;
    let output = owner
        .command(&binaries.path("initdb"))
        .args(["--username", NAME, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--pgdata"])
        .arg(&fresh)
        .output()
        .context("initdb can't be run")?;
    if !output.status.success() {
        bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    fs::rename(&fresh, cluster)?;
    Ok(())
}

/// A directory for the socket that only the cluster's owner enters, with a path that is short enough and that can be told
/// Postgres: `pg_ctl` puts it between quotes for a shell, and Postgres divides it at commas.
fn socket_dir(cluster: &Path, owner: &Owner) -> anyhow::Result<PathBuf> {
    let inside = cluster.join("run");
    let can_be_told = inside.to_str().is_some_and(|path| !path.contains(['\'', ',']));
    let dir = if can_be_told && inside.join(SOCKET_NAME).as_os_str().len() <= SOCKET_PATH_LIMIT {
        inside
    } else {
        let digest = crate::domain::secret::secret_hash(&cluster.to_string_lossy());
        let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        std::env::temp_dir().join(format!("laurel-{digits}"))
    };
    if !dir.exists() {
        fs::create_dir(&dir)?;
        owner.give(&dir)?;
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
    Ok(dir)
}
