//! Files of records that a command writes: whole or not at all.

use std::{
    fs,
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use anyhow::Context;
use serde::Serialize;

use super::WrongInput;

/// Whether a path on the command line means standard output.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Refuses a place for a file that none can appear at: before minutes go into what should stand in it.
pub fn ensure_place(path: &Path) -> Result<(), WrongInput> {
    if is_stdout(path) {
        return Ok(());
    }
    if path.is_dir() {
        return Err(WrongInput(format!("{}: is a folder, not a file", path.display())));
    }
    ensure_folder(path)
}

/// Refuses a place in a folder that is not there.
pub fn ensure_folder(path: &Path) -> Result<(), WrongInput> {
    let folder = folder_of(path);
    if folder.is_dir() {
        return Ok(());
    }
    Err(WrongInput(format!("{}: there is no folder {}", path.display(), folder.display())))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes one JSON object a line to `path`, which appears by rename; `-` is standard output.
pub fn write_lines<T: Serialize>(path: &Path, lines: impl Iterator<Item = T>) -> anyhow::Result<()> {
    if is_stdout(path) {
        return write_to(&mut io::stdout().lock(), lines).context("standard output");
    }
    let name = || path.display().to_string();
    let folder = folder_of(path);
    // Without the name of the temporary file, which says nothing to the user.
    let partial = tempfile::NamedTempFile::new_in(folder).map_err(|error| io::Error::from(error.kind()));
    let mut file = partial.with_context(name)?;
    write_to(file.as_file_mut(), lines).with_context(name)?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).with_context(name)?;
    file.as_file().sync_all().with_context(name)?;
    file.persist(path).map_err(|error| error.error).with_context(name)?;
    Ok(())
}

fn write_to<T: Serialize>(out: &mut impl Write, lines: impl Iterator<Item = T>) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    for line in lines {
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_where_no_file_can_appear_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| ensure_place(path).unwrap_err().to_string();
        assert!(refused(folder.path()).ends_with("is a folder, not a file"));
        assert!(refused(&folder.path().join("none/answers.jsonl")).ends_with("/none"));
        for good in [folder.path().join("answers.jsonl"), "-".into(), "answers.jsonl".into()] {
            ensure_place(&good).unwrap();
        }
    }
}
