//! Our own forms: a record's fields, checked, to what the tables hold.

use laurel_records::{Message, Role, Split};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::{
    Kind, assessment,
    fields::{Fields, Wrong, identifier, text},
    read::name_of,
    reason::Reason,
};
use crate::{
    db::{gold_tasks, tasks},
    domain::{
        comparison::Confidence,
        conversation::check_prompt,
        ranking::{Ranking, RankingError},
        rating_scale::RatingScale,
    },
};

/// A checked record.
#[derive(Debug)]
pub struct Incoming {
    /// Line on which it begins.
    pub line: u64,
    pub prompt: PromptPart,
    pub label: Label,
}

/// The prompt of a record, or which prompt it is about.
#[derive(Debug, Default)]
pub struct PromptPart {
    pub external_id: Option<String>,
    /// Absent where only the id says which prompt is meant.
    pub messages: Option<Vec<Message>>,
    pub language: Option<String>,
    pub tags: Vec<String>,
    pub extra: Map<String, Value>,
}

/// What a record says of its prompt.
#[derive(Debug)]
pub enum Label {
    Prompt,
    /// Candidate answers for people to rank.
    Responses(Vec<Answer>),
    Demonstration(Demonstration),
    Ranking(Ranked),
    KnownAnswer(KnownAnswer),
}

#[derive(Debug)]
pub struct Answer {
    pub external_id: Option<String>,
    pub content: String,
    pub model: Option<String>,
    pub sampling: Option<Value>,
}

/// What every label has.
#[derive(Debug, Default)]
pub struct Opinion {
    pub external_id: Option<String>,
    pub annotator: Option<String>,
    pub seconds: Option<f64>,
    pub extra_opinion: bool,
    pub created_at: Option<OffsetDateTime>,
    pub extra: Map<String, Value>,
}

#[derive(Debug)]
pub struct Demonstration {
    pub opinion: Opinion,
    pub completion: String,
    pub language: Option<String>,
}

#[derive(Debug)]
pub struct Ranked {
    pub opinion: Opinion,
    pub answers: Vec<Answer>,
    /// Competition ranks, one an answer.
    pub ranks: Vec<u32>,
    /// Of two answers judged head to head.
    pub confidence: Option<Confidence>,
    /// None of the answers is good; the order holds all the same.
    pub all_bad: bool,
    pub note: Option<String>,
    /// One an answer, where given.
    pub ratings: Vec<Option<i32>>,
    /// What they are on.
    pub scale: RatingScale,
    pub flags: Vec<Vec<String>>,
    /// The ranking that a comparison was part of.
    pub part_of: Option<String>,
}

/// An order of answers that is known to be right.
#[derive(Debug)]
pub struct KnownAnswer {
    pub answers: Vec<Answer>,
    /// Competition ranks, one an answer.
    pub ranks: Vec<i32>,
    /// `check` or `course`.
    pub purpose: &'static str,
    /// Markdown.
    pub explanation: String,
}

/// Where an imported comparison keeps what a ranking of its two answers can't say: `{"margin", "ranking_id"}`, and what a
/// ranking would say otherwise.
pub const COMPARISON: &str = "comparison";
/// Fields that mean nothing of ours in a comparison and, beside the ranking that it becomes, would be taken for the ranking's.
const OF_RANKINGS: [&str; 4] = ["confidence", "ratings", "rating_scale", "flags"];

/// Checks a record of a kind.
pub fn parse(kind: Kind, line: u64, record: Map<String, Value>) -> Result<Incoming, Wrong> {
    let mut fields = Fields(record);
    split(&mut fields)?;
    match kind {
        Kind::Prompts => prompt(line, fields),
        Kind::Responses => responses(line, fields),
        Kind::Demonstrations => demonstration(line, fields),
        Kind::Rankings | Kind::Comparisons if fields.has("ranks") => ranking(line, fields),
        Kind::Comparisons => comparison(line, fields),
        Kind::Rankings if fields.has("chosen") => comparison(line, fields),
        Kind::Rankings => ranking(line, fields),
        Kind::KnownAnswers => known_answer(line, fields),
    }
}

/// The split of a record is looked at, but the content decides.
fn split(fields: &mut Fields) -> Result<(), Wrong> {
    let Some(word) = fields.take("split") else { return Ok(()) };
    serde_json::from_value::<Split>(word.clone())
        .map(drop)
        .map_err(|_| Wrong::at("split", Reason::with("import-reason-split", "word", &word)))
}

fn prompt(line: u64, mut fields: Fields) -> Result<Incoming, Wrong> {
    let messages = conversation(&mut fields)?.ok_or_else(|| Wrong::missing("prompt"))?;
    let external_id = fields.name("id")?;
    let language = language(&mut fields)?;
    let tags = fields.texts("tags")?.unwrap_or_default();
    fields.name("project")?;
    let prompt = PromptPart { external_id, messages: Some(messages), language, tags, extra: fields.rest() };
    Ok(Incoming { line, prompt, label: Label::Prompt })
}

fn responses(line: u64, mut fields: Fields) -> Result<Incoming, Wrong> {
    let mut prompt = prompt_of_label(&mut fields)?;
    prompt.language = language(&mut fields)?;
    prompt.tags = fields.texts("tags")?.unwrap_or_default();
    let answers = answers(&mut fields)?;
    if !tasks::ANSWERS.contains(&answers.len()) {
        return Err(Wrong::at("responses", Reason::with("import-reason-task-answers", "answers", answers.len())));
    }
    fields.name("project")?;
    fields.nothing_left("")?;
    Ok(Incoming { line, prompt, label: Label::Responses(answers) })
}

fn demonstration(line: u64, mut fields: Fields) -> Result<Incoming, Wrong> {
    let mut prompt = prompt_of_label(&mut fields)?;
    let completion = answer_text(&mut fields, "completion")?;
    if completion.trim().is_empty() {
        return Err(Wrong::at("completion", "import-reason-answer-empty"));
    }
    let language = language(&mut fields)?;
    prompt.language.clone_from(&language);
    let opinion = opinion(fields, "id")?;
    Ok(Incoming { line, prompt, label: Label::Demonstration(Demonstration { opinion, completion, language }) })
}

fn ranking(line: u64, mut fields: Fields) -> Result<Incoming, Wrong> {
    let prompt = prompt_of_label(&mut fields)?;
    let answers = answers(&mut fields)?;
    let ranks = ranks(&mut fields, answers.len())?;
    let note = fields.text("note")?;
    let scale = assessment::rating_scale(&mut fields)?;
    let ratings = assessment::ratings(&mut fields, &scale, answers.len())?;
    let flags = assessment::flags(&mut fields, answers.len())?;
    let confidence = assessment::confidence(&mut fields, &ranks)?;
    let all_bad = fields.truth("all_bad")?.unwrap_or_default();
    check_margin(&fields)?;
    let opinion = opinion(fields, "id")?;
    let ranked = Ranked { opinion, answers, ranks, confidence, all_bad, note, ratings, scale, flags, part_of: None };
    Ok(Incoming { line, prompt, label: Label::Ranking(ranked) })
}

/// A comparison is a ranking of two answers.
fn comparison(line: u64, mut fields: Fields) -> Result<Incoming, Wrong> {
    let prompt = prompt_of_label(&mut fields)?;
    let answer = |content: String, finished: Option<bool>| {
        let sampling = finished.map(|finished| json!({ "finished": finished }));
        Answer { external_id: None, content, model: None, sampling }
    };
    let answers = vec![
        answer(answer_text(&mut fields, "chosen")?, fields.truth("chosen_finished")?),
        answer(answer_text(&mut fields, "rejected")?, fields.truth("rejected_finished")?),
    ];
    check_margin(&fields)?;
    let margin = fields.take("margin");
    let part_of = fields.name("ranking_id")?;
    let note = fields.text("note")?;
    let all_bad = fields.truth("all_bad")?.unwrap_or_default();
    let mut opinion = opinion(fields, "id")?;
    let mut kept: Map<String, Value> = [
        ("margin", margin.filter(|margin| margin.as_f64() != Some(1.0))),
        ("ranking_id", part_of.clone().map(Value::String)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();
    kept.extend(OF_RANKINGS.iter().filter_map(|name| opinion.extra.shift_remove_entry(*name)));
    if !kept.is_empty() {
        opinion.extra.insert(COMPARISON.to_owned(), Value::Object(kept));
    }
    let ranked = Ranked {
        opinion,
        answers,
        ranks: vec![1, 2],
        confidence: None,
        all_bad,
        note,
        ratings: Vec::new(),
        scale: RatingScale::default(),
        flags: Vec::new(),
        part_of,
    };
    Ok(Incoming { line, prompt, label: Label::Ranking(ranked) })
}

/// A margin, which stays where it is, says how far apart two answers are.
fn check_margin(fields: &Fields) -> Result<(), Wrong> {
    let Some(value) = fields.0.get("margin").filter(|value| !value.is_null()) else { return Ok(()) };
    match value.as_f64() {
        None => Err(Wrong::kind("margin", "import-thing-number", value)),
        Some(margin) if margin <= 0.0 => Err(Wrong::at("margin", "import-reason-margin")),
        Some(_) => Ok(()),
    }
}

fn known_answer(line: u64, mut fields: Fields) -> Result<Incoming, Wrong> {
    let mut prompt = prompt_of_label(&mut fields)?;
    prompt.language = language(&mut fields)?;
    prompt.tags = fields.texts("tags")?.unwrap_or_default();
    let answers = answers(&mut fields)?;
    if !tasks::ANSWERS.contains(&answers.len()) {
        return Err(Wrong::at("responses", Reason::with("import-reason-known-answers", "answers", answers.len())));
    }
    let ranks: Vec<i32> =
        ranks(&mut fields, answers.len())?.into_iter().filter_map(|rank| i32::try_from(rank).ok()).collect();
    if ranks.iter().all(|rank| *rank == 1) {
        return Err(Wrong::at("ranks", "import-reason-all-tied"));
    }
    let purpose = match fields.text("purpose")?.as_deref() {
        None | Some("check") => "check",
        Some("course") => "course",
        Some(other) => return Err(Wrong::at("purpose", Reason::with("import-reason-purpose", "word", other))),
    };
    let explanation = fields.text("explanation")?.unwrap_or_default();
    if explanation.chars().count() > gold_tasks::LONGEST_EXPLANATION {
        let reason = Reason::with("import-reason-too-long", "longest", gold_tasks::LONGEST_EXPLANATION);
        return Err(Wrong::at("explanation", reason));
    }
    fields.name("project")?;
    fields.nothing_left("")?;
    Ok(Incoming { line, prompt, label: Label::KnownAnswer(KnownAnswer { answers, ranks, purpose, explanation }) })
}

fn conversation(fields: &mut Fields) -> Result<Option<Vec<Message>>, Wrong> {
    let Some(messages) = fields.messages("prompt", Role::User)? else { return Ok(None) };
    check_prompt(&messages).map_err(|error| {
        let field = error.position().map_or_else(|| "prompt".to_owned(), |position| format!("prompt[{position}]"));
        Wrong::at(field, error)
    })?;
    Ok(Some(messages))
}

fn prompt_of_label(fields: &mut Fields) -> Result<PromptPart, Wrong> {
    let messages = conversation(fields)?;
    let external_id = fields.name("prompt_id")?;
    if messages.is_none() && external_id.is_none() {
        return Err(Wrong::missing("prompt"));
    }
    Ok(PromptPart { external_id, messages, ..PromptPart::default() })
}

fn language(fields: &mut Fields) -> Result<Option<String>, Wrong> {
    fields.name("language")
}

/// Exactly one message of the assistant's, or its text.
fn answer_text(fields: &mut Fields, name: &str) -> Result<String, Wrong> {
    let messages = fields.messages(name, Role::Assistant)?.ok_or_else(|| Wrong::missing(name))?;
    match <[Message; 1]>::try_from(messages) {
        Ok([Message { role: Role::Assistant, content }]) => Ok(content),
        Ok(_) => Err(Wrong::at(format!("{name}[0].role"), "import-reason-not-assistant")),
        Err(messages) => Err(Wrong::at(name, Reason::with("import-reason-one-message", "messages", messages.len()))),
    }
}

fn answers(fields: &mut Fields) -> Result<Vec<Answer>, Wrong> {
    let items = fields.list("responses")?.ok_or_else(|| Wrong::missing("responses"))?;
    let items = items.into_iter().enumerate().map(|(index, item)| answer(&format!("responses[{index}]"), item));
    items.collect()
}

fn answer(path: &str, value: Value) -> Result<Answer, Wrong> {
    let mut fields = match value {
        Value::Object(fields) => Fields(fields),
        Value::String(content) => Fields(Map::from_iter([("content".to_owned(), json!(content))])),
        other => return Err(Wrong::kind(path, "import-thing-answer", &other)),
    };
    let at = |name: &str| format!("{path}.{name}");
    let content = fields.take("content").ok_or_else(|| Wrong::missing(&at("content")))?;
    let name = |value: Option<Value>, field: &str| value.map(|value| identifier(&at(field), value)).transpose();
    let answer = Answer {
        content: text(&at("content"), content)?,
        external_id: name(fields.take("id"), "id")?,
        model: name(fields.take("model"), "model")?,
        sampling: fields.take("sampling"),
    };
    fields.nothing_left(&format!("{path}."))?;
    Ok(answer)
}

fn ranks(fields: &mut Fields, answers: usize) -> Result<Vec<u32>, Wrong> {
    let given = fields.list("ranks")?.ok_or_else(|| Wrong::missing("ranks"))?;
    if given.len() != answers {
        let reason = Reason::with("import-reason-rank-count", "ranks", given.len()).and("answers", answers);
        return Err(Wrong::at("ranks", reason));
    }
    let mut ranks = Vec::with_capacity(given.len());
    for (index, value) in given.iter().enumerate() {
        let whole = value
            .as_u64()
            .or_else(|| value.as_f64().filter(|rank| rank.fract() == 0.0 && *rank >= 0.0).map(|rank| rank as u64));
        let rank = whole.and_then(|rank| u32::try_from(rank).ok());
        ranks.push(rank.ok_or_else(|| {
            let reason = Reason::from("import-reason-rank-whole");
            let reason =
                if value.is_number() { reason.and("found", value) } else { reason.and_word("found", name_of(value)) };
            Wrong::at(format!("ranks[{index}]"), reason)
        })?);
    }
    let ranking = Ranking::from_ranks(&ranks).map_err(|error| match error {
        RankingError::TooFew { .. } => Wrong::at("responses", error),
        RankingError::Zero { position } | RankingError::Gap { position, .. } => {
            Wrong::at(format!("ranks[{position}]"), error)
        }
    })?;
    Ok(ranking.ranks().to_vec())
}

fn opinion(mut fields: Fields, id: &str) -> Result<Opinion, Wrong> {
    // An export that was asked for them has them; here nobody has looked at them, and they would count.
    if let Some(verdict) = fields.0.get("review").and_then(Value::as_str)
        && ["corrected", "rejected"].contains(&verdict)
    {
        return Err(Wrong::at("review", Reason::with("import-reason-set-aside", "word", verdict)));
    }
    let seconds = fields.number("seconds")?;
    if seconds.is_some_and(|seconds| seconds < 0.0) {
        return Err(Wrong::at("seconds", "import-reason-negative"));
    }
    Ok(Opinion {
        external_id: fields.name(id)?,
        annotator: fields.name("annotator")?,
        seconds,
        extra_opinion: fields.truth("extra_opinion")?.unwrap_or_default(),
        created_at: fields.time("created_at")?,
        extra: fields.rest(),
    })
}
