//! What a run leaves that ends early, and who may go on from it.

use std::{
    io::Read,
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
};

use serde_json::json;

use super::*;

const ANEW: ResumeArgs = ResumeArgs { resume: false, overwrite: false };
const RESUME: ResumeArgs = ResumeArgs { resume: true, overwrite: false };
const OVERWRITE: ResumeArgs = ResumeArgs { resume: false, overwrite: true };

fn identity(seed: u64, temperature: f64) -> Identity {
    let settings = json!({"temperature": temperature}).as_object().cloned().unwrap();
    Identity { stage: "generate".into(), inputs: [("model".into(), "a".into())].into(), seed, settings }
}

/// What a run with seed 1 finds at `out`.
fn open_at(out: &Path, arguments: ResumeArgs) -> anyhow::Result<(KeptLines, Vec<f64>)> {
    KeptLines::open(out, arguments, || Ok(identity(1, 0.7)))
}

/// Adds the numbers from `first` on, each with a third of itself noted.
fn add(lines: &mut KeptLines, numbers: std::ops::Range<u32>) {
    numbers.for_each(|number| lines.add(&number, &(f64::from(number) / 3.0)).unwrap());
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A run that ended after two lines, as it wrote the third.
fn ended_early(folder: &Path) -> PathBuf {
    let out = folder.join("out");
    let (mut lines, noted) = open_at(&out, ANEW).unwrap();
    assert!(noted.is_empty() && names(folder).is_empty(), "nothing is written before there is a line");
    add(&mut lines, 10..13);
    drop(lines);
    let partial = fs::read(folder.join("out.partial")).unwrap();
    assert_eq!(partial, b"10\n11\n12\n");
    fs::write(folder.join("out.partial"), &partial[..7]).unwrap();
    assert_eq!(names(folder), ["out.partial", "out.resume"]);
    out
}

#[test]
fn a_run_that_ended_early_is_continued_after_its_last_whole_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = ended_early(folder.path());
    let (mut lines, noted) = open_at(&out, RESUME).unwrap();
    assert_eq!(noted, [10.0 / 3.0, 11.0 / 3.0]);
    add(&mut lines, 12..14);
    lines.add_last(&"the end").unwrap();
    // As a run that is killed just before its end.
    drop(lines);
    let (mut lines, noted) = open_at(&out, RESUME).unwrap();
    assert_eq!((noted.len(), out.exists()), (4, false));
    lines.add_last(&"the end").unwrap();
    lines.finish().unwrap();
    assert_eq!(fs::read_to_string(&out).unwrap(), "10\n11\n12\n13\n\"the end\"\n");
    assert_eq!(names(folder.path()), ["out"]);
}

#[test]
fn notes_that_were_torn_are_made_again_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = ended_early(folder.path());
    let notes = folder.path().join("out.resume");
    let text = fs::read_to_string(&notes).unwrap();
    let second = text.match_indices('\n').nth(1).unwrap().0;
    fs::write(&notes, &text[..second + 4]).unwrap();
    let (mut lines, noted) = open_at(&out, RESUME).unwrap();
    assert_eq!(noted, [10.0 / 3.0]);
    add(&mut lines, 11..12);
    lines.finish().unwrap();
    assert_eq!(fs::read_to_string(&out).unwrap(), "10\n11\n");
}

#[test]
fn what_an_earlier_run_left_is_replaced_only_when_that_is_asked_for_and_continued_only_by_the_same_work() {
    let folder = tempfile::tempdir().unwrap();
    let out = ended_early(folder.path());
    let refused = |found: anyhow::Result<(KeptLines, Vec<f64>)>| {
        let error = found.map(drop).unwrap_err();
        assert!(error.is::<WrongInput>(), "{error}");
        error.to_string()
    };
    let why = refused(open_at(&out, ANEW));
    assert!(why.contains("out.partial") && why.contains("--resume") && why.contains("--overwrite"), "{why}");
    for (other, words) in [
        (identity(2, 0.7), "its seed is 1;"),
        (identity(1, 0.8), "temperature was 0.7 and is 0.8;"),
        (Identity { inputs: [("model".into(), "b".into())].into(), ..identity(1, 0.7) }, "its model is another;"),
        (Identity { stage: "score".into(), ..identity(1, 0.7) }, "it is of generate;"),
    ] {
        let why = refused(KeptLines::open(&out, RESUME, || Ok(other)));
        assert!(why.contains("belongs to other work: ") && why.contains(words), "{why}");
    }
    let kept = fs::read_to_string(folder.path().join("out.partial")).unwrap();
    assert_eq!(kept, "10\n11\n1", "who is refused changes nothing");

    // It stays until there is something to take its place.
    let (mut lines, noted) = open_at(&out, OVERWRITE).unwrap();
    assert!(noted.is_empty() && folder.path().join("out.partial").metadata().unwrap().len() == 7);
    add(&mut lines, 1..2);
    // Two runs at a time would write over each other.
    let why = refused(open_at(&out, RESUME));
    assert!(why.contains("another run"), "{why}");
    lines.finish().unwrap();
    assert_eq!((fs::read_to_string(&out).unwrap().as_str(), names(folder.path()).len()), ("1\n", 1));

    fs::write(folder.path().join("out.partial"), "10\n").unwrap();
    assert!(refused(open_at(&out, RESUME)).contains("out.resume"));
}

#[test]
fn a_file_is_replaced_where_a_link_leads_and_is_read_by_whom_the_umask_lets() {
    let folder = tempfile::tempdir().unwrap();
    let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
    fs::write(&file, "before").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    output::prepare(&link).unwrap();
    let (mut lines, _) = open_at(&link, ANEW).unwrap();
    add(&mut lines, 1..3);
    assert_eq!(fs::read_to_string(&file).unwrap(), "before");
    lines.finish().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), "1\n2\n");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    fs::write(folder.path().join("other"), "").unwrap();
    assert_eq!(mode(&file), mode(&folder.path().join("other")));
}

#[test]
fn a_pipe_is_written_into_line_by_line_and_stays() {
    let (mut reader, writer) = io::pipe().unwrap();
    let path = PathBuf::from(format!("/dev/fd/{}", writer.as_raw_fd()));
    output::prepare(&path).unwrap();
    let (mut lines, _) = open_at(&path, ANEW).unwrap();
    add(&mut lines, 1..2);
    let mut first = [0; 2];
    reader.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"1\n", "whoever reads has it before the run is over");
    add(&mut lines, 2..3);
    lines.finish().unwrap();
    drop(writer);
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "2\n");
    let why = open_at(Path::new("-"), RESUME).map(drop).unwrap_err().to_string();
    assert!(why.starts_with("--resume goes on with a file, and standard output is none"), "{why}");
}

#[test]
fn a_file_without_a_line_is_there_too() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    // There is nothing to go on from, which is said.
    open_at(&out, RESUME).unwrap().0.finish().unwrap();
    assert_eq!((fs::read_to_string(&out).unwrap(), names(folder.path()).len()), (String::new(), 1));
}
