//! Digests of model files: how one model is told from another.

use std::{fs, io::Read, path::Path};

use sha2::{Digest, Sha256};

use super::super::error::ModelError;
use super::lineage;

/// SHA-256 of a file's content, hexadecimal.
pub fn sha256_of_file(path: &Path) -> Result<String, ModelError> {
    let mut file = fs::File::open(path).map_err(ModelError::file(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(ModelError::file(path))?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

/// SHA-256 over `name`, `\n`, `digest of content`, `\n` of every file in order of its name. `laurel.json` is left out, so
/// that writing metrics into it does not make another model.
pub(super) fn of_directory(directory: &Path) -> Result<String, ModelError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(ModelError::file(directory))? {
        let entry = entry.map_err(ModelError::file(directory))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_file = entry.path().is_file();
        if is_file && name != lineage::FILE && !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    let mut hasher = Sha256::new();
    for name in names {
        let content = sha256_of_file(&directory.join(&name))?;
        hasher.update(format!("{name}\n{content}\n"));
    }
    Ok(hex(&hasher.finalize()))
}

/// One digest for a model and the adapter that changes it.
pub(super) fn of_both(base: &str, adapter: &str) -> String {
    hex(&Sha256::digest(format!("{base}\n{adapter}\n")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
