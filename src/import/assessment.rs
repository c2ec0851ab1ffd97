//! What a ranking's record says of its answers besides their ranks: ratings on their scale, flags, how sure.

use serde_json::Value;

use super::fields::{Fields, Wrong};
use crate::domain::{comparison::Confidence, rating_scale::RatingScale};

/// Characters that the flag of another's record may have.
const LONGEST_FLAG: usize = 100;

/// What the ratings of a record are on: 1 to 7 where it does not say.
pub fn rating_scale(fields: &mut Fields) -> Result<RatingScale, Wrong> {
    let Some(value) = fields.take("rating_scale") else { return Ok(RatingScale::default()) };
    if !value.is_object() {
        return Err(Wrong::kind("rating_scale", "{\"lowest\": 1, \"highest\": 7} or another", &value));
    }
    serde_json::from_value(value).map_err(|error| Wrong::at("rating_scale", error.to_string()))
}

/// The ratings of a record; empty where it has none.
pub fn ratings(fields: &mut Fields, scale: &RatingScale, answers: usize) -> Result<Vec<Option<i32>>, Wrong> {
    let (lowest, highest) = (i64::from(scale.lowest()), i64::from(scale.highest()));
    per_answer(fields, "ratings", answers, |path, value| match value.as_i64() {
        _ if value.is_null() => Ok(None),
        Some(rating) if (lowest..=highest).contains(&rating) => Ok(i32::try_from(rating).ok()),
        _ => Err(Wrong::at(path, format!("{value} is no rating from {lowest} to {highest}"))),
    })
}

/// The flags of a record; empty where it has none.
pub fn flags(fields: &mut Fields, answers: usize) -> Result<Vec<Vec<String>>, Wrong> {
    per_answer(fields, "flags", answers, flag_words)
}

/// The flags of one answer. A project need not know them, but they have to be words of a list.
fn flag_words(path: String, value: Value) -> Result<Vec<String>, Wrong> {
    let words: Vec<String> =
        serde_json::from_value(value).map_err(|_| Wrong::at(&path, "a list of texts is wanted"))?;
    let is_word = |word: &String| {
        (1..=LONGEST_FLAG).contains(&word.chars().count())
            && !word.contains(|sign: char| sign == ',' || sign.is_control())
    };
    match words.iter().position(|word| !is_word(word)) {
        None => Ok(words),
        Some(at) => Err(Wrong::at(
            format!("{path}[{at}]"),
            format!("is no flag: those have 1 to {LONGEST_FLAG} characters, no comma and no line break"),
        )),
    }
}

/// How sure a person was of two answers: says the same as the ranks do.
pub fn confidence(fields: &mut Fields, ranks: &[u32]) -> Result<Option<Confidence>, Wrong> {
    let Some(value) = fields.take("confidence").filter(|value| !value.is_null()) else { return Ok(None) };
    let point = value.as_i64().and_then(|point| Confidence::new(point).ok());
    match point.ok_or_else(|| Wrong::at("confidence", format!("{value} is not from 1 to 9")))? {
        confidence if confidence.ranks() == *ranks => Ok(Some(confidence)),
        _ => Err(Wrong::at("confidence", "says something else than the ranks of the two answers")),
    }
}

/// A list with one value an answer; empty where the record has none.
fn per_answer<T>(
    fields: &mut Fields,
    name: &str,
    answers: usize,
    read: impl Fn(String, Value) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let Some(items) = fields.list(name)? else { return Ok(Vec::new()) };
    if items.len() != answers {
        return Err(Wrong::at(name, format!("there are {} of them for {answers} answers", items.len())));
    }
    items.into_iter().enumerate().map(|(index, item)| read(format!("{name}[{index}]"), item)).collect()
}
