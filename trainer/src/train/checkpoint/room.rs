//! Room on the disk, reckoned before a run's first step: what turns out after hours to be too little costs these hours.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use indicatif::DecimalBytes;
use nix::sys::statvfs::statvfs;

use super::Checkpoints;
use crate::{
    terminal::counted,
    train::{error::TrainError, settings::Shared},
};

/// Bytes of a number in a checkpoint.
pub const NUMBER: u64 = size_of::<f32>() as u64;

/// AdamW's moments of a weight that learns.
pub const MOMENTS: u64 = 2;

/// What a run is certain to write, as far as its settings tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Writes {
    /// Bytes of a checkpoint.
    pub checkpoint: u64,
    /// Checkpoints that are still to come.
    pub checkpoints: usize,
    /// Bytes of the weights that are kept as the best.
    pub best: u64,
    /// Bytes of the model at the end, and of each that is kept on the way.
    pub model: u64,
    /// Models that are kept on the way.
    pub models: usize,
}

/// The most that lies on the disk at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Most {
    bytes: u64,
    checkpoints: usize,
    best: u64,
    models: usize,
}

impl Writes {
    /// A new checkpoint is written before the oldest is removed, and the model while those lie there that are kept. The best
    /// weights, and models that are kept on the way, may all come after the last checkpoint: they are certain at the end alone.
    /// `before`: checkpoints that are there already.
    fn most(&self, before: usize, keep: usize) -> Most {
        let all = before + self.checkpoints;
        let with = |checkpoints: usize, best: u64, models: usize| {
            let bytes = self.checkpoint * checkpoints as u64 + best + self.model * models as u64;
            Most { bytes, checkpoints, best, models }
        };
        let changing = with(all.min(keep.saturating_add(1)), 0, 0);
        let ending = with(all.min(keep), self.best, self.models + 1);
        if changing.bytes > ending.bytes { changing } else { ending }
    }

    /// What lies on the disk then, for people.
    fn named(&self, most: &Most) -> String {
        let each =
            |count: usize, thing: &str, bytes: u64| format!("{} of {}", counted(count, thing), DecimalBytes(bytes));
        let mut parts = vec![];
        if most.checkpoints > 0 {
            parts.push(each(most.checkpoints, "checkpoint", self.checkpoint));
        }
        if most.best > 0 {
            parts.push(format!("the best weights of {}", DecimalBytes(most.best)));
        }
        if most.models > 0 {
            parts.push(each(most.models, "model", self.model));
        }
        parts.join(", ")
    }
}

/// Bytes of a model of so many weights, of which so many learn, as it will be written.
pub fn bytes_of_model(shared: &Shared, weights: u64, learned: u64) -> u64 {
    let written = match (&shared.lora, shared.save_adapter) {
        (Some(_), true) => learned,
        // Adapters are merged into the weights that they lie beside.
        (Some(_), false) => weights.saturating_sub(learned),
        (None, _) => weights,
    };
    written * shared.written.format.size() as u64
}

impl Checkpoints {
    /// Refuses a run that is certain to find the disk full. Where nobody knows how much is free, nothing is said.
    pub fn ensure_room(&self, writes: &Writes) -> Result<(), TrainError> {
        let folder = self.directory.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new("."));
        let Some(free) = free_room(folder) else { return Ok(()) };
        let Ok(before) = self.bytes_there(folder) else { return Ok(()) };
        // What an earlier run left is a part of what is reckoned with, or goes before anything is written.
        let room = free.saturating_add(before);
        // That of step 0 is smaller than all others.
        let is_full = |path: &&PathBuf| fs::metadata(path).is_ok_and(|found| found.len() >= writes.checkpoint);
        let most = writes.most(self.files("step-")?.values().filter(is_full).count(), self.keep);
        if most.bytes <= room {
            return Ok(());
        }
        let fewer = if most.checkpoints > 1 { ", keep fewer checkpoints (save_limit)" } else { "" };
        Err(TrainError::NoRoom(format!(
            "{} has room for {}, and the run would write {} there ({}); make room{fewer} or name another folder",
            folder.display(),
            DecimalBytes(room),
            DecimalBytes(most.bytes),
            writes.named(&most)
        )))
    }

    /// What lies in the folder of checkpoints. Fails where that is on another disk than `folder`, by a link: of that one nothing is
    /// reckoned.
    fn bytes_there(&self, folder: &Path) -> io::Result<u64> {
        if !self.directory.exists() {
            return Ok(0);
        }
        if fs::metadata(&self.directory)?.dev() != fs::metadata(folder)?.dev() {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        let bytes = |entry: io::Result<fs::DirEntry>| -> io::Result<u64> { Ok(entry?.metadata()?.len()) };
        fs::read_dir(&self.directory)?.map(bytes).sum()
    }
}

/// Bytes that are free where a folder lies; `None` where that is not known.
pub fn free_room(folder: &Path) -> Option<u64> {
    #[cfg(test)]
    if let Some(free) = testing::FREE.get() {
        return Some(free);
    }
    let found = statvfs(folder).ok()?;
    // Some file systems, of a network or a program, tell of no blocks at all. (As floats: elsewhere the integers are of other sizes.)
    (found.blocks() > 0).then(|| (found.blocks_available() as f64 * found.fragment_size() as f64) as u64)
}

/// Disks of any size.
#[cfg(test)]
pub mod testing {
    use std::cell::Cell;

    thread_local! {
        pub(super) static FREE: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// Does `work` with so many bytes free, wherever it asks on this thread.
    pub fn with_free<T>(bytes: u64, work: impl FnOnce() -> T) -> T {
        let before = FREE.replace(Some(bytes));
        let result = work();
        FREE.set(before);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_while_a_checkpoint_takes_the_place_of_another_or_at_the_end() {
        let writes = |checkpoints, model| Writes { checkpoint: 30, checkpoints, best: 10, model, models: 0 };
        let most = |writes: Writes, before, keep| {
            let Most { bytes, checkpoints, .. } = writes.most(before, keep);
            (bytes, checkpoints)
        };
        // Two kept and one more on its way; or two, the best weights and the model.
        assert_eq!(most(writes(9, 10), 0, 2), (90, 3));
        assert_eq!(most(writes(9, 50), 0, 2), (120, 2));
        // Fewer are due than are kept; one that is there is one of those.
        assert_eq!(most(writes(1, 20), 0, 2), (60, 1));
        assert_eq!(most(writes(1, 20), 1, 2), (90, 2));
        assert_eq!(most(writes(0, 20), 0, 2), (30, 0));
        assert_eq!(most(Writes { models: 3, ..writes(0, 20) }, 0, 2), (90, 0));
        // Of the models on the way it is not known how many are there at the last checkpoint.
        assert_eq!(most(Writes { models: 1, ..writes(9, 5) }, 0, 2), (90, 3));
    }

    #[test]
    fn what_takes_the_room_is_named() {
        let writes = Writes { checkpoint: 3_000_000_000, checkpoints: 9, best: 0, model: 500_000_000, models: 0 };
        let named = |writes: Writes| writes.named(&writes.most(0, 2));
        assert_eq!(named(writes), "3 checkpoints of 3.00 GB");
        let writes = Writes { checkpoints: 1, best: 1_000_000_000, models: 3, ..writes };
        assert_eq!(named(writes), "1 checkpoint of 3.00 GB, the best weights of 1.00 GB, 4 models of 500.00 MB");
    }

    #[test]
    fn what_is_free_is_known_of_a_folder_and_not_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_room(folder.path()).is_some());
        assert_eq!(free_room(&folder.path().join("nowhere")), None);
        assert_eq!(testing::with_free(5, || free_room(folder.path())), Some(5));
    }
}
