//! Policies that are kept on the way, as models beside the run's own: `OUT.policies/000010` after ten steps.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::super::TrainError;

/// Where the policy after `step` steps goes. What an earlier run left there is removed.
pub fn place(out: &Path, step: usize) -> Result<PathBuf, TrainError> {
    let mut folder = out.as_os_str().to_owned();
    folder.push(".policies");
    let folder = PathBuf::from(folder);
    let place = folder.join(format!("{step:06}"));
    match fs::remove_dir_all(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(TrainError::file(place)(error)),
        _ => {}
    }
    fs::create_dir_all(&folder).map_err(TrainError::file(folder))?;
    Ok(place)
}
