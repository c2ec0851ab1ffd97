//! Digests of model files: how one model is told from another.

use std::{fs, io::Read, path::Path};

use sha2::{Digest, Sha256};

use super::super::error::ModelError;
use super::{lineage, write::MORE_TEMPLATES};
use crate::transfer::Transfer;

/// SHA-256 of a file's content, hexadecimal.
pub fn sha256_of_file(path: &Path) -> Result<String, ModelError> {
    sha256(path, &Transfer::hashing(path, bytes_of(path)))
}

/// SHA-256 of a file that is a part of what is hashed.
fn sha256(path: &Path, transfer: &Transfer) -> Result<String, ModelError> {
    let mut file = fs::File::open(path).map_err(ModelError::file(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(ModelError::file(path))?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
        transfer.add(read);
    }
}

/// SHA-256 over `name`, `\n`, `digest of content`, `\n` of every file in order of its name. `laurel.json` is left out, so
/// that writing metrics into it does not make another model.
pub(super) fn of_directory(directory: &Path) -> Result<String, ModelError> {
    let mut names = file_names(directory)?;
    names.retain(|name| name != lineage::FILE);
    let transfer = Transfer::hashing(directory, names.iter().map(|name| bytes_of(&directory.join(name))).sum());
    let mut hasher = Sha256::new();
    for name in names {
        let content = sha256(&directory.join(&name), &transfer)?;
        hasher.update(format!("{name}\n{content}\n"));
    }
    Ok(hex(&hasher.finalize()))
}

/// The size of a file, as far as it is known.
fn bytes_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

/// The names of the files that make a model directory, in order: those in it, and the chat templates that a tokenizer has
/// besides its first, which have a folder of their own. What begins with a dot is none of them.
pub fn file_names(directory: &Path) -> Result<Vec<String>, ModelError> {
    let mut names = names_in(directory, "")?;
    let templates = directory.join(MORE_TEMPLATES);
    if templates.is_dir() {
        names.extend(names_in(&templates, &format!("{MORE_TEMPLATES}/"))?);
    }
    names.sort();
    Ok(names)
}

/// The files of a folder, with `before` before their names.
fn names_in(folder: &Path, before: &str) -> Result<Vec<String>, ModelError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(ModelError::file(folder))? {
        let entry = entry.map_err(ModelError::file(folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && !name.starts_with('.') {
            names.push(format!("{before}{name}"));
        }
    }
    Ok(names)
}

/// Whether a file of a model may have this name: it leads nowhere but into the model's directory or its folder of templates.
pub fn is_file_name(name: &str) -> bool {
    let template = name.strip_prefix(MORE_TEMPLATES).and_then(|rest| rest.strip_prefix('/'));
    let name = template.unwrap_or(name);
    !name.is_empty() && !name.contains('/') && !name.starts_with('.')
}

/// One digest for a model and the adapter that changes it.
pub(super) fn of_both(base: &str, adapter: &str) -> String {
    hex(&Sha256::digest(format!("{base}\n{adapter}\n")))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
