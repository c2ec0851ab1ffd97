//! TensorBoard: a run's numbers as scalars and its samples as text, in an event file that TensorBoard reads as it grows.

mod event;
mod framing;

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use laurel_records::{LogLevel, Role, Stage};

use super::metrics::{Reporter, Sample};
use event::What;

/// Passes everything on to another reporter, and keeps numbers and samples in an event file.
pub struct EventFile<R> {
    inner: R,
    out: Option<BufWriter<File>>,
    path: PathBuf,
    /// The folder was not there before.
    made_folder: bool,
    /// The step that the run goes on from has been said.
    started: bool,
}

impl<R: Reporter> EventFile<R> {
    /// Begins an event file in `folder`, which is the run's own: TensorBoard shows one run a folder.
    ///
    /// An earlier file of the same run stays beside it; from the step that this run starts at, TensorBoard shows what this
    /// file says. A run that ends before it has told anything, since its settings or models are refused, leaves no file.
    pub fn create(folder: &Path, inner: R) -> io::Result<Self> {
        let made_folder = !folder.exists();
        fs::create_dir_all(folder)?;
        let (now, process) = (seconds(), std::process::id());
        // TensorBoard reads the files of a run in the order of their names.
        let mut number = 0;
        let (file, path) = loop {
            let path = folder.join(format!("events.out.tfevents.{:010}.laurel.{process}.{number}", now as u64));
            match File::create_new(&path) {
                Ok(file) => break (file, path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error),
            }
        };
        let mut board = Self { inner, out: Some(BufWriter::new(file)), path, made_folder, started: false };
        board.put(0, What::FileVersion);
        Ok(board)
    }

    /// A full disk must not end a training run: the file ends, and the log says why.
    fn put(&mut self, step: u64, what: What) {
        let Some(out) = &mut self.out else { return };
        let record = event::encode(seconds(), step, what);
        if let Err(error) = framing::write_record(out, &record) {
            self.give_up(&error);
        }
    }

    fn flush(&mut self) {
        if let Some(Err(error)) = self.out.as_mut().map(Write::flush) {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &io::Error) {
        self.out = None;
        let text = format!("{}: {error}; nothing more is written to it", self.path.display());
        self.inner.log(LogLevel::Warning, &text);
    }

    fn start(&mut self, step: u64) {
        if !self.started {
            self.started = true;
            self.put(step, What::Start);
        }
    }
}

impl<R> Drop for EventFile<R> {
    fn drop(&mut self) {
        if !self.started {
            let _ = fs::remove_file(&self.path);
            if self.made_folder {
                // Where another run has written meanwhile, it is not empty and stays.
                let _ = self.path.parent().map(fs::remove_dir);
            }
        }
    }
}

impl<R: Reporter> Reporter for EventFile<R> {
    fn metric(&mut self, stage: Stage, step: u64, name: &str, value: f64) {
        self.start(0);
        self.put(step, What::Scalar { tag: name, value: value as f32 });
        self.inner.metric(stage, step, name, value);
    }

    fn log(&mut self, level: LogLevel, text: &str) {
        self.inner.log(level, text);
    }

    fn progress(&mut self, stage: Stage, step: u64, total: u64) {
        // A run that goes on says where before it says anything else; a new one may have judged its model already.
        self.start(if step == 0 { 0 } else { step + 1 });
        self.flush();
        self.inner.progress(stage, step, total);
    }

    fn samples(&mut self, stage: Stage, step: u64, samples: &[Sample]) {
        self.start(0);
        for (number, sample) in samples.iter().enumerate() {
            self.put(step, What::Text { tag: &format!("samples/{}", number + 1), text: &markdown(sample) });
        }
        self.flush();
        self.inner.samples(stage, step, samples);
    }

    fn stop_requested(&self) -> bool {
        self.inner.stop_requested()
    }
}

/// A prompt and both answers, as quotations.
fn markdown(sample: &Sample) -> String {
    let mut text = String::new();
    for message in &sample.prompt {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        text += &part(role, &message.content);
    }
    text += &part(&format!("policy, reward {:.3}", sample.policy_reward), &sample.policy);
    text += &part(&format!("reference, reward {:.3}", sample.reference_reward), &sample.reference);
    text
}

fn part(title: &str, content: &str) -> String {
    let lines: String = content.lines().map(|line| format!("> {line}  \n")).collect();
    format!("**{title}**\n\n{lines}\n")
}

fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Silent;

    #[test]
    fn a_run_that_tells_nothing_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let curves = folder.path().join("curves");
        let files = || fs::read_dir(&curves).map_or(0, Iterator::count);
        drop(EventFile::create(&curves, Silent).expect("a file"));
        assert!(!curves.exists());
        fs::create_dir(&curves).expect("a folder");
        drop(EventFile::create(&curves, Silent).expect("a file"));
        assert!(curves.exists() && files() == 0, "a folder that was there before stays");
        let mut told = EventFile::create(&curves, Silent).expect("a file");
        told.progress(Stage::Sft, 0, 1);
        drop(told);
        assert_eq!(files(), 1);
        drop(EventFile::create(&curves, Silent).expect("a file"));
        assert_eq!(files(), 1);
    }

    /// The events of scripts/tensorboard_reference.py, which writes them with TensorBoard's own writer.
    #[test]
    fn events_are_byte_for_byte_those_of_tensorboard() {
        let mut written = vec![];
        let mut put = |wall_time: f64, step, what| {
            framing::write_record(&mut written, &event::encode(wall_time, step, what)).expect("memory takes it");
        };
        put(1_700_000_000.25, 0, What::FileVersion);
        put(1_700_000_001.5, 0, What::Start);
        put(1_700_000_002.0, 0, What::Scalar { tag: "objective/kl", value: 0.0 });
        put(1_700_000_003.0, 1, What::Scalar { tag: "train/loss", value: std::f32::consts::LN_2 });
        put(1_700_000_004.0, 300, What::Scalar { tag: "eval/nll", value: -1.5e-8 });
        let text = "**user**\n\n> What is tea? 茶 🌿  \n".repeat(5);
        put(1_700_000_005.0, 300, What::Text { tag: "samples/1", text: &text });
        let expected = include_bytes!("../../../tests/tensorboard.tfevents");
        assert_eq!(written, expected, "{} and {} bytes", written.len(), expected.len());
    }
}
