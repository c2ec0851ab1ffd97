//! Checkpoints of a running stage: the weights that learn, the optimiser's state, and where the run was.
//!
//! They lie in `<OUT>.checkpoints/` beside the model that the run will write, one safetensors file each.

mod cadence;
mod file;
mod identity;
pub mod room;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use safetensors::SafeTensorError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

pub use cadence::Cadence;
pub use identity::Identity;

use super::{error::TrainError, exact, stored::Tensors};
use crate::model::ModelError;
use file::Header;

/// Where a run was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// Steps done.
    pub step: usize,
    /// What the stage needs beyond its weights, as [`exact::write`] wrote it.
    #[serde(default)]
    pub state: Value,
    /// Step of the best weights so far, when they are kept.
    #[serde(default)]
    pub best_step: Option<usize>,
}

/// The checkpoint directory of one run.
#[derive(Debug)]
pub struct Checkpoints {
    directory: PathBuf,
    identity: Identity,
    keep: usize,
    /// What an earlier run left is still there, to be removed by [`Self::begin`]; nothing of it is this run's.
    overwrites: bool,
}

/// What to do with checkpoints of an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Earlier {
    /// Refuse to start: somebody may want to continue them.
    #[default]
    Refuse,
    /// Continue from the newest.
    Resume,
    /// Remove them, once there is nothing more to refuse.
    Overwrite,
}

/// A checkpoint as it was read.
pub struct Loaded {
    path: PathBuf,
    pub position: Position,
    pub tensors: Tensors,
    /// Settings that are not what they were, with both values: the run goes on, but not as it would have.
    pub changed: Vec<String>,
}

impl Position {
    /// Where a run stands after `step` steps, with what the stage needs beyond its weights.
    pub fn new(step: usize, state: &impl Serialize, best_step: Option<usize>) -> Result<Self, TrainError> {
        let state =
            exact::write(state).map_err(|error| TrainError::checkpoint(Path::new("the state of the run"), error))?;
        Ok(Self { step, state, best_step })
    }
}

impl Loaded {
    /// What the stage needs beyond its weights, as it was.
    pub fn state<T: DeserializeOwned>(&self) -> Result<T, TrainError> {
        exact::read(self.position.state.clone()).map_err(|error| TrainError::checkpoint(&self.path, error))
    }
}

impl Checkpoints {
    /// `<OUT>.checkpoints`
    pub fn place(out: &Path) -> PathBuf {
        let mut name = out.file_name().unwrap_or_default().to_os_string();
        name.push(".checkpoints");
        out.with_file_name(name)
    }

    /// The directory of a run, and the checkpoint to go on from, if there is one and it is wanted. What is to be overwritten stays
    /// until [`Self::begin`].
    pub fn open(
        out: &Path,
        identity: Identity,
        keep: usize,
        earlier: Earlier,
    ) -> Result<(Self, Option<Loaded>), TrainError> {
        let directory = Self::place(out);
        let overwrites = earlier == Earlier::Overwrite && directory.exists();
        let this = Self { directory, identity, keep: keep.max(1), overwrites };
        let files = this.files("step-")?;
        if earlier == Earlier::Refuse && !files.is_empty() {
            return Err(TrainError::Input(format!(
                "{} holds checkpoints of an earlier run: continue it with --resume, or start anew with --overwrite",
                this.directory.display()
            )));
        }
        let mut damaged = vec![];
        for path in files.into_values().rev() {
            match this.load(&path) {
                Ok(checkpoint) => {
                    // Nothing can be done with these any more, and they would stand in the way of what the run saves next.
                    for (path, _) in damaged {
                        fs::remove_file(&path).map_err(TrainError::file(&path))?;
                    }
                    return Ok((this, Some(checkpoint)));
                }
                // A damaged file (a full disk, say) is passed over for the one before it; a wrong one is not.
                Err(error @ TrainError::Checkpoint { .. }) => damaged.push((path, error)),
                Err(error) => return Err(error),
            }
        }
        match damaged.pop() {
            Some((_, error)) => Err(error),
            None => Ok((this, None)),
        }
    }

    /// Removes what is to be overwritten, and what a run left that was killed while it wrote: each may be as large as the disk is
    /// still free. To be called before the first checkpoint is written, by a run that has found everything right that it was
    /// given: one that is refused leaves all as it was.
    pub fn begin(&mut self) -> Result<(), TrainError> {
        if std::mem::take(&mut self.overwrites) {
            fs::remove_dir_all(&self.directory).map_err(TrainError::file(&self.directory))?;
        }
        for path in fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // The library writes under a name of its own, and then ours follow. What can't be removed ends no run.
            if name.starts_with(".tmp") || name.ends_with(".partial") {
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }

    /// The checkpoint that a run would go on from.
    pub fn newest(&self) -> Option<PathBuf> {
        self.files("step-").ok()?.into_values().next_back()
    }

    /// Removes the checkpoints of `steps`, whose weights turned out to be of no use, and gives the newest of those before them.
    pub fn without(&self, steps: RangeInclusive<usize>) -> Option<PathBuf> {
        if self.overwrites {
            return None;
        }
        let mut good = self.files("step-").ok()?;
        good.retain(|step, path| {
            if steps.contains(step) {
                // What cannot be removed is only passed over by name.
                let _ = fs::remove_file(path);
            }
            !steps.contains(step)
        });
        good.into_values().next_back()
    }

    /// Writes a checkpoint and leaves those that are there: of weights of which only the next step says whether they are good.
    pub fn add(&self, position: Position, tensors: &Tensors) -> Result<(), TrainError> {
        let path = self.path("step-", position.step);
        self.write(&path, position, tensors)
    }

    /// Removes the checkpoints that are too many, the oldest ones, but not that of step `best`.
    pub fn remove_surplus(&self, best: Option<usize>) -> Result<(), TrainError> {
        let files = self.files("step-")?;
        let surplus = files.len().saturating_sub(self.keep);
        for (step, path) in files.iter().take(surplus) {
            if Some(*step) != best {
                fs::remove_file(path).map_err(TrainError::file(path))?;
            }
        }
        Ok(())
    }

    /// Removes the checkpoints that are too many, and best weights, but not those of step `best`, that none of the others
    /// needs.
    pub fn tidy(&self, best: Option<usize>) -> Result<(), TrainError> {
        self.remove_surplus(None)?;
        self.remove_unreferenced_best(best)
    }

    /// Keeps the weights of `step` as the best so far, and removes those that were the best before and are needed no more.
    pub fn save_best(&self, step: usize, tensors: &Tensors) -> Result<(), TrainError> {
        let position = Position { step, state: Value::Null, best_step: None };
        self.write(&self.path("best-", step), position, tensors)?;
        self.remove_unreferenced_best(Some(step))
    }

    /// The weights that [`Self::save_best`] kept.
    pub fn load_best(&self, step: usize) -> Result<Tensors, TrainError> {
        Ok(file::read(&self.path("best-", step))?.1)
    }

    /// A model that could not be written, on a full disk above all, with the checkpoint that the run can go on from. What else went
    /// wrong stays as it is.
    pub fn model_not_written(&self, error: TrainError) -> TrainError {
        match error {
            // Somebody has put another model there meanwhile, say.
            error if error.is_wrong_input() => error,
            TrainError::Model(ModelError::File { path, source }) => self.not_written(&path, source.into()),
            other => other,
        }
    }

    /// The run is over and its model written: nothing is to be continued.
    pub fn remove(self) -> Result<(), TrainError> {
        if self.directory.exists() {
            fs::remove_dir_all(&self.directory).map_err(TrainError::file(&self.directory))?;
        }
        Ok(())
    }

    fn path(&self, kind: &str, step: usize) -> PathBuf {
        self.directory.join(format!("{kind}{step:08}.safetensors"))
    }

    /// The files of one kind by their step.
    fn files(&self, kind: &str) -> Result<BTreeMap<usize, PathBuf>, TrainError> {
        let mut files = BTreeMap::new();
        if self.overwrites || !self.directory.exists() {
            return Ok(files);
        }
        for entry in fs::read_dir(&self.directory).map_err(TrainError::file(&self.directory))? {
            let path = entry.map_err(TrainError::file(&self.directory))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let number = name.strip_prefix(kind).and_then(|rest| rest.strip_suffix(".safetensors"));
            if let Some(step) = number.and_then(|number| number.parse().ok()) {
                files.insert(step, path);
            }
        }
        Ok(files)
    }

    fn load(&self, path: &Path) -> Result<Loaded, TrainError> {
        let (header, tensors) = file::read(path)?;
        let theirs: Identity = exact::read(header.identity).map_err(|error| TrainError::checkpoint(path, error))?;
        let changed = self.compare(&theirs)?;
        Ok(Loaded { path: path.to_owned(), position: header.position, tensors, changed })
    }

    /// Refuses the checkpoint of another run; names the settings that have changed since.
    fn compare(&self, theirs: &Identity) -> Result<Vec<String>, TrainError> {
        let (fixed, changed): (Vec<_>, Vec<_>) =
            self.identity.changed_settings(theirs).partition(|setting| setting.is_fixed());
        let mut different = self.identity.other_work(theirs);
        different.extend(fixed.iter().map(ToString::to_string));
        if different.is_empty() {
            return Ok(changed.iter().map(ToString::to_string).collect());
        }
        Err(TrainError::Input(format!(
            "the checkpoint in {} belongs to another run: {}; start anew with --overwrite",
            self.directory.display(),
            different.join(", ")
        )))
    }

    fn write(&self, path: &Path, position: Position, tensors: &Tensors) -> Result<(), TrainError> {
        debug_assert!(!self.overwrites, "a run begins before it writes");
        fs::create_dir_all(&self.directory).map_err(TrainError::file(&self.directory))?;
        let identity = exact::write(&self.identity).map_err(|error| TrainError::checkpoint(path, error))?;
        file::write(path, &Header { identity, position }, tensors).map_err(|error| self.not_written(path, error))?;
        let directory = fs::File::open(&self.directory).map_err(TrainError::file(&self.directory))?;
        directory.sync_all().map_err(TrainError::file(&self.directory))
    }

    /// The end of a run that could not write to `path`, which names the checkpoint that was written before.
    fn not_written(&self, path: &Path, error: SafeTensorError) -> TrainError {
        let reason = match error {
            SafeTensorError::IoError(error) => error.to_string(),
            other => other.to_string(),
        };
        TrainError::NotWritten { path: path.into(), reason, checkpoint: self.newest() }
    }

    /// Best weights, but not those of step `newest`, that no kept checkpoint speaks of: an older one may still be what a run
    /// goes on from.
    fn remove_unreferenced_best(&self, newest: Option<usize>) -> Result<(), TrainError> {
        let mut wanted = BTreeSet::from_iter(newest);
        for path in self.files("step-")?.values() {
            match file::read_header(path) {
                Ok(header) => wanted.extend(header.position.best_step),
                // No run goes on from a damaged file, so it needs no best weights, and is no reason to end this one.
                Err(TrainError::Checkpoint { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        for (step, path) in self.files("best-")? {
            if !wanted.contains(&step) {
                fs::remove_file(&path).map_err(TrainError::file(&path))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
