//! `laurel backup`: everything in one file.

use std::path::PathBuf;

use super::{print, with_database};
use crate::{backup::write, config::Storage};

/// Write the database and the models' files into one archive, while a server runs or while none does
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// Archive to write; one that is there is replaced when the new one is whole
    file: PathBuf,
}

impl Backup {
    pub async fn run(self, storage: Storage) -> anyhow::Result<()> {
        with_database(storage, async |database, config| {
            let summary = write::write(database, config, &self.file).await?;
            let (models, bytes) = (summary.models, summary.bytes);
            print(format!("{}: the database and {models} models, {bytes} bytes", self.file.display()))
        })
        .await
    }
}
