//! Finds Postgres's programs: `PG_BIN_DIR`, Debian's folders, what `make run` unpacked, PATH.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::bail;

/// Oldest Postgres that the schema works with.
const OLDEST: u32 = 15;

/// A folder with `initdb`, `pg_ctl`, `postgres` and `pg_dump`.
#[derive(Debug, Clone)]
pub struct Binaries {
    dir: PathBuf,
}

impl Binaries {
    /// The programs for a cluster: of its own version where it exists, the newest where it has to be made.
    ///
    /// # Errors
    /// When there are none; the message names the remedy.
    pub fn find(data_dir: &Path, cluster: &Path) -> anyhow::Result<Binaries> {
        if let Some(dir) = std::env::var_os("PG_BIN_DIR") {
            let dir = PathBuf::from(dir);
            if !complete(&dir) {
                bail!("PG_BIN_DIR names {}, where there is no initdb and pg_ctl", dir.display());
            }
            return Ok(Binaries { dir });
        }
        let wanted: Option<u32> =
            fs::read_to_string(cluster.join("PG_VERSION")).ok().and_then(|text| text.trim().parse().ok());
        let found = candidates(data_dir);
        let fits = |(version, _): &&(u32, PathBuf)| match wanted {
            Some(wanted) => *version == wanted,
            None => *version >= OLDEST,
        };
        if let Some((_, dir)) = found.iter().filter(fits).max_by_key(|(version, _)| *version) {
            return Ok(Binaries { dir: dir.clone() });
        }
        if let Some(wanted) = wanted {
            bail!(
                "the database in {} was made by Postgres {wanted}, which is not installed: install postgresql-{wanted}, \
                 or name its programs with PG_BIN_DIR",
                cluster.display()
            );
        }
        bail!(
            "Postgres {OLDEST} or newer is not installed: `apt-get install postgresql` (or `make run`, which does), \
             name its programs with PG_BIN_DIR, or give an existing server with DATABASE_URL"
        );
    }

    /// A program that talks to somebody else's Postgres: the newest that is here, whether or not a server is beside it.
    pub fn client(data_dir: &Path, name: &str) -> PathBuf {
        match Binaries::find(data_dir, Path::new("")) {
            Ok(binaries) => binaries.path(name),
            Err(_) => PathBuf::from(name),
        }
    }

    /// Path of a program; one that does not lie with the others is looked for in PATH.
    pub fn path(&self, name: &str) -> PathBuf {
        let beside = self.dir.join(name);
        if beside.is_file() { beside } else { PathBuf::from(name) }
    }
}

fn complete(dir: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|name| dir.join(name).is_file())
}

/// The folder that the links of a folder lead to: there, all programs are.
fn real(dir: &Path) -> Option<PathBuf> {
    let program = fs::canonicalize(dir.join("pg_ctl")).ok()?;
    program.parent().filter(|dir| complete(dir)).map(Path::to_owned)
}

/// Every complete folder with its version.
fn candidates(data_dir: &Path) -> Vec<(u32, PathBuf)> {
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let unpacked = std::iter::once(data_dir.join("postgres-programs").join("bin"));
    let on_path: Vec<PathBuf> =
        std::env::var_os("PATH").map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default();
    debian
        .chain(unpacked)
        .chain(on_path)
        .filter(|dir| complete(dir))
        .map(|dir| real(&dir).unwrap_or(dir))
        .filter_map(|dir| Some((version(&dir)?, dir)))
        .collect()
}

/// 15 of `pg_ctl (PostgreSQL) 15.14 (Debian …)`.
fn version(dir: &Path) -> Option<u32> {
    let output = std::process::Command::new(dir.join("pg_ctl")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok())
}
