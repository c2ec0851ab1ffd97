//! Files of records that a command writes: whole or not at all.

use std::{
    fmt::Display,
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use serde::Serialize;

use super::WrongInput;
use crate::model::ModelError;

/// Whether a path on the command line means standard output.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new("-") || path == Path::new("/dev/stdout")
}

/// Whether a path is standard output, or there is something at it that is written into as it stands, a device or a pipe: a file that
/// takes its place by rename would remove it.
pub fn is_stream(path: &Path) -> bool {
    is_stdout(path) || fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Opens what [`is_stream`].
pub fn open_stream(path: &Path) -> io::Result<Box<dyn Write>> {
    if is_stdout(path) {
        return Ok(Box::new(io::stdout()));
    }
    Ok(Box::new(fs::OpenOptions::new().write(true).open(path)?))
}

/// What the user calls it.
pub fn name_of_stream(path: &Path) -> String {
    if is_stdout(path) { "standard output".to_owned() } else { path.display().to_string() }
}

/// Prints what came of a command. What stands on standard output is the command's result, so it fails where that can't be written.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("standard output")
}

/// Makes the folder of what a command writes at its end, and refuses a place where that can't be: now, and not after all that
/// was computed for it.
pub fn prepare(path: &Path) -> anyhow::Result<()> {
    // A pipe is not opened twice: its reader would take the first closing for the end.
    if is_stream(path) {
        return Ok(());
    }
    if path.is_dir() {
        return Err(WrongInput(format!("{} is a directory", path.display())).into());
    }
    prepare_folder(&place_of(path))
}

/// The same for a model, which may take the place of an empty folder.
pub fn prepare_model(path: &Path) -> anyhow::Result<()> {
    // `.` and `a/..` are folders that others know by their names: nothing takes their place, and the checkpoints would lie in them.
    if path.file_name().is_none() {
        let why = "a model appears by rename, so its place needs a name; name a new folder";
        return Err(WrongInput(format!("{}: {why}", path.display())).into());
    }
    prepare_folder(path)
}

/// The same for a folder.
pub fn prepare_folder(path: &Path) -> anyhow::Result<()> {
    let folder = folder_of(path);
    let failed = || format!("{} can't be made", path.display());
    fs::create_dir_all(folder).map_err(ModelError::file(folder)).with_context(failed)?;
    // Whether something can be written there shows when it is tried. The name of the temporary file says nothing to the user.
    let refused = |error: io::Error| io::Error::new(error.kind(), format!("takes no new file ({})", error.kind()));
    tempfile::tempfile_in(folder).map_err(|error| ModelError::file(folder)(refused(error))).with_context(failed)?;
    Ok(())
}

/// Refuses to write over the file that is read: the answers would take the place of the only copy of the prompts.
pub fn ensure_other_file(out: &Path, option: &str, input: &Path) -> Result<(), WrongInput> {
    let is_same = match (fs::canonicalize(out), fs::canonicalize(input)) {
        (Ok(out), Ok(input)) => out == input && out.is_file(),
        _ => false,
    };
    if is_same && !is_stdout(out) {
        return Err(WrongInput(format!("--out {} is the file of {option}; name another file", out.display())));
    }
    Ok(())
}

/// Where a file or folder lies.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where a file is replaced: what takes the place of a link would leave the file that it leads to as it was.
pub fn place_of(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Writes a new file with one JSON object a line, in a folder that is not in its place yet.
pub fn write_lines<T: Serialize>(path: &Path, lines: impl Iterator<Item = T>) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        let mut out = BufWriter::new(fs::File::create_new(path)?);
        for line in lines {
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        out.get_ref().sync_all()
    };
    write().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_where_no_file_can_appear_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path| prepare(path).unwrap_err().to_string();
        assert!(refused(folder.path()).ends_with("is a directory"));
        fs::write(folder.path().join("file"), "").unwrap();
        let why = format!("{:#}", prepare(&folder.path().join("file/answers.jsonl")).unwrap_err());
        assert!(why.contains("/file/answers.jsonl can't be made: ") && why.contains("/file: "), "{why}");
        for good in [folder.path().join("new/answers.jsonl"), "-".into(), "answers.jsonl".into()] {
            prepare(&good).unwrap();
        }
        assert!(folder.path().join("new").is_dir());
        prepare_model(&folder.path().join("new")).unwrap();
        for nameless in [".", "..", "new/.."] {
            let why = prepare_model(Path::new(nameless)).unwrap_err().to_string();
            assert!(why.starts_with(&format!("{nameless}: ")) && why.contains("needs a name"), "{why}");
        }
        assert!(is_stream(Path::new("/dev/stdout")) && !is_stream(Path::new("nowhere")));
    }

    #[test]
    fn what_is_read_is_not_written_over_by_whatever_path() {
        let folder = tempfile::tempdir().unwrap();
        let [prompts, link, answers] = ["prompts", "link", "answers"].map(|name| folder.path().join(name));
        for file in [&prompts, &answers] {
            fs::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink(&prompts, &link).unwrap();
        for same in [&prompts, &link, &folder.path().join("./prompts")] {
            let why = ensure_other_file(same, "--prompts", &prompts).unwrap_err().to_string();
            assert!(why.ends_with("is the file of --prompts; name another file"), "{why}");
        }
        for other in [&answers, &folder.path().join("new"), &"-".into()] {
            ensure_other_file(other, "--prompts", &prompts).unwrap();
        }
        ensure_other_file(Path::new("-"), "--prompts", Path::new("-")).unwrap();
        ensure_other_file(Path::new("/dev/null"), "--prompts", Path::new("/dev/null")).unwrap();
    }
}
