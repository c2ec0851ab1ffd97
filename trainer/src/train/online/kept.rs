//! Policies that are kept on the way, as models beside the run's own: `OUT.policies/000010` after ten steps.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::super::{Earlier, TrainError};

/// Refuses a place that holds policies of another run: those of one run are not to be mixed with another's. `from`: the step that
/// the run goes on from, where it does not begin afresh.
pub fn ensure_clear(out: &Path, earlier: Earlier, from: Option<usize>) -> Result<(), TrainError> {
    let folder = folder(out);
    if from.is_some() || earlier == Earlier::Overwrite || !folder.exists() {
        return Ok(());
    }
    let text = format!("{} holds policies of an earlier run; --overwrite removes them", folder.display());
    Err(TrainError::Input(text))
}

/// Makes room for the policies of a run that [`ensure_clear`] has nothing against: what was kept on the way that is gone again is
/// removed, and all that another run kept where that was asked for, as its checkpoints are.
pub fn clear(out: &Path, earlier: Earlier, from: Option<usize>) -> Result<(), TrainError> {
    ensure_clear(out, earlier, from)?;
    let folder = folder(out);
    if !folder.exists() {
        return Ok(());
    }
    match from {
        Some(step) => remove_after(&folder, step),
        None => fs::remove_dir_all(&folder).map_err(TrainError::file(folder)),
    }
}

/// Removes the policies of the steps after `step`.
fn remove_after(folder: &Path, step: usize) -> Result<(), TrainError> {
    for entry in fs::read_dir(folder).map_err(TrainError::file(folder))? {
        let path = entry.map_err(TrainError::file(folder))?.path();
        let of = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<usize>().ok());
        if of.is_some_and(|of| of > step) {
            fs::remove_dir_all(&path).map_err(TrainError::file(path))?;
        }
    }
    Ok(())
}

/// How many policies a run of so many steps keeps on the way. Where some lie there already, which may go or stay, nothing is known.
pub fn to_come(out: &Path, every: usize, steps: usize) -> usize {
    if every == 0 || folder(out).exists() { 0 } else { steps / every }
}

/// Where the policy after `step` steps goes. What was there is removed.
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

/// Beside the model, whose path may be written with a slash at its end.
fn folder(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_os_string();
    name.push(".policies");
    out.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_lie_beside_the_model_and_never_in_it() {
        for out in ["runs/ppo", "runs/ppo/"] {
            assert_eq!(folder(Path::new(out)), Path::new("runs/ppo.policies"), "{out}");
        }
    }

    #[test]
    fn a_run_that_goes_on_keeps_those_of_its_way_and_one_that_begins_keeps_none_of_another() {
        let scratch = tempfile::tempdir().unwrap();
        let out = scratch.path().join("out");
        let names = || -> Vec<String> {
            let entries = fs::read_dir(folder(&out)).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        for earlier in [Earlier::Refuse, Earlier::Resume, Earlier::Overwrite] {
            clear(&out, earlier, None).unwrap();
        }
        assert_eq!((to_come(&out, 2, 7), to_come(&out, 0, 7)), (3, 0));
        for step in [2, 4, 6] {
            fs::create_dir(place(&out, step).unwrap()).unwrap();
        }
        assert_eq!(to_come(&out, 2, 7), 0);
        clear(&out, Earlier::Resume, Some(4)).unwrap();
        assert_eq!(names(), ["000002", "000004"]);
        // With nothing to go on from, a run begins: what is there is another's.
        for earlier in [Earlier::Refuse, Earlier::Resume] {
            let error = clear(&out, earlier, None).unwrap_err();
            assert!(error.is_wrong_input() && error.to_string().contains("--overwrite"), "{error}");
        }
        clear(&out, Earlier::Overwrite, None).unwrap();
        assert!(!folder(&out).exists());
    }
}
