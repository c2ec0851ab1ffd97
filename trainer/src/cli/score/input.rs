//! What `score` is given: records of any kind, from a file or a pipe.

use std::{
    fs,
    io::{self, BufRead, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use laurel_records::{Message, RankingRecord, ResponseRecord};
use serde_json::{Map, Value, json};

use crate::{
    cli::WrongInput,
    data::{
        DataError, formats,
        records::{self, Source},
    },
};

/// Answers of one record.
pub struct Scored {
    pub id: String,
    pub prompt: Vec<Message>,
    /// Each answer, and what it is called.
    pub answers: Vec<(Value, ResponseRecord)>,
    /// The ranking, where people ranked them.
    pub ranking: Option<RankingRecord>,
}

/// What the lines of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Rankings,
    Comparisons,
    Responses,
    Demonstrations,
    Tokens,
}

impl Kind {
    fn of(object: &Map<String, Value>) -> Option<Self> {
        let has = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
        Some(match () {
            () if has("input_ids") => Self::Tokens,
            () if has("chosen") && records::is_comparison(object) => Self::Comparisons,
            () if has("ranks") => Self::Rankings,
            () if has("responses") => Self::Responses,
            () if has("completion") || has("messages") => Self::Demonstrations,
            () => return None,
        })
    }

    /// Whether people put the answers into an order.
    pub fn is_ranked(self) -> bool {
        matches!(self, Self::Rankings | Self::Comparisons)
    }

    /// The records of a file that holds this kind.
    pub fn read(self, input: &Input) -> anyhow::Result<Vec<Scored>> {
        let numbered = |answers: Vec<ResponseRecord>| -> Vec<(Value, ResponseRecord)> {
            answers.into_iter().enumerate().map(|(at, answer)| (json!(at), answer)).collect()
        };
        Ok(match self {
            Self::Rankings | Self::Comparisons => records::rankings(input)?
                .into_iter()
                .map(|record| {
                    let mut answers = numbered(record.responses.clone());
                    // A file may hold rankings too, and those put their answers in any order.
                    if self == Self::Comparisons && record.ranks == [1, 2] {
                        answers
                            .iter_mut()
                            .zip(["chosen", "rejected"])
                            .for_each(|(answer, name)| answer.0 = json!(name));
                    }
                    let (id, prompt) = (record.id.clone(), record.prompt.clone());
                    Scored { id, prompt, answers, ranking: Some(record) }
                })
                .collect(),
            Self::Responses => records::responses(input)?
                .into_iter()
                .map(|record| Scored {
                    id: record.prompt_id.unwrap_or_default(),
                    prompt: record.prompt,
                    answers: numbered(record.responses),
                    ranking: None,
                })
                .collect(),
            Self::Demonstrations | Self::Tokens => records::demonstrations(input)?
                .into_iter()
                .map(|record| Scored {
                    id: record.id,
                    prompt: record.prompt,
                    answers: numbered(
                        record.completion.into_iter().map(|message| ResponseRecord::text(message.content)).collect(),
                    ),
                    ranking: None,
                })
                .collect(),
        })
    }
}

/// A file that can be read twice: first for what it holds, then for its records.
pub struct Input {
    path: PathBuf,
    /// What the user calls it.
    name: String,
    /// Standard input or a pipe, kept for the second reading.
    _kept: Option<tempfile::NamedTempFile>,
}

impl Input {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let is_stdin = path == Path::new("-");
        let is_pipe = !is_stdin && fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
        if !is_stdin && !is_pipe {
            return Ok(Self { path: path.to_path_buf(), name: path.display().to_string(), _kept: None });
        }
        let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
        let text = if is_pipe {
            fs::read(path).with_context(|| name.clone())?
        } else {
            let mut text = Vec::new();
            io::stdin().lock().read_to_end(&mut text).with_context(|| name.clone())?;
            text
        };
        let mut kept = tempfile::Builder::new().prefix("standard-input-").tempfile()?;
        kept.write_all(&text)?;
        Ok(Self { path: kept.path().to_path_buf(), name, _kept: Some(kept) })
    }

    fn failed(&self, source: io::Error) -> DataError {
        DataError::File { path: PathBuf::from(&self.name), source }
    }

    /// By the first line that holds something.
    pub fn kind(&self) -> anyhow::Result<Kind> {
        let name = &self.name;
        for (number, bytes) in (1..).zip(records::open(self)?.split(b'\n')) {
            let bytes = bytes.map_err(|source| self.failed(source))?;
            if let Some(what) = formats::other_than_jsonl(&bytes) {
                return Err(WrongInput(format!("{name} {what}")).into());
            }
            let object =
                records::object_of(&bytes).map_err(|why| WrongInput(format!("{name}, line {number}: {why}")))?;
            if let Some(object) = object {
                let what = "holds neither responses, demonstrations, rankings nor comparisons";
                return Kind::of(&object).ok_or_else(|| WrongInput(format!("{name} {what}")).into());
            }
        }
        Err(WrongInput(format!("{name}: holds no record")).into())
    }
}

/// What is said of the records is said with the input's own name, not with that of the kept copy.
impl Source for Input {
    fn path(&self) -> &Path {
        &self.path
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_through_a_pipe_is_kept_for_the_second_reading() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let text = "{\"chosen\":1,\"rejected\":2}\n";
        let to = pipe.clone();
        let writer = std::thread::spawn(move || fs::write(to, text));
        let input = Input::open(&pipe).unwrap();
        assert_ne!(input.path, pipe);
        writer.join().unwrap().unwrap();
        assert_eq!(input.kind().unwrap(), Kind::Comparisons);
        assert_eq!(fs::read_to_string(&input.path).unwrap(), text);
        let error = records::rankings(&input).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}, line 1: ", pipe.display())), "{error}");
    }

    #[test]
    fn a_file_that_says_no_kind_is_refused_for_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |bytes: &[u8]| {
            let path = folder.path().join("answers.jsonl");
            fs::write(&path, bytes).unwrap();
            Input::open(&path).unwrap().kind().unwrap_err().to_string()
        };
        for (bytes, expected) in [
            (&b"\n{\"prompt\": \n"[..], "answers.jsonl, line 2: is not JSON: EOF while parsing a value at column 10"),
            (&b"{\"prompt\": \"caf\xE9\"}\n"[..], "answers.jsonl, line 1: is not UTF-8"),
            (&b"{\"prompt\": \"Tea?\"}\n"[..], "holds neither responses, demonstrations, rankings nor comparisons"),
            (&b"\n"[..], "answers.jsonl: holds no record"),
        ] {
            let found = refused(bytes);
            assert!(found.ends_with(expected), "{found}");
        }
        let error = Input::open(folder.path()).unwrap().kind().unwrap_err().to_string();
        assert!(error.ends_with("is a directory, not a file"), "{error}");
    }
}
