//! `laurel restore`: a backup comes back, into an empty place.

use std::path::PathBuf;

use super::{WrongInput, print, serve::only_server};
use crate::{
    backup::read::{self, RestoreError},
    config::{Config, Storage},
};

/// Restore a backup into an empty data directory or an empty database
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// Archive that `laurel backup` wrote
    file: PathBuf,
}

impl Restore {
    pub async fn run(self, storage: Storage) -> anyhow::Result<()> {
        let config = Config::for_command(storage);
        // No server starts on half of the data.
        let _alone = only_server(&config)?;
        let summary = read::restore(&config, &self.file).await.map_err(|error| match error {
            RestoreError::Failed(error) => error,
            other => WrongInput(other.to_string()).into(),
        })?;
        print(format!("restored: the database and {} models, {} bytes", summary.models, summary.bytes))
    }
}
