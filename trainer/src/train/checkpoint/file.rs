//! One checkpoint as a file: tensors, and in its header who wrote it and where the run was. Written beside and renamed, so that
//! a file that is there is whole.

use std::{fs, path::Path};

use memmap2::Mmap;
use safetensors::{SafeTensorError, SafeTensors};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Position;
use crate::{
    train::{
        error::TrainError,
        stored::{Stored, Tensors},
    },
    transfer::{Counted, Transfer},
};

/// What a checkpoint says of itself.
#[derive(Serialize, Deserialize)]
pub struct Header {
    /// A [`super::Identity`] as [`crate::train::exact::write`] wrote it: a setting that came back another number would make it
    /// another run's.
    pub identity: Value,
    pub position: Position,
}

/// Writes a checkpoint to `path`, whose folder is there. Where that fails, on a full disk above all, nothing is left of it.
pub fn write(path: &Path, header: &Header, tensors: &Tensors) -> Result<(), SafeTensorError> {
    let partial = path.with_extension("partial");
    let written = write_partial(path, &partial, header, tensors);
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written
}

fn write_partial(path: &Path, partial: &Path, header: &Header, tensors: &Tensors) -> Result<(), SafeTensorError> {
    let header = serde_json::to_string(header)?;
    let metadata = [("laurel".to_owned(), header)].into();
    let bytes = tensors.values().map(|stored| 4 * stored.values.len() as u64).sum();
    let transfer = Transfer::writing(path, bytes);
    let counted = tensors.iter().map(|(name, stored)| (name, Counted::new(stored, &transfer)));
    safetensors::serialize_to_file(counted, Some(metadata), partial)?;
    fs::File::open(partial)?.sync_all()?;
    Ok(fs::rename(partial, path)?)
}

/// What a checkpoint says of itself, without its tensors.
pub fn read_header(path: &Path) -> Result<Header, TrainError> {
    header_of(path, &map(path)?)
}

/// A whole checkpoint.
pub fn read(path: &Path) -> Result<(Header, Tensors), TrainError> {
    // Not a copy of the file beside its values: what could write it could not go on from it.
    let bytes = map(path)?;
    let header = header_of(path, &bytes)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| TrainError::checkpoint(path, error))?;
    let views = file.tensors();
    let transfer = Transfer::reading(path, views.iter().map(|(_, view)| view.data().len() as u64).sum());
    let mut tensors = Tensors::new();
    for (name, view) in views {
        transfer.add(view.data().len());
        let values = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        tensors.insert(name, Stored { shape: view.shape().to_vec(), values });
    }
    Ok((header, tensors))
}

fn map(path: &Path) -> Result<Mmap, TrainError> {
    let file = fs::File::open(path).map_err(TrainError::file(path))?;
    // SAFETY: checkpoints are never changed in place: they appear by rename and are removed whole.
    unsafe { Mmap::map(&file) }.map_err(TrainError::file(path))
}

fn header_of(path: &Path, bytes: &[u8]) -> Result<Header, TrainError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| TrainError::checkpoint(path, error))?;
    let text = metadata.metadata().as_ref().and_then(|metadata| metadata.get("laurel"));
    let text = text.ok_or_else(|| TrainError::checkpoint(path, "is not one of our checkpoints"))?;
    serde_json::from_str(text).map_err(|error| TrainError::checkpoint(path, error))
}
