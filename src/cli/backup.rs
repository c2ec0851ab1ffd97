//! `laurel backup`: everything in one file.

use std::path::PathBuf;

use super::{WrongInput, print, with_database};
use crate::{backup::write, config::Storage};

/// Write the database and the models' files into one archive, while a server runs or while none does
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// Archive to write; one that is there is replaced when the new one is whole
    file: PathBuf,
}

impl Backup {
    pub async fn run(self, storage: Storage) -> anyhow::Result<()> {
        // A device or a pipe would be removed by what appears in its place.
        if self.file.metadata().is_ok_and(|found| !found.is_file()) {
            let why = "a backup takes the place of a file, or of nothing";
            return Err(WrongInput(format!("{} is no file: {why}", self.file.display())).into());
        }
        // And a link stays one.
        let place = self.file.canonicalize().unwrap_or_else(|_| self.file.clone());
        with_database(storage, async |database, config| {
            let summary = write::write(database, config, &place).await?;
            let (models, bytes) = (summary.models, summary.bytes);
            print(format!("{}: the database and {models} models, {bytes} bytes", self.file.display()))
        })
        .await
    }
}
