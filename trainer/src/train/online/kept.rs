//! Policies that are kept on the way, as models beside the run's own: `OUT.policies/000010` after ten steps.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::super::{Earlier, TrainError};

/// What a run that begins afresh does with policies that an earlier run to the same place kept: as with its checkpoints, they
/// are removed where that was asked for, and else in the way. Those of one run are not to be mixed with another's.
pub fn clear(out: &Path, earlier: Earlier) -> Result<(), TrainError> {
    let folder = folder(out);
    match earlier {
        Earlier::Resume => Ok(()),
        _ if !folder.exists() => Ok(()),
        Earlier::Overwrite => fs::remove_dir_all(&folder).map_err(TrainError::file(folder)),
        Earlier::Refuse => {
            let text = format!("{} holds policies of an earlier run; --overwrite removes them", folder.display());
            Err(TrainError::Input(text))
        }
    }
}

/// Where the policy after `step` steps goes. What was there, of a run that went on from before that step, is removed.
pub fn place(out: &Path, step: usize) -> Result<PathBuf, TrainError> {
    let folder = folder(out);
    let place = folder.join(format!("{step:06}"));
    match fs::remove_dir_all(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(TrainError::file(place)(error)),
        _ => {}
    }
    fs::create_dir_all(&folder).map_err(TrainError::file(folder))?;
    Ok(place)
}

fn folder(out: &Path) -> PathBuf {
    let mut folder = out.as_os_str().to_owned();
    folder.push(".policies");
    PathBuf::from(folder)
}
