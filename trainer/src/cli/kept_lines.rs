//! Lines that a long command writes as it has them, so that a run that ends early loses little.
//!
//! They stand in FILE.partial until all are there and it becomes FILE by rename: FILE itself is whole or absent. Beside it lies
//! FILE.resume, which says what the work is known by and then, for each line, what the command's report needs of it. `--resume`
//! goes on from both. Where FILE is made of the lines and is none of them, a folder say, they go when it has its place.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;

use super::{WrongInput, output};
use crate::{
    terminal,
    train::{Earlier, Identity, exact},
};

/// What becomes of lines that an earlier run left.
#[derive(Debug, Clone, Copy, Args)]
pub struct ResumeArgs {
    /// Go on after the lines that an earlier run to the same OUT left in OUT.partial; where there are none, say so and begin
    #[arg(long, conflicts_with = "overwrite")]
    resume: bool,
    /// Replace what an earlier run to the same OUT left in OUT.partial
    #[arg(long)]
    overwrite: bool,
}

impl ResumeArgs {
    fn earlier(self) -> Earlier {
        match (self.resume, self.overwrite) {
            (true, _) => Earlier::Resume,
            (_, true) => Earlier::Overwrite,
            _ => Earlier::Refuse,
        }
    }
}

/// The lines of one command, in their order.
pub struct KeptLines(Place);

enum Place {
    Stream(Stream),
    File(Partial),
}

/// Standard output, a device or a pipe: what was written there is gone.
struct Stream {
    path: PathBuf,
    out: Option<Box<dyn Write>>,
}

/// A file that is not whole yet.
struct Partial {
    /// Where it appears.
    path: PathBuf,
    /// FILE.partial
    lines: PathBuf,
    /// FILE.resume
    notes: PathBuf,
    identity: Identity,
    files: Option<Files>,
}

struct Files {
    lines: File,
    notes: File,
}

impl KeptLines {
    /// Where the lines of a command go, and what it noted of those that are there already. With `--resume` these are the lines that
    /// an earlier run left, if it was of the same `identity`; else there are none, and a run that would replace them is
    /// refused. Nothing is written before the first line.
    pub fn open<N: DeserializeOwned>(
        out: &Path,
        arguments: ResumeArgs,
        identity: impl FnOnce() -> anyhow::Result<Identity>,
    ) -> anyhow::Result<(Self, Vec<N>)> {
        let earlier = arguments.earlier();
        if output::is_stream(out) {
            if earlier == Earlier::Resume {
                let (name, why) = (output::name_of_stream(out), "what was written there before is gone");
                return Err(WrongInput(format!("--resume goes on with a file, and {name} is none: {why}")).into());
            }
            return Ok((Self(Place::Stream(Stream { path: out.to_owned(), out: None })), vec![]));
        }
        let path = output::place_of(out);
        let (lines, notes) = (beside(&path, ".partial"), beside(&path, ".resume"));
        let (name, is_there) = (lines.display().to_string(), lines.exists());
        match earlier {
            Earlier::Refuse if is_there => {
                let what = "holds what an earlier run had finished";
                let why = format!("{name} {what}: continue it with --resume, or start anew with --overwrite");
                return Err(WrongInput(why).into());
            }
            Earlier::Resume if !is_there => {
                terminal::say(format!("warning: --resume: there is no {name}, so the run begins at its beginning"));
            }
            _ => {}
        }
        let mut partial = Partial { path, lines, notes, identity: identity()?, files: None };
        let noted = if earlier == Earlier::Resume && is_there { partial.take_up()? } else { vec![] };
        Ok((Self(Place::File(partial)), noted))
    }

    /// Writes the next line, so that it is there if the run ends now. `notes`: what the command wants to know of it at its end.
    pub fn add(&mut self, line: &impl Serialize, notes: &impl Serialize) -> anyhow::Result<()> {
        match &mut self.0 {
            Place::Stream(stream) => stream.write(&text_of(line)?),
            Place::File(partial) => {
                let notes = text_of(&exact::write(notes)?)?;
                partial.files()?.notes.write_all(&notes).with_context(|| partial.notes.display().to_string())?;
                partial.write(&text_of(line)?)
            }
        }
    }

    /// Writes a line that is made of all the others: the last one, which a resumed run makes again.
    pub fn add_last(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        let text = text_of(line)?;
        match &mut self.0 {
            Place::Stream(stream) => stream.write(&text),
            Place::File(partial) => partial.write(&text),
        }
    }

    /// All lines are there: the file takes its place.
    pub fn finish(self) -> anyhow::Result<()> {
        match self.0 {
            // Also where there was no line: whoever reads waits for the end.
            Place::Stream(mut stream) => stream.write(&[]),
            Place::File(partial) => partial.finish(),
        }
    }

    /// What was made of the lines has its place, so they are not needed any more.
    pub fn discard(self) {
        if let Place::File(partial) = self.0 {
            // What has its place is whole, whether or not they can be removed.
            let _ = fs::remove_file(&partial.lines);
            let _ = fs::remove_file(&partial.notes);
        }
    }
}

impl Stream {
    fn write(&mut self, text: &[u8]) -> anyhow::Result<()> {
        let name = || output::name_of_stream(&self.path);
        if self.out.is_none() {
            self.out = Some(output::open_stream(&self.path).with_context(name)?);
        }
        let out = self.out.as_mut().expect("it was just opened");
        // Lines come while the bar is shown, and both may be seen on one terminal.
        terminal::make_room();
        out.write_all(text).and_then(|()| out.flush()).with_context(name)
    }
}

impl Partial {
    /// Goes on after the lines that are whole, and gives what was noted of them.
    fn take_up<N: DeserializeOwned>(&mut self) -> anyhow::Result<Vec<N>> {
        let unknown = |why: String| {
            let [lines, notes] = [&self.lines, &self.notes].map(|path| path.display());
            WrongInput(format!("{notes}, by which {lines} is known, {why}; start anew with --overwrite"))
        };
        if !self.notes.exists() {
            return Err(unknown("is not there".to_owned()).into());
        }
        let files = Files { notes: self.locked_notes()?, lines: open(&self.lines)? };
        let mut noted =
            whole_lines::<Value>(&files.notes).with_context(|| self.notes.display().to_string())?.into_iter();
        let written = whole_lines::<IgnoredAny>(&files.lines).with_context(|| self.lines.display().to_string())?;
        let Some((theirs, mut end_of_notes)) = noted.next() else {
            return Err(unknown("is empty".to_owned()).into());
        };
        let damaged = |error: serde_json::Error| unknown(format!("is damaged ({error})"));
        let theirs: Identity = exact::read(theirs).map_err(damaged)?;
        self.ensure_same(&theirs)?;
        let (mut kept, mut end_of_lines) = (vec![], 0);
        // A kill may fall between a line and its notes; and of the last line of all there are none.
        for ((notes, notes_end), (_, line_end)) in noted.zip(written) {
            kept.push(exact::read(notes).map_err(damaged)?);
            (end_of_notes, end_of_lines) = (notes_end, line_end);
        }
        files.notes.set_len(end_of_notes).with_context(|| self.notes.display().to_string())?;
        files.lines.set_len(end_of_lines).with_context(|| self.lines.display().to_string())?;
        self.files = Some(files);
        Ok(kept)
    }

    /// Refuses what other work left.
    fn ensure_same(&self, theirs: &Identity) -> Result<(), WrongInput> {
        let mut different = self.identity.other_work(theirs);
        different.extend(self.identity.changed_settings(theirs).map(|setting| setting.to_string()));
        if different.is_empty() {
            return Ok(());
        }
        let (lines, different) = (self.lines.display(), different.join(", "));
        Err(WrongInput(format!("{lines} belongs to other work: {different}; start anew with --overwrite")))
    }

    /// Both files, which begin with the first line that is written.
    fn files(&mut self) -> anyhow::Result<&mut Files> {
        if self.files.is_none() {
            self.files = Some(self.begin()?);
        }
        Ok(self.files.as_mut().expect("they were just opened"))
    }

    fn begin(&self) -> anyhow::Result<Files> {
        let identity = text_of(&exact::write(&self.identity)?)?;
        let mut notes = self.locked_notes()?;
        notes.set_len(0).and_then(|()| notes.write_all(&identity)).with_context(|| self.notes.display().to_string())?;
        let lines = open(&self.lines)?;
        lines.set_len(0).with_context(|| self.lines.display().to_string())?;
        Ok(Files { lines, notes })
    }

    /// The notes, which no other run writes as long as this one has them.
    fn locked_notes(&self) -> anyhow::Result<File> {
        let notes = open(&self.notes)?;
        match notes.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let why = format!("{} is being written by another run", self.lines.display());
                Err(WrongInput(why).into())
            }
            // Where files have no locks, whoever starts two runs to one place has to know it.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(notes),
        }
    }

    fn write(&mut self, text: &[u8]) -> anyhow::Result<()> {
        self.files()?.lines.write_all(text).with_context(|| self.lines.display().to_string())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.files()?.lines.sync_all().with_context(|| self.lines.display().to_string())?;
        fs::rename(&self.lines, &self.path).with_context(|| self.path.display().to_string())?;
        // Without lines beside it, it says nothing; one that stays is replaced by the next run's.
        let _ = fs::remove_file(&self.notes);
        Ok(())
    }
}

/// The path with something after its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A file to be read and added to, made where there is none.
fn open(path: &Path) -> anyhow::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).open(path);
    file.with_context(|| path.display().to_string())
}

/// A value as a line of JSON.
fn text_of(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    Ok(text)
}

/// The values of a file's lines, each with the place where its line ends; without what comes after a line that is not whole, as a
/// kill or a crash may leave one.
fn whole_lines<T: DeserializeOwned>(file: &File) -> io::Result<Vec<(T, u64)>> {
    let (mut reader, mut line) = (BufReader::new(file), vec![]);
    let (mut values, mut end) = (vec![], 0);
    loop {
        line.clear();
        end += reader.read_until(b'\n', &mut line)? as u64;
        match serde_json::from_slice(&line) {
            Ok(value) if line.ends_with(b"\n") => values.push((value, end)),
            _ => return Ok(values),
        }
    }
}

#[cfg(test)]
mod tests;
