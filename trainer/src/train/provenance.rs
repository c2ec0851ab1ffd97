//! What a model is said to be made from: the digest of its data, the identity by which a run is resumed, `laurel.json`.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{StageSettings, TrainError, checkpoint::Identity, settings::as_map};
use crate::model::hf::{Lineage, sha256_of_file};

/// SHA-256 of a file of records, or of the records themselves where they came from standard input or a pipe, which has nothing
/// more to read, or nobody who writes.
pub(crate) fn digest_of_data<R: Serialize>(path: &Path, records: &[R]) -> Result<String, TrainError> {
    if path != Path::new("-") && path.is_file() {
        return Ok(sha256_of_file(path)?);
    }
    let mut hasher = Sha256::new();
    for record in records {
        hasher.update(serde_json::to_vec(record).unwrap_or_default());
        hasher.update(b"\n");
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What a run is known by when it is resumed: `inputs` are digests by name.
pub(super) fn identity_of(
    stage: &str,
    inputs: impl IntoIterator<Item = (&'static str, String)>,
    settings: &impl StageSettings,
    seed: u64,
) -> Identity {
    let inputs: BTreeMap<String, String> = inputs.into_iter().map(|(name, digest)| (name.to_owned(), digest)).collect();
    Identity { stage: stage.into(), inputs, seed, settings: as_map(settings) }
}

/// What `laurel.json` says of a model that was learned; `parent` and `data` are digests.
pub(super) fn lineage_of(
    stage: &str,
    parent: String,
    data: String,
    settings: &impl StageSettings,
    seed: u64,
    metrics: &BTreeMap<String, f64>,
) -> Lineage {
    let mut settings = as_map(settings);
    settings.insert("seed".into(), seed.into());
    Lineage {
        parent: Some(parent),
        data: Some(data),
        settings: settings.into(),
        metrics: serde_json::to_value(metrics).unwrap_or_default(),
        ..Lineage::of(stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_cannot_be_read_twice_are_known_by_what_was_read() {
        let digest = |path: &str, records: &[&str]| digest_of_data(Path::new(path), records).unwrap();
        // Neither is a file.
        for path in ["-", "/dev/null"] {
            assert_ne!(digest(path, &["a"]), digest(path, &["b"]), "{path}");
        }
        assert_eq!(digest("/dev/null", &["a"]), digest("-", &["a"]));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(digest(&file.path().display().to_string(), &["a"]), sha256_of_file(file.path()).unwrap());
    }
}
