//! Backups: everything that Laurel keeps in one file, a tar archive of the database's dump and the models' files.
//!
//! The archive has, in this order: [`MANIFEST`]; `models/<id>/<name>` for every file of a complete model; [`DUMP`].

pub mod postgres;
pub mod read;
pub mod write;

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::jobs::model_files::hexadecimal;

/// First in the archive: what it is, and what is in it.
pub const MANIFEST: &str = "laurel-backup.json";
/// Last in the archive: what `pg_dump --format=custom` wrote.
pub const DUMP: &str = "database.dump";
/// The layout that this program writes and reads.
const FORMAT: u32 = 1;

/// What an archive says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Version of the program that wrote it.
    pub program: String,
    /// Version of the database's schema.
    pub schema: i64,
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// Everything that follows.
    pub entries: Vec<Entry>,
}

/// One file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub path: String,
    pub bytes: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// What was written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub models: usize,
    pub bytes: u64,
}

impl Manifest {
    fn summary(&self) -> Summary {
        let models: std::collections::BTreeSet<&str> =
            self.entries.iter().filter_map(|entry| entry.path.strip_prefix("models/")?.split('/').next()).collect();
        Summary { models: models.len(), bytes: self.entries.iter().map(|entry| entry.bytes).sum() }
    }
}

/// Counts and digests what passes through.
struct Digesting<T> {
    inner: T,
    digest: Sha256,
    bytes: u64,
}

impl<T> Digesting<T> {
    fn new(inner: T) -> Self {
        Digesting { inner, digest: Sha256::new(), bytes: 0 }
    }

    fn sum(self) -> (u64, String) {
        (self.bytes, hexadecimal(&self.digest.finalize()))
    }
}

impl<T: Read> Read for Digesting<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.digest.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

impl<T: Write> Write for Digesting<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.digest.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
