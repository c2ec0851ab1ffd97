//! Reads records from JSONL files; every bad line is named with its file, line and field.
//!
//! `-` is standard input. Empty lines are passed over. A record without an `id` gets the number of its line. What TRL and
//! `datasets` write in other forms is read as well (forms.rs). What messages have that changes nothing is said once (ignored.rs).

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use laurel_records::{
    ComparisonRecord, DemonstrationRecord, Message, PromptRecord, RankingRecord, RatingScale, ResponseRecord,
    ResponsesRecord, Role,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

pub use super::forms::is_comparison;
use super::{corpus::text_of, error::DataError, formats, forms, ignored::Ignored};
use crate::terminal::{self, counted};

/// So many bad lines are named; the rest is counted.
const NAMED_PROBLEMS: usize = 20;

/// Where records stand: as a rule a path.
pub trait Source {
    fn path(&self) -> &Path;

    /// What the user calls it.
    fn name(&self) -> String {
        let path = self.path();
        if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
    }
}

impl<P: AsRef<Path> + ?Sized> Source for P {
    fn path(&self) -> &Path {
        self.as_ref()
    }
}

/// Prompts that wait for an answer.
pub fn prompts<S: Source + ?Sized>(source: &S) -> Result<Vec<PromptRecord>, DataError> {
    read(source, |mut line| {
        forms::prompt_of_messages(&mut line.object);
        let record: PromptRecord = line.with_id().parse()?;
        check_prompt(&record.prompt)?;
        Ok(record)
    })
}

/// What the name of a record begins with that came without one.
const LINE: &str = "line ";

/// The name of a record that came without one.
fn of_line(number: usize) -> String {
    format!("{LINE}{number}")
}

/// The id that a file gave to a prompt. `None` where it has the number of its line, by which the next file has another prompt.
pub fn given_id(prompt: &PromptRecord) -> Option<String> {
    let line = prompt.id.strip_prefix(LINE).and_then(|number| number.parse::<usize>().ok());
    line.is_none().then(|| prompt.id.clone())
}

/// Prompts with the answer that a person wrote.
pub fn demonstrations<S: Source + ?Sized>(source: &S) -> Result<Vec<DemonstrationRecord>, DataError> {
    read(source, |mut line| {
        forms::answer_of_messages(&mut line.object).or_else(|why| wrong("messages", why))?;
        let record: DemonstrationRecord = line.with_id().parse()?;
        check_prompt(&record.prompt)?;
        check_answer("completion", &record.completion)?;
        Ok(record)
    })
}

/// Prompts with candidate answers.
pub fn responses<S: Source + ?Sized>(source: &S) -> Result<Vec<ResponsesRecord>, DataError> {
    read(source, |line| {
        let name = of_line(line.number);
        let mut record: ResponsesRecord = line.parse()?;
        check_prompt(&record.prompt)?;
        if record.responses.is_empty() {
            return wrong("responses", "is empty");
        }
        record.prompt_id = record.prompt_id.or(Some(name));
        Ok(record)
    })
}

/// Rankings, or comparisons: a comparison is a ranking of two answers. A file may hold both.
pub fn rankings<S: Source + ?Sized>(source: &S) -> Result<Vec<RankingRecord>, DataError> {
    read(source, |line| {
        if is_comparison(&line.object) {
            return comparison(line);
        }
        let record: RankingRecord = line.with_id().parse()?;
        check_prompt(&record.prompt)?;
        check_ranks(&record.ranks, record.responses.len())?;
        check_ratings(record.ratings.as_deref(), record.rating_scale.as_ref(), record.responses.len())?;
        check_margin(record.margin)?;
        Ok(record)
    })
}

/// As [`rankings`], for a file that holds comparisons alone.
pub fn comparisons_as_rankings(path: &Path) -> Result<Vec<RankingRecord>, DataError> {
    read(path, comparison)
}

/// Leaves of a ranking the answers that are `kept`, with their ranks and ratings.
pub fn keep_answers(record: &mut RankingRecord, kept: &[bool]) {
    if !kept.contains(&false) {
        return;
    }
    keep(&mut record.responses, kept);
    keep(&mut record.ranks, kept);
    if let Some(ratings) = &mut record.ratings {
        keep(ratings, kept);
    }
    // Said of two answers, and nothing of what is left of three.
    (record.margin, record.confidence) = (None, None);
}

/// Leaves of some values those at the places that are `kept`.
pub fn keep<T>(values: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    values.retain(|_| kept.next().is_some_and(|kept| *kept));
}

/// A sequence of tokens, as `laurel-trainer logprobs` takes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TokenIds {
    pub input_ids: Vec<u32>,
}

/// Sequences of token ids for a model with a vocabulary of `vocabulary` tokens and a context of `context`.
pub fn token_ids<S: Source + ?Sized>(
    source: &S,
    vocabulary: usize,
    context: usize,
) -> Result<Vec<TokenIds>, DataError> {
    read(source, |line| {
        let record: TokenIds = line.parse()?;
        let ids = &record.input_ids;
        if ids.is_empty() {
            return wrong("input_ids", "is empty");
        }
        if ids.len() > context {
            return wrong("input_ids", format!("has {} tokens; the model's context is {context}", ids.len()));
        }
        match ids.iter().position(|&id| id as usize >= vocabulary) {
            Some(at) => {
                let why = format!("{} is not below {vocabulary}, the size of the vocabulary", ids[at]);
                wrong(&format!("input_ids[{at}]"), why)
            }
            None => Ok(record),
        }
    })
}

/// The text of each line, for [`super::corpus`].
pub(super) fn documents(path: &Path) -> Result<Vec<String>, DataError> {
    read(path, |line| text_of(&line.object).or_else(|field| wrong(field, "is missing, or not text")))
}

/// What is wrong with a line: the field, where there is one, and why.
struct Problem {
    field: String,
    why: String,
}

fn wrong<T>(field: &str, why: impl Into<String>) -> Result<T, Problem> {
    Err(Problem { field: field.into(), why: why.into() })
}

/// One line of a file, a JSON object.
struct Line {
    number: usize,
    object: Map<String, Value>,
}

impl Line {
    /// Names a record that came without a name of its own. Many data sets number their records.
    fn with_id(mut self) -> Self {
        let id = match self.object.get("id") {
            None => Some(of_line(self.number)),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(_) => None,
        };
        if let Some(id) = id {
            self.object.insert("id".into(), Value::String(id));
        }
        self
    }

    fn parse<T: DeserializeOwned>(mut self) -> Result<T, Problem> {
        forms::texts_to_messages(&mut self.object);
        serde_path_to_error::deserialize(Value::Object(self.object)).map_err(|error| {
            let path = error.path().to_string();
            let field = if path == "." { String::new() } else { path };
            Problem { field, why: without_type_names(&error.into_inner().to_string()) }
        })
    }
}

/// serde names numbers by their Rust types.
fn without_type_names(message: &str) -> String {
    let whole = ["u32", "u64", "usize", "i64"].iter().fold(message.to_string(), |text, name| {
        text.replace(&format!("expected {name}"), "expected a whole number, 0 or more")
    });
    whole.replace("expected f64", "expected a number")
}

/// What a file of records says, to be read line by line.
pub fn open<S: Source + ?Sized>(source: &S) -> Result<Box<dyn BufRead>, DataError> {
    let path = source.path();
    if path == Path::new("-") {
        return Ok(Box::new(io::stdin().lock()));
    }
    let failed = |error| DataError::File { path: PathBuf::from(source.name()), source: error };
    let file = File::open(path).map_err(failed)?;
    // Opening a directory succeeds; reading it would fail with a number instead of a name.
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(io::Error::new(io::ErrorKind::IsADirectory, "is a directory, not a file")));
    }
    Ok(Box::new(BufReader::new(file)))
}

fn read<S, T>(source: &S, record: impl Fn(Line) -> Result<T, Problem>) -> Result<Vec<T>, DataError>
where
    S: Source + ?Sized,
{
    let name = source.name();
    let failed = |source| DataError::File { path: PathBuf::from(&name), source };
    let lines = open(source)?;
    let (mut records, mut problems, mut bad) = (vec![], vec![], 0);
    let mut ignored = Ignored::default();
    for (number, bytes) in (1..).zip(lines.split(b'\n')) {
        let bytes = bytes.map_err(failed)?;
        // Each line of such a file would be bad, and none of the reasons would be the one.
        if records.is_empty()
            && bad == 0
            && let Some(what) = formats::other_than_jsonl(&bytes)
        {
            return Err(DataError::Records { problems: vec![format!("{name} {what}")] });
        }
        let line = parse_line(&bytes, number);
        if let Ok(Some(line)) = &line {
            ignored.look_at(&line.object);
        }
        match line.and_then(|line| line.map(&record).transpose()) {
            Ok(found) => records.extend(found),
            Err(problem) => {
                bad += 1;
                if bad <= NAMED_PROBLEMS {
                    let field = if problem.field.is_empty() { String::new() } else { format!("{}: ", problem.field) };
                    problems.push(format!("{name}, line {number}: {field}{}", problem.why));
                }
            }
        }
    }
    if bad > NAMED_PROBLEMS {
        problems.push(format!("{name}: {}", counted(bad - NAMED_PROBLEMS, "more bad line")));
    }
    if records.is_empty() && problems.is_empty() {
        problems.push(format!("{name}: holds no record"));
    }
    if !problems.is_empty() {
        return Err(DataError::Records { problems });
    }
    if let Some(text) = ignored.said(&name) {
        terminal::say(format!("laurel-trainer: {text}"));
    }
    Ok(records)
}

fn parse_line(bytes: &[u8], number: usize) -> Result<Option<Line>, Problem> {
    match object_of(bytes) {
        Ok(object) => Ok(object.map(|object| Line { number, object })),
        Err(why) => wrong("", why),
    }
}

/// The JSON object that a line holds, where it holds something; else what the line is.
pub fn object_of(line: &[u8]) -> Result<Option<Map<String, Value>>, String> {
    let text = str::from_utf8(line).map_err(|_| "is not UTF-8")?;
    // Some editors put a byte order mark in front of a file.
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(None);
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(mut object)) => {
            // Tables in which some records lack a field have null there: a field that is absent, as on import.
            object.retain(|_, value| !value.is_null());
            forms::spread_extra(&mut object);
            Ok(Some(object))
        }
        Ok(_) => Err("is not a JSON object".into()),
        // serde_json ends its messages with a place in the text, and our text has one line.
        Err(error) => Err(format!("is not JSON: {}", error.to_string().replace("at line 1 column", "at column"))),
    }
}

fn comparison(mut line: Line) -> Result<RankingRecord, Problem> {
    let id = of_line(line.number);
    forms::shared_prompt(&mut line.object);
    let record: ComparisonRecord = line.parse()?;
    check_prompt(&record.prompt)?;
    let chosen = check_answer("chosen", &record.chosen)?;
    let rejected = check_answer("rejected", &record.rejected)?;
    check_margin(record.margin)?;
    let response = |content: &str, finished: Option<bool>| ResponseRecord {
        sampling: finished.map(|finished| json!({ "finished": finished })),
        ..ResponseRecord::text(content)
    };
    Ok(RankingRecord {
        id: record.ranking_id.unwrap_or(id),
        responses: vec![response(chosen, record.chosen_finished), response(rejected, record.rejected_finished)],
        ranks: vec![1, 2],
        ratings: None,
        rating_scale: None,
        confidence: None,
        margin: record.margin,
        prompt: record.prompt,
        annotator: record.annotator,
        seconds: None,
        created_at: None,
        split: record.split,
        extra: record.extra,
    })
}

fn check_prompt(prompt: &[Message]) -> Result<(), Problem> {
    match prompt.last() {
        None => wrong("prompt", "is empty"),
        Some(last) if last.role == Role::Assistant => {
            wrong("prompt", "ends with a message of the assistant's, so there is nothing to answer")
        }
        Some(_) => Ok(()),
    }
}

/// The text of an answer, which is one message by the assistant.
fn check_answer<'a>(field: &str, messages: &'a [Message]) -> Result<&'a str, Problem> {
    match messages {
        [one] if one.role == Role::Assistant => Ok(&one.content),
        _ => wrong(field, "must be one message of the assistant's"),
    }
}

fn check_ratings(ratings: Option<&[Option<f64>]>, scale: Option<&RatingScale>, answers: usize) -> Result<(), Problem> {
    let RatingScale { lowest, highest, .. } = scale.cloned().unwrap_or_default();
    if lowest >= highest {
        return wrong("rating_scale", format!("ends at {highest} and begins at {lowest}"));
    }
    let Some(ratings) = ratings else { return Ok(()) };
    if ratings.len() != answers {
        return wrong("ratings", format!("has {} numbers for {answers} answers", ratings.len()));
    }
    let on_scale = |rating: f64| (f64::from(lowest)..=f64::from(highest)).contains(&rating);
    match ratings.iter().position(|rating| rating.is_some_and(|rating| !on_scale(rating))) {
        Some(at) => wrong(&format!("ratings[{at}]"), format!("is not from {lowest} to {highest}")),
        None => Ok(()),
    }
}

fn check_margin(margin: Option<f64>) -> Result<(), Problem> {
    match margin {
        Some(margin) if !(margin >= 0.0 && margin.is_finite()) => {
            wrong("margin", "is how far apart two answers are: 0 or more")
        }
        _ => Ok(()),
    }
}

/// Competition ranking: 1 is best, equal numbers are ties, after two at 1 comes 3.
fn check_ranks(ranks: &[u32], answers: usize) -> Result<(), Problem> {
    if ranks.len() != answers {
        return wrong("ranks", format!("has {} numbers for {answers} answers", ranks.len()));
    }
    if ranks.len() < 2 {
        return wrong("responses", "a ranking needs at least two answers");
    }
    for &rank in ranks {
        let better = ranks.iter().filter(|&&other| other < rank).count();
        if rank as usize != better + 1 {
            let should = format!("{rank} should be {}: 1 is best, and equal numbers are ties (1,2,2,4)", better + 1);
            return wrong("ranks", should);
        }
    }
    Ok(())
}
