//! `laurel.json`: what a model was made from, how, and how well that went.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::error::ModelError;

pub(super) const FILE: &str = "laurel.json";

/// The content of `laurel.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// The command that made the model: `init`, `pretrain`, `sft`, `reward`, `ppo`, `compress`.
    pub stage: String,
    /// Digest of the model that it started from.
    pub parent: Option<String>,
    /// Digest of the data that it learned from.
    pub data: Option<String>,
    /// The settings of the run, as they were in force.
    #[serde(default)]
    pub settings: Value,
    /// What was measured at the end.
    #[serde(default)]
    pub metrics: Value,
    /// What was found on held-out records in full, where a stage reports more than numbers by name.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub report: Value,
    /// The program that wrote it, with its version.
    pub program: String,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: time::OffsetDateTime,
}

impl Lineage {
    /// The lineage of a model that `stage` makes now, by this version of the program.
    pub fn of(stage: &str) -> Self {
        Self {
            stage: stage.into(),
            parent: None,
            data: None,
            settings: Value::Null,
            metrics: Value::Null,
            report: Value::Null,
            program: concat!("laurel-trainer ", env!("CARGO_PKG_VERSION")).into(),
            created_at: time::OffsetDateTime::now_utc(),
        }
    }

    pub(super) fn read(directory: &Path) -> Result<Option<Self>, ModelError> {
        let path = directory.join(FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs::read_to_string(&path).map_err(ModelError::file(&path))?;
        let lineage = serde_json::from_str(&text).map_err(|error| ModelError::malformed(&path, error.to_string()))?;
        Ok(Some(lineage))
    }
}
