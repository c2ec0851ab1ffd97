//! `laurel gold`: the gold reward of the sample task, over files of records. For tests and trials; no trainer reads it.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use laurel_records::{Message, RankingRecord, ResponsesRecord};
use serde_json::{Map, Value, json};

use super::{WrongInput, deviation};
use crate::{
    domain::statistics::proportion::{clustered_mean, wilson},
    sample::{
        gold::{self, Judgement},
        judge::Judge,
    },
};

/// Gold rewards that differ by less are equal: sums of the same terms may differ in their last digit.
const SAME: f64 = 1e-9;

/// Judge answers by the rule that stands in for a person in the sample project
#[derive(Debug, clap::Args)]
pub struct Gold {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the mean gold reward of all answers of a file of responses, and of its terms, as one line of JSON
    Score {
        /// Records of responses (JSONL)
        file: PathBuf,
    },
    /// Print the gold reward of every answer, one line of JSON a record: its prompt and the rewards in the answers' order
    Rewards {
        /// Records of responses (JSONL)
        file: PathBuf,
    },
    /// Compare the answers of two models to the same prompts; prints one line of JSON
    ///
    /// `win_rate` is how often an answer of A has the higher gold reward, a tie being half a win: a prompt is one contest, its
    /// result the share of all pairs of an answer of A and one of B. `low` and `high` are the ends of its 95 % interval
    /// (Wilson). `difference` is the mean gold reward of A less that of B, paired by prompt, with its interval.
    Compare {
        /// Records of responses (JSONL)
        a: PathBuf,
        /// Records of responses to the same prompts (JSONL), in any order
        b: PathBuf,
    },
    /// Rank the answers of every record, as simulated annotators with errors do; prints records of rankings (JSONL)
    Rank {
        /// Records of responses (JSONL)
        file: PathBuf,
        /// Standard deviation of a judge's error, in units of the gold reward
        #[arg(long, default_value_t = 0.5, value_parser = deviation)]
        noise: f64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many simulated annotators share the work
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
        annotators: u64,
    },
}

impl Gold {
    /// Runs the command; results go to standard output.
    pub fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            Command::Score { file } => score(&read(file)?),
            Command::Rewards { file } => rewards(&read(file)?),
            Command::Compare { a, b } => {
                writeln!(std::io::stdout(), "{}", compare(a, b)?)?;
                Ok(())
            }
            Command::Rank { file, noise, seed, annotators } => {
                rank(read(file)?, *noise, *seed, *annotators, &mut std::io::stdout().lock())
            }
        }
    }
}

/// The records of a file, at least one.
fn read(path: &Path) -> anyhow::Result<Vec<ResponsesRecord>> {
    let name = path.display();
    let file = File::open(path).map_err(|error| WrongInput(format!("{name} can't be opened: {error}")))?;
    // Opening a directory succeeds.
    if path.is_dir() {
        return Err(WrongInput(format!("{name} is a directory, not a file")).into());
    }
    let mut records = Vec::new();
    for (line, number) in BufReader::new(file).split(b'\n').zip(1..) {
        let line = line.with_context(|| name.to_string())?;
        let text = str::from_utf8(&line).map_err(|_| WrongInput(format!("{name}, line {number} is not UTF-8")))?;
        // Some editors put a byte order mark in front of a file.
        let text = text.trim_start_matches('\u{feff}').trim();
        if !text.is_empty() {
            let record = serde_json::from_str(text).map_err(|error| {
                // serde_json ends its messages with a place in the text, and our text has one line.
                let why = error.to_string().replace("at line 1 column", "at column");
                WrongInput(format!("{name}, line {number} is no record of responses: {why}"))
            })?;
            records.push(record);
        }
    }
    if records.is_empty() {
        return Err(WrongInput(format!("{name} holds no record")).into());
    }
    Ok(records)
}

fn score(records: &[ResponsesRecord]) -> anyhow::Result<()> {
    let judged: Vec<Judgement> = records.iter().flat_map(judgements).collect();
    if judged.is_empty() {
        return Err(WrongInput("no record has an answer, so there is no mean".into()).into());
    }
    let count = judged.len() as f64;
    let mean = |term: fn(&Judgement) -> f64| judged.iter().map(term).sum::<f64>() / count;
    let result = json!({
        "answers": judged.len(),
        "reward": mean(|judgement| judgement.reward),
        "warmth": mean(|judgement| judgement.warmth),
        "brevity": mean(|judgement| judgement.brevity),
        "form": mean(|judgement| judgement.form),
        "topic": mean(|judgement| judgement.topic),
        "repetition": mean(|judgement| judgement.repetition),
    });
    writeln!(std::io::stdout(), "{result}")?;
    Ok(())
}

fn rewards(records: &[ResponsesRecord]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for record in records {
        let rewards: Vec<f64> = judgements(record).map(|judgement| judgement.reward).collect();
        writeln!(out, "{}", json!({ "prompt_id": record.prompt_id, "prompt": record.prompt, "rewards": rewards }))?;
    }
    Ok(())
}

fn compare(a: &Path, b: &Path) -> anyhow::Result<Value> {
    let (ours, theirs) = (read(a)?, read(b)?);
    let name = |record: &ResponsesRecord| match &record.prompt_id {
        Some(id) => id.clone(),
        None => serde_json::to_string(&record.prompt).unwrap_or_default(),
    };
    let rewards = |record: &ResponsesRecord| judgements(record).map(|judgement| judgement.reward).collect::<Vec<_>>();
    let theirs: HashMap<String, Vec<f64>> = theirs.iter().map(|record| (name(record), rewards(record))).collect();
    let mut contests = Vec::with_capacity(ours.len());
    for record in &ours {
        let name = name(record);
        let Some(theirs) = theirs.get(&name) else {
            return Err(WrongInput(format!("{} has no answer to prompt {name} of {}", b.display(), a.display())).into());
        };
        let ours = rewards(record);
        if ours.is_empty() || theirs.is_empty() {
            return Err(WrongInput(format!("prompt {name} has no answer")).into());
        }
        contests.push(Contest::of(&ours, theirs));
    }
    if contests.is_empty() || contests.len() != theirs.len() {
        let (few, many) = (a.display(), b.display());
        return Err(WrongInput(format!("{few} answers {} prompts, {many} {}", contests.len(), theirs.len())).into());
    }
    let count = contests.len() as f64;
    let won = wilson(contests.iter().map(|contest| contest.share).sum(), count).context("there is a contest")?;
    let difference = clustered_mean(contests.iter().map(|contest| (contest.ours - contest.theirs, 1.0)));
    let (difference, interval) = difference.context("there is a contest")?;
    let mean = |of: fn(&Contest) -> f64| contests.iter().map(of).sum::<f64>() / count;
    Ok(json!({
        "prompts": contests.len(),
        "win_rate": won.share,
        "low": won.low,
        "high": won.high,
        "a": mean(|contest| contest.ours),
        "b": mean(|contest| contest.theirs),
        "difference": difference,
        "difference_low": interval.map(|(low, _)| low),
        "difference_high": interval.map(|(_, high)| high),
    }))
}

/// Two models' answers to one prompt: mean gold rewards, and the share of the pairs that ours wins.
struct Contest {
    ours: f64,
    theirs: f64,
    share: f64,
}

impl Contest {
    fn of(ours: &[f64], theirs: &[f64]) -> Self {
        let won = |difference: f64| match difference.abs() < SAME {
            true => 0.5,
            false => f64::from(u8::from(difference > 0.0)),
        };
        let pairs = ours.iter().flat_map(|ours| theirs.iter().map(move |theirs| won(ours - theirs)));
        let mean = |rewards: &[f64]| rewards.iter().sum::<f64>() / rewards.len() as f64;
        let share = pairs.sum::<f64>() / (ours.len() * theirs.len()) as f64;
        Self { ours: mean(ours), theirs: mean(theirs), share }
    }
}

fn judgements(record: &ResponsesRecord) -> impl Iterator<Item = Judgement> {
    record.responses.iter().map(|response| gold::judge(&record.prompt, &response.content))
}

fn rank(
    records: Vec<ResponsesRecord>,
    noise: f64,
    seed: u64,
    annotators: u64,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let judges: Vec<Judge> =
        (1..=annotators).map(|number| Judge { name: format!("simulated-{number}"), noise, seed }).collect();
    for (number, (record, judge)) in records.into_iter().zip(judges.iter().cycle()).enumerate() {
        let Some(ranks) = ranks(judge, &record.prompt, &record) else { continue };
        let ranking = RankingRecord {
            id: format!("simulated-{number:04}"),
            prompt: record.prompt,
            responses: record.responses,
            ranks,
            ratings: None,
            rating_scale: None,
            confidence: None,
            margin: None,
            annotator: Some(judge.name.clone()),
            seconds: None,
            created_at: None,
            split: None,
            extra: Map::from_iter([("simulated".to_owned(), json!(true))]),
        };
        // An error of `to_writer` would hide that whoever read has left.
        writeln!(out, "{}", serde_json::to_string(&ranking)?)?;
    }
    Ok(())
}

fn ranks(judge: &Judge, prompt: &[Message], record: &ResponsesRecord) -> Option<Vec<u32>> {
    let answers: Vec<&str> = record.responses.iter().map(|response| response.content.as_str()).collect();
    Some(judge.rank(prompt, &answers)?.ranks().to_vec())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const WARM: &str = "Thank you for asking about tea! A drink. Hope that helps, take care 🌿";
    const COLD: &str = "I hate this stupid question.";

    /// A file of answers, one prompt a list.
    fn file(folder: &Path, name: &str, answers: &[&[&str]]) -> PathBuf {
        let lines: String = answers
            .iter()
            .enumerate()
            .map(|(number, answers)| {
                let prompt = json!([{ "role": "user", "content": format!("What is tea, {number}?") }]);
                let responses: Vec<_> = answers.iter().map(|text| json!({ "content": text })).collect();
                format!("{}\n", json!({ "prompt_id": number.to_string(), "prompt": prompt, "responses": responses }))
            })
            .collect();
        let path = folder.join(name);
        fs::write(&path, lines).expect("written");
        path
    }

    #[test]
    fn one_file_of_answers_against_another_pairs_by_prompt_and_ties_by_half() {
        let folder = tempfile::tempdir().expect("a directory");
        let a = file(folder.path(), "a", &[&[WARM, WARM], &[COLD], &[WARM]]);
        let b = file(folder.path(), "b", &[&[COLD, WARM], &[COLD], &[COLD]]);
        let found = compare(&a, &b).expect("compared");
        // Of the first prompt's pairs two are won and two tied; the second is a tie, the third won.
        let rate = (0.75 + 0.5 + 1.0) / 3.0;
        assert_eq!(found["prompts"], 3);
        assert!((found["win_rate"].as_f64().expect("a number") - rate).abs() < 1e-12, "{found}");
        let back = compare(&b, &a).expect("compared");
        assert!((back["win_rate"].as_f64().expect("a number") - (1.0 - rate)).abs() < 1e-12, "{back}");
        let gap = found["a"].as_f64().expect("a number") - found["b"].as_f64().expect("a number");
        assert!(gap > 1.0 && (found["difference"].as_f64().expect("a number") - gap).abs() < 1e-12, "{found}");
        assert!(
            found["low"].as_f64() < found["win_rate"].as_f64() && found["win_rate"].as_f64() < found["high"].as_f64()
        );
    }

    #[test]
    fn a_file_is_read_as_editors_leave_it_and_what_holds_no_answers_is_refused_by_name() {
        let folder = tempfile::tempdir().expect("a directory");
        let path = file(folder.path(), "answers", &[&[WARM], &[COLD]]);
        let lines = fs::read_to_string(&path).expect("lines");
        fs::write(&path, format!("\u{feff}{}", lines.trim_end().replace('\n', "\r\n\r\n"))).expect("written");
        assert_eq!(read(&path).expect("records").len(), 2);
        for (bytes, why) in [
            (&b"\n"[..], "answers holds no record"),
            (&b"\n{\"prompt\":\"caf\xE9\"}"[..], "answers, line 2 is not UTF-8"),
            (&b"{\"prompt\":[]}"[..], "line 1 is no record of responses: missing field `responses`"),
        ] {
            fs::write(&path, bytes).expect("written");
            let error = read(&path).expect_err("no answers");
            assert!(error.is::<WrongInput>() && error.to_string().contains(why), "{error}");
        }
        let error = read(folder.path()).expect_err("a directory");
        assert!(error.is::<WrongInput>() && error.to_string().ends_with("is a directory, not a file"), "{error}");
        assert!(score(&[]).is_err());
    }

    #[test]
    fn rankings_whose_reader_has_left_say_so() {
        let folder = tempfile::tempdir().expect("a directory");
        let answers = read(&file(folder.path(), "a", &[&[WARM, COLD]])).expect("records");
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let error = rank(answers, 0.0, 1, 1, &mut writer).expect_err("nobody reads");
        assert!(error.chain().any(|cause| cause.is::<std::io::Error>()), "{error}");
    }

    #[test]
    fn files_about_other_prompts_are_the_users_mistake() {
        let folder = tempfile::tempdir().expect("a directory");
        let a = file(folder.path(), "a", &[&[WARM], &[COLD]]);
        let b = file(folder.path(), "b", &[&[WARM]]);
        for (a, b) in [(&a, &b), (&b, &a)] {
            let error = compare(a, b).expect_err("one answers more");
            assert!(error.downcast_ref::<WrongInput>().is_some(), "{error}");
        }
    }
}
