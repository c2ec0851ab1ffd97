//! `laurel gold`: the gold reward of the sample task, over files of records. For tests and trials; no trainer reads it.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
};

use anyhow::Context;
use laurel_records::{Message, RankingRecord, ResponsesRecord};
use serde_json::{Map, json};

use crate::sample::{
    gold::{self, Judgement},
    judge::Judge,
};

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
    /// Rank the answers of every record, as simulated annotators with errors do; prints records of rankings (JSONL)
    Rank {
        /// Records of responses (JSONL)
        file: PathBuf,
        /// Standard deviation of a judge's error, in units of the gold reward
        #[arg(long, default_value_t = 0.5)]
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
            Command::Rank { file, noise, seed, annotators } => rank(read(file)?, *noise, *seed, *annotators),
        }
    }
}

fn read(path: &PathBuf) -> anyhow::Result<Vec<ResponsesRecord>> {
    let file = File::open(path).with_context(|| format!("{} can't be opened", path.display()))?;
    let mut records = Vec::new();
    for (line, number) in BufReader::new(file).lines().zip(1..) {
        let line = line?;
        if !line.trim().is_empty() {
            let record =
                serde_json::from_str(&line).with_context(|| format!("line {number} is no record of responses"))?;
            records.push(record);
        }
    }
    Ok(records)
}

fn score(records: &[ResponsesRecord]) -> anyhow::Result<()> {
    let judged: Vec<Judgement> = records.iter().flat_map(judgements).collect();
    let count = judged.len().max(1) as f64;
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

fn judgements(record: &ResponsesRecord) -> impl Iterator<Item = Judgement> {
    record.responses.iter().map(|response| gold::judge(&record.prompt, &response.content))
}

fn rank(records: Vec<ResponsesRecord>, noise: f64, seed: u64, annotators: u64) -> anyhow::Result<()> {
    let judges: Vec<Judge> =
        (1..=annotators).map(|number| Judge { name: format!("simulated-{number}"), noise, seed }).collect();
    let mut out = std::io::stdout().lock();
    for (number, (record, judge)) in records.into_iter().zip(judges.iter().cycle()).enumerate() {
        let Some(ranks) = ranks(judge, &record.prompt, &record) else { continue };
        let ranking = RankingRecord {
            id: format!("simulated-{number:04}"),
            prompt: record.prompt,
            responses: record.responses,
            ranks,
            ratings: None,
            confidence: None,
            margin: None,
            annotator: Some(judge.name.clone()),
            seconds: None,
            created_at: None,
            split: None,
            extra: Map::from_iter([("simulated".to_owned(), json!(true))]),
        };
        serde_json::to_writer(&mut out, &ranking)?;
        writeln!(out)?;
    }
    Ok(())
}

fn ranks(judge: &Judge, prompt: &[Message], record: &ResponsesRecord) -> Option<Vec<u32>> {
    let answers: Vec<&str> = record.responses.iter().map(|response| response.content.as_str()).collect();
    Some(judge.rank(prompt, &answers)?.ranks().to_vec())
}
