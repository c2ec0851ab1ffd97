//! Directories that appear whole: written under a hidden name beside their place and renamed.
//!
//! A writer holds a lock on its hidden directory. The kernel takes the lock off when the writer ends, however it ends, so
//! that the next one can tell what was left behind from what is being written.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::super::error::ModelError;

/// A directory that is being written and will stand at `out`.
pub(super) struct Partial {
    out: PathBuf,
    parent: PathBuf,
    directory: TempDir,
    /// Held until the directory has its name.
    _lock: File,
}

impl Partial {
    pub(super) fn beside(out: &Path) -> Result<Self, ModelError> {
        let parent = parent_of(out);
        fs::create_dir_all(&parent).map_err(ModelError::file(&parent))?;
        let directory =
            tempfile::Builder::new().prefix(&prefix_of(out)).tempdir_in(&parent).map_err(ModelError::file(&parent))?;
        let lock = File::open(directory.path()).map_err(ModelError::file(directory.path()))?;
        // A file system without locks only loses the cleaning.
        let _ = lock.try_lock();
        Ok(Self { out: out.into(), parent, directory, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// An error as it is to be told: by where the file would have come to lie, not by a hidden name that is gone by then.
    pub(super) fn told(&self, error: ModelError) -> ModelError {
        match error {
            ModelError::File { path, source } => {
                let place = path.strip_prefix(self.path()).map(|rest| self.out.join(rest));
                ModelError::File { path: place.unwrap_or(path), source }
            }
            other => other,
        }
    }

    /// Renames the directory to its place, which must be free or an empty directory.
    pub(super) fn appear(self) -> Result<(), ModelError> {
        let Self { out, parent, directory, _lock } = self;
        let permissions = fs::Permissions::from_mode(0o755);
        fs::set_permissions(directory.path(), permissions).map_err(ModelError::file(directory.path()))?;
        if out.exists() {
            fs::remove_dir(&out).map_err(ModelError::file(&out))?;
        }
        fs::rename(directory.path(), &out).map_err(ModelError::file(&out))?;
        // Renamed: there is nothing left at the old path for the guard to remove.
        let _ = directory.keep();
        File::open(&parent).and_then(|directory| directory.sync_all()).map_err(ModelError::file(&parent))
    }
}

/// Removes what writers to `out` that were killed left beside it. A directory whose lock is held is being written now.
pub(super) fn remove_stale(out: &Path) {
    let Ok(entries) = fs::read_dir(parent_of(out)) else { return };
    let prefix = prefix_of(out);
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
        // What cannot be opened, locked or removed stays, and is in nobody's way.
        if is_ours && File::open(&path).is_ok_and(|directory| directory.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn prefix_of(out: &Path) -> String {
    format!(".partial-{}-", out.file_name().unwrap_or_default().to_string_lossy())
}

fn parent_of(out: &Path) -> PathBuf {
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_writer_left_is_removed_and_what_is_being_written_is_not() {
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("model");
        let stale = scratch.path().join(".partial-model-Ab3dE6");
        fs::create_dir(&stale).unwrap();
        fs::write(stale.join("config.json"), "{}").unwrap();
        let other = scratch.path().join(".partial-other-Ab3dE6");
        fs::create_dir(&other).unwrap();

        let living = Partial::beside(&out).unwrap();
        fs::write(living.path().join("config.json"), "{}").unwrap();
        remove_stale(&out);
        assert!(!stale.exists() && other.exists() && living.path().join("config.json").exists());
        living.appear().unwrap();
        assert!(out.join("config.json").exists());
        let names: Vec<_> = fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}
