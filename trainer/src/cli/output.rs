//! Files of records that a command writes: whole or not at all.

use std::{
    fmt::Display,
    fs,
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt,
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

/// Whether there is something at a path that is written into as it stands, a device or a pipe: a file that takes its place by rename
/// would remove it.
fn is_no_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// Prints what came of a command. What stands on standard output is the command's result, so it fails where that can't be written.
pub fn print(text: impl Display) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("standard output")
}

/// Makes the folder of what a command writes at its end, and refuses a place where that can't be: now, and not after all that
/// was computed for it.
pub fn prepare(path: &Path) -> anyhow::Result<()> {
    if is_stdout(path) {
        return Ok(());
    }
    if path.is_dir() {
        return Err(WrongInput(format!("{} is a directory", path.display())).into());
    }
    // A pipe is not opened twice: its reader would take the first closing for the end.
    if is_no_file(path) {
        return Ok(());
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
fn place_of(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Writes one JSON object a line to `path`, which appears by rename; `-` is standard output. A device or a pipe stays what it
/// is, and so does a link to a file.
pub fn write_lines<T: Serialize>(path: &Path, lines: impl Iterator<Item = T>) -> anyhow::Result<()> {
    if is_stdout(path) {
        return write_to(&mut io::stdout().lock(), lines).context("standard output");
    }
    let name = || path.display().to_string();
    if is_no_file(path) {
        let mut out = fs::OpenOptions::new().write(true).open(path).with_context(name)?;
        return write_to(&mut out, lines).with_context(name);
    }
    let path = place_of(path);
    // Who may read it is for the umask to say, as with every new file.
    let open_to_all = fs::Permissions::from_mode(0o666);
    let partial = tempfile::Builder::new().permissions(open_to_all).tempfile_in(folder_of(&path));
    // Without the name of the temporary file, which says nothing to the user.
    let partial = partial.map_err(|error| io::Error::from(error.kind()));
    let mut file = partial.with_context(name)?;
    write_to(file.as_file_mut(), lines).with_context(name)?;
    file.as_file().sync_all().with_context(name)?;
    file.persist(&path).map_err(|error| error.error).with_context(name)?;
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

    #[test]
    fn a_file_is_replaced_where_a_link_leads_and_is_read_by_whom_the_umask_lets() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        prepare(&link).unwrap();
        write_lines(&link, [1, 2].into_iter()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "1\n2\n");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        fs::write(folder.path().join("other"), "").unwrap();
        assert_eq!(mode(&file), mode(&folder.path().join("other")));
    }

    #[test]
    fn a_pipe_is_written_into_and_stays() {
        use std::{io::Read, os::fd::AsRawFd};
        let (mut reader, writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", writer.as_raw_fd());
        prepare(Path::new(&path)).unwrap();
        write_lines(Path::new(&path), [1, 2].into_iter()).unwrap();
        drop(writer);
        let mut written = String::new();
        reader.read_to_string(&mut written).unwrap();
        assert_eq!(written, "1\n2\n");
        assert!(is_stdout(Path::new("/dev/stdout")) && !is_no_file(Path::new("nowhere")));
    }
}
