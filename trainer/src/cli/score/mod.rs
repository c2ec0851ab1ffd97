//! `score`: what a reward model gives answers, and how well it agrees with people where they ranked them.

mod input;

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

use anyhow::Context;
use laurel_records::RankingRecord;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Common, WrongInput,
    kept_lines::{KeptLines, ResumeArgs},
    numbers, output,
    precision::PrecisionArgs,
};
use crate::{
    data::{
        ModelTokenizer,
        records::{self, Source},
    },
    evaluate::{Judged, RewardReport, Verdict, examples, found_of, rewards_of_tokens, verdicts_of},
    model::{
        ModelDirectory, Precision, RewardModel,
        hf::{ensure_free, sha256_of_file},
    },
    terminal::{self, counted},
    train::{Identity, TrainError},
};
use input::{Input, Kind, Scored};

/// Batches that are made of the same answers, those of like length together; then their lines are written. More would leave less
/// padding, and a run that is killed loses at most the rewards of so many.
const BATCHES_TOGETHER: usize = 64;

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
    /// Where the rewards go (JSONL); - is standard output. What is finished lies in FILE.partial until all is
    #[arg(long, default_value = "-", value_name = "FILE")]
    out: PathBuf,
    /// Answers that go through the model together
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = numbers::whole::<usize>)]
    batch: usize,
    #[command(flatten)]
    precision: PrecisionArgs,
    /// Also write the line about rankings as report.json, and its calibration curve as calibration.svg, into this new or empty folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    #[command(flatten)]
    resume: ResumeArgs,
}

impl Score {
    pub fn run(self, common: &Common) -> anyhow::Result<()> {
        let common = &common.writing_to(&self.out);
        output::ensure_other_file(&self.out, "--data", &self.data)?;
        output::prepare(&self.out)?;
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
        let identity = || identity_of(&directory, &input, precision);
        if kind == Kind::Tokens {
            let config = directory.config();
            let rows = records::token_ids(&input, config.vocabulary_size, config.context_length)?;
            let (lines, found) = KeptLines::open(&self.out, self.resume, identity)?;
            let model = directory.load_reward_model(&device)?.with_precision(precision);
            let rows: Vec<&[u32]> = rows.iter().map(|row| row.input_ids.as_slice()).collect();
            return self.score_tokens(common, &model, &rows, lines, found);
        }
        let tokenizer = ModelTokenizer::open(&directory)?;
        let records = kind.read(&input)?;
        let judged: Vec<Judged> = records
            .iter()
            .flat_map(|record| record.answers.iter().map(|(_, answer)| Judged::of(&record.prompt, answer)))
            .collect();
        let examples = examples(&tokenizer, &judged)?;
        let (mut lines, mut found) = KeptLines::open::<Option<Verdict>>(&self.out, self.resume, identity)?;
        let kept = found.len();
        let model = directory.load_reward_model(&device)?.with_precision(precision);
        let members = directory.load_members(&device)?;
        let names: Vec<(&str, &Value)> = records
            .iter()
            .flat_map(|record| record.answers.iter().map(|(name, _)| (record.id.as_str(), name)))
            .collect();
        self.score(
            common,
            ("Answers", names.len()),
            &mut lines,
            &mut found,
            |group, reached| verdicts_of(&model, members.as_ref(), &examples[group], self.batch, reached),
            |at, verdict| line_of(names[at], verdict.as_ref()),
        )?;
        if !common.quiet {
            tell_of_odd_answers(&found, tokenizer.cuts());
        }
        let report = kind.is_ranked().then(|| summary(&records, &found));
        if let Some((_, line)) = &report {
            lines.add_last(line)?;
        }
        lines.finish()?;
        if let (Some(folder), Some((report, line))) = (&self.report, &report) {
            write_report(folder, report.as_ref(), line)?;
        }
        self.tell(common, found.len(), kept, report.map(|(_, line)| line))
    }

    fn score_tokens(
        &self,
        common: &Common,
        model: &RewardModel,
        rows: &[&[u32]],
        mut lines: KeptLines,
        mut found: Vec<f64>,
    ) -> anyhow::Result<()> {
        let kept = found.len();
        self.score(
            common,
            ("Rows", rows.len()),
            &mut lines,
            &mut found,
            |group, reached| rewards_of_tokens(model, &rows[group], self.batch, reached),
            |_, reward| finite(*reward).map(|reward| json!({ "reward": reward })),
        )?;
        lines.finish()?;
        self.tell(common, found.len(), kept, None)
    }

    /// Scores so many things, group by group, but those that were `found` before, and writes the line of each as its group is done.
    /// A resumed run makes the same batches as one that was let be.
    fn score<T: Serialize>(
        &self,
        common: &Common,
        (what, count): (&str, usize),
        lines: &mut KeptLines,
        found: &mut Vec<T>,
        of_group: impl Fn(Range<usize>, &mut dyn FnMut(usize)) -> Vec<T>,
        line_of: impl Fn(usize, &T) -> Result<Value, TrainError>,
    ) -> anyhow::Result<()> {
        let (kept, together) = (found.len(), self.batch.max(1) * BATCHES_TOGETHER);
        let progress = common.progress(count as u64, what);
        if kept > 0 {
            progress.resumed_at(kept as u64);
        }
        for first in (0..count).step_by(together) {
            let end = count.min(first + together);
            if kept >= end {
                continue;
            }
            let group = of_group(first..end, &mut |done: usize| progress.reached((first + done).max(kept) as u64));
            for (at, one) in (first..end).zip(group).skip(kept.saturating_sub(first)) {
                lines.add(&line_of(at, &one)?, &one)?;
                found.push(one);
            }
        }
        progress.finish();
        Ok(())
    }

    /// What came of it, where standard output has room for that; `kept`: rewards of an earlier run.
    fn tell(&self, common: &Common, rewards: usize, kept: usize, report: Option<Value>) -> anyhow::Result<()> {
        if output::is_stdout(&self.out) {
            return Ok(());
        }
        let mut summary = format!("{} in {}", counted(rewards, "reward"), self.out.display());
        if kept > 0 {
            summary += &format!("\n{} of an earlier run among them", counted(kept, "reward"));
        }
        let figure = |name: &str| report.as_ref().and_then(|report| report[name].as_f64());
        if let (Some(accuracy), Some(log_loss)) = (figure("accuracy"), figure("log_loss")) {
            summary += &format!("\naccuracy {accuracy:.3}, log-loss {log_loss:.3}");
        }
        let mut fields = Map::from_iter([
            ("out".to_owned(), json!(self.out.to_string_lossy())),
            ("rewards".to_owned(), json!(rewards)),
        ]);
        if let Some(Value::Object(report)) = report {
            fields.extend(report);
        }
        common.result(&summary, fields.into())
    }
}

/// What decides the rewards. Not `--batch`: what is beside an answer in its batch changes nothing, and nothing is drawn.
fn identity_of(directory: &ModelDirectory, input: &Input, precision: Precision) -> anyhow::Result<Identity> {
    let inputs = [
        ("model".to_owned(), directory.digest()?),
        // What came through a pipe was kept.
        ("data".to_owned(), sha256_of_file(input.path())?),
    ];
    let settings = Map::from_iter([("precision".to_owned(), json!(precision))]);
    Ok(Identity { stage: "score".into(), inputs: inputs.into(), seed: 0, settings })
}

/// The line of an answer, by its record's id and its name there.
fn line_of((id, answer): (&str, &Value), verdict: Option<&Verdict>) -> Result<Value, TrainError> {
    let reward = verdict.map(|verdict| finite(verdict.reward)).transpose()?;
    let mut line = json!({ "id": id, "answer": answer, "reward": reward });
    if let Some(disagreement) = verdict.and_then(Verdict::disagreement) {
        line["disagreement"] = json!(disagreement);
    }
    Ok(line)
}

/// Refuses a reward that is beyond use, as of damaged weights: JSON would have null for it, and an accuracy count it as wrong.
fn finite(reward: f64) -> Result<f64, TrainError> {
    if reward.is_finite() { Ok(reward) } else { Err(TrainError::NotFinite { what: "score of an answer" }) }
}

/// Says of how many answers there was nothing to be read, and how many conversations were cut.
fn tell_of_odd_answers(found: &[Option<Verdict>], cut: usize) {
    let unread = found.iter().filter(|verdict| verdict.is_none()).count();
    if unread > 0 {
        let of = counted(found.len(), "answer");
        let [have, their] = if unread == 1 { ["has", "its"] } else { ["have", "their"] };
        terminal::say(format!(
            "laurel-trainer: {unread} of {of} {have} no token to be scored by, {their} reward is null"
        ));
    }
    if cut > 0 {
        let of = counted(found.len(), "conversation");
        let [are, were] = if cut == 1 { ["is", "was"] } else { ["are", "were"] };
        terminal::say(format!("laurel-trainer: {cut} of {of} {are} longer than the context and {were} cut"));
    }
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

fn write_report(folder: &Path, report: Option<&RewardReport>, line: &Value) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| path.display().to_string())
    };
    write("report.json", format!("{line:#}\n"))?;
    report.map_or(Ok(()), |report| write("calibration.svg", report.calibration.svg()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_that_are_no_numbers_are_refused() {
        assert!(finite(-2.0).is_ok_and(|reward| reward == -2.0));
        for wrong in [f64::NAN, f64::INFINITY] {
            assert!(finite(wrong).is_err_and(|error| error.to_string().contains("score")));
        }
    }
}
