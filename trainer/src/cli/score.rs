//! `score`: what a reward model gives answers, and how well it agrees with people where they ranked them.

use std::{
    fs,
    io::{self, BufRead, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use laurel_records::{RankingRecord, ResponseRecord};
use serde_json::{Map, Value, json};

use super::{Common, WrongInput, numbers, output, precision::PrecisionArgs};
use crate::{
    data::{
        DataError, ModelTokenizer, formats,
        records::{self, Source},
    },
    evaluate::{Judged, RewardReport, Verdict, found_of, rewards_of_tokens, verdicts},
    model::{ModelDirectory, RewardModel, hf::ensure_free},
    terminal::{self, counted},
    train::TrainError,
};

/// Rewards of answers, a line of JSON each; for rankings and comparisons a last line with accuracy and log_loss
///
/// FILE holds responses, demonstrations, rankings or comparisons, or lines {"input_ids":[…]}, for which the model needs no
/// tokenizer. A line has the record's id, the answer's place in it and its reward, and where the model is an ensemble the
/// disagreement: the standard deviation of what its members give. The reward is null where the tokenizer makes no token of
/// prompt and answer; what follows about rankings is without these answers. An answer that was cut, as its record says
/// ("sampling":{"finished":false}, in comparisons "chosen_finished":false), is scored without an end. At the end of
/// rankings or comparisons comes {"accuracy":…,"log_loss":…,"pairs":…}: how many pairs the rewards put in people's order, and the mean of
/// −log σ(difference); a coin has 0.5 and 0.693. Beside them stand the same by_margin and by_annotator, people (how well those
/// agree who judged the same answers, and the model's accuracy there), calibration (expected against observed agreement) and
/// length (the correlation of reward and length, the accuracy of preferring the longer answer).
#[derive(Debug, clap::Args)]
pub struct Score {
    /// A reward model
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Records (JSONL); - is standard input
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Answers that go through the model together
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = numbers::whole::<usize>)]
    batch: usize,
    #[command(flatten)]
    precision: PrecisionArgs,
    /// Also write the line about rankings as report.json, and its calibration curve as calibration.svg, into this new or empty folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
}

/// Answers of one record.
struct Scored {
    id: String,
    prompt: Vec<laurel_records::Message>,
    /// Each answer, and what it is called.
    answers: Vec<(Value, ResponseRecord)>,
    /// The ranking, where people ranked them.
    ranking: Option<RankingRecord>,
}

impl Score {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let device = common.device.open()?;
        let precision = self.precision.on(&device)?;
        let directory = ModelDirectory::open(&self.model)?;
        let input = Input::open(&self.data)?;
        let kind = input.kind()?;
        if let Some(folder) = &self.report {
            if !kind.is_ranked() {
                let reason = "--report is about rankings or comparisons, and the file holds neither";
                return Err(WrongInput(reason.into()).into());
            }
            ensure_free(folder)?;
            output::prepare_folder(folder)?;
        }
        if kind == Kind::Tokens {
            let model = directory.load_reward_model(&device)?.with_precision(precision);
            return self.score_tokens(common, &directory, &model, &input);
        }
        let tokenizer = ModelTokenizer::open(&directory)?;
        let records = kind.read(&input)?;
        let model = directory.load_reward_model(&device)?.with_precision(precision);
        let judged: Vec<Judged> = records
            .iter()
            .flat_map(|record| record.answers.iter().map(|(_, answer)| Judged::of(&record.prompt, answer)))
            .collect();
        // The rewards go to standard output.
        let progress = common.writing_to(Path::new("-")).progress(judged.len() as u64, "Answers");
        let mut reached = |done| progress.reached(done as u64);
        let members = directory.load_members(&device)?;
        let found = verdicts(&model, members.as_ref(), &tokenizer, &judged, self.batch, &mut reached)?;
        progress.finish();
        ensure_finite(found.iter().flatten().map(|verdict| verdict.reward))?;
        let unread = found.iter().filter(|verdict| verdict.is_none()).count();
        if unread > 0 && !common.quiet {
            let of = counted(found.len(), "answer");
            let [have, their] = if unread == 1 { ["has", "its"] } else { ["have", "their"] };
            terminal::say(format!(
                "laurel-trainer: {unread} of {of} {have} no token to be scored by, {their} reward is null"
            ));
        }
        if tokenizer.cuts() > 0 && !common.quiet {
            // Standard output is the rewards'.
            let (cut, of) = (tokenizer.cuts(), counted(judged.len(), "conversation"));
            let [are, were] = if cut == 1 { ["is", "was"] } else { ["are", "were"] };
            terminal::say(format!("laurel-trainer: {cut} of {of} {are} longer than the context and {were} cut"));
        }
        let mut rest = found.as_slice();
        let of_records: Vec<&[Option<Verdict>]> = records
            .iter()
            .map(|record| {
                let (own, others) = rest.split_at(record.answers.len());
                rest = others;
                own
            })
            .collect();
        let report = kind.is_ranked().then(|| summary(&records, &found));
        write(&records, &of_records, report.as_ref().map(|(_, line)| line)).context("standard output")?;
        match (&self.report, report) {
            (Some(folder), Some((report, line))) => write_report(folder, report.as_ref(), &line),
            _ => Ok(()),
        }
    }

    fn score_tokens(
        &self,
        common: &Common,
        directory: &ModelDirectory,
        model: &RewardModel,
        input: &Input,
    ) -> anyhow::Result<()> {
        let config = directory.config();
        let rows = records::token_ids(input, config.vocabulary_size, config.context_length)?;
        let rows: Vec<&[u32]> = rows.iter().map(|row| row.input_ids.as_slice()).collect();
        let progress = common.writing_to(Path::new("-")).progress(rows.len() as u64, "Rows");
        let rewards = rewards_of_tokens(model, &rows, self.batch, &mut |done| progress.reached(done as u64));
        progress.finish();
        ensure_finite(rewards.iter().copied())?;
        let mut out = BufWriter::new(io::stdout().lock());
        for reward in rewards {
            writeln!(out, "{}", json!({ "reward": reward })).context("standard output")?;
        }
        out.flush().context("standard output")
    }
}

/// Refuses rewards that are beyond use, as of damaged weights: JSON would have null for them, and an accuracy count them as wrong.
fn ensure_finite(mut rewards: impl Iterator<Item = f64>) -> Result<(), TrainError> {
    if rewards.all(f64::is_finite) { Ok(()) } else { Err(TrainError::NotFinite { what: "score of an answer" }) }
}

/// What rankings say of the rewards: the report, where they put two answers apart, and the line that tells it.
fn summary(records: &[Scored], found: &[Option<Verdict>]) -> (Option<RewardReport>, Value) {
    let (rankings, found) = found_of(records.iter().filter_map(|record| record.ranking.as_ref()), found);
    let rankings: Vec<&RankingRecord> = rankings.iter().map(|ranking| &**ranking).collect();
    let of = |value: fn(&Verdict) -> f64| -> Vec<Vec<f64>> {
        found.iter().map(|answers| answers.iter().map(value).collect()).collect()
    };
    let report = RewardReport::of(&rankings, &of(|one| one.reward), &of(|one| one.length as f64));
    let line = match &report {
        Some(report) => serde_json::to_value(report).unwrap_or_default(),
        None => json!({ "accuracy": null, "log_loss": null, "pairs": 0 }),
    };
    (report, line)
}

/// One line an answer, and where people ranked them the line about that.
fn write(records: &[Scored], found: &[&[Option<Verdict>]], report: Option<&Value>) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for (record, verdicts) in records.iter().zip(found) {
        for ((name, _), verdict) in record.answers.iter().zip(*verdicts) {
            let reward = verdict.as_ref().map(|verdict| verdict.reward);
            let mut line = json!({ "id": record.id, "answer": name, "reward": reward });
            if let Some(disagreement) = verdict.as_ref().and_then(Verdict::disagreement) {
                line["disagreement"] = json!(disagreement);
            }
            writeln!(out, "{line}")?;
        }
    }
    if let Some(report) = report {
        writeln!(out, "{report}")?;
    }
    out.flush()
}

fn write_report(folder: &Path, report: Option<&RewardReport>, line: &Value) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    write("report.json", format!("{line:#}\n"))?;
    report.map_or(Ok(()), |report| write("calibration.svg", report.calibration.svg()))
}

/// What the lines of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
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
            () if has("chosen") => Self::Comparisons,
            () if has("ranks") => Self::Rankings,
            () if has("responses") => Self::Responses,
            () if has("completion") || has("messages") => Self::Demonstrations,
            () => return None,
        })
    }

    /// Whether people put the answers into an order.
    fn is_ranked(self) -> bool {
        matches!(self, Self::Rankings | Self::Comparisons)
    }

    fn read(self, input: &Input) -> anyhow::Result<Vec<Scored>> {
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
struct Input {
    path: PathBuf,
    /// What the user calls it.
    name: String,
    /// Standard input or a pipe, kept for the second reading.
    _kept: Option<tempfile::NamedTempFile>,
}

impl Input {
    fn open(path: &Path) -> anyhow::Result<Self> {
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
    fn kind(&self) -> anyhow::Result<Kind> {
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
    fn rewards_that_are_no_numbers_are_refused() {
        assert!(ensure_finite([0.5, -2.0].into_iter()).is_ok());
        for wrong in [f64::NAN, f64::INFINITY] {
            assert!(ensure_finite([0.5, wrong].into_iter()).is_err_and(|error| error.to_string().contains("score")));
        }
    }

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
