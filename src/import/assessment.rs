//! What a ranking's record says of its answers besides their ranks: ratings on their scale, flags, how sure.

use laurel_records::RatingScale as Written;
use serde_json::Value;

use super::{
    fields::{Fields, Wrong},
    reason::Reason,
};
use crate::domain::{comparison::Confidence, rating_scale::RatingScale};

/// Characters that the flag of another's record may have.
const LONGEST_FLAG: usize = 100;

/// What the ratings of a record are on: 1 to 7 where it does not say.
pub fn rating_scale(fields: &mut Fields) -> Result<RatingScale, Wrong> {
    let Some(value) = fields.take("rating_scale") else { return Ok(RatingScale::default()) };
    if !value.is_object() {
        return Err(Wrong::kind("rating_scale", "import-thing-scale", &value));
    }
    let written: Written = serde_json::from_value(value)
        .map_err(|error| Wrong::at("rating_scale", Reason::with("import-reason-said", "said", error)))?;
    RatingScale::try_from(written).map_err(|error| Wrong::at("rating_scale", error))
}

/// The ratings of a record; empty where it has none.
pub fn ratings(fields: &mut Fields, scale: &RatingScale, answers: usize) -> Result<Vec<Option<i32>>, Wrong> {
    let (lowest, highest) = (i64::from(scale.lowest()), i64::from(scale.highest()));
    per_answer(fields, "ratings", answers, |path, value| match whole(&value) {
        _ if value.is_null() => Ok(None),
        Some(rating) if (lowest..=highest).contains(&rating) => Ok(i32::try_from(rating).ok()),
        _ => {
            let reason = Reason::with("import-reason-rating", "value", &value);
            Err(Wrong::at(path, reason.and("lowest", lowest).and("highest", highest)))
        }
    })
}

/// The flags of a record; empty where it has none.
pub fn flags(fields: &mut Fields, answers: usize) -> Result<Vec<Vec<String>>, Wrong> {
    per_answer(fields, "flags", answers, flag_words)
}

/// The flags of one answer. A project need not know them, but they have to be words of a list.
fn flag_words(path: String, value: Value) -> Result<Vec<String>, Wrong> {
    let words: Vec<String> = serde_json::from_value(value).map_err(|_| Wrong::at(&path, "import-reason-flag-list"))?;
    let is_word = |word: &String| {
        (1..=LONGEST_FLAG).contains(&word.chars().count())
            && !word.contains(|sign: char| sign == ',' || sign.is_control())
    };
    match words.iter().position(|word| !is_word(word)) {
        None => Ok(words),
        Some(at) => {
            Err(Wrong::at(format!("{path}[{at}]"), Reason::with("import-reason-flag", "longest", LONGEST_FLAG)))
        }
    }
}

/// How sure a person was of two answers: says the same as the ranks do.
pub fn confidence(fields: &mut Fields, ranks: &[u32]) -> Result<Option<Confidence>, Wrong> {
    let Some(value) = fields.take("confidence").filter(|value| !value.is_null()) else { return Ok(None) };
    let point = whole(&value).and_then(|point| Confidence::new(point).ok());
    match point.ok_or_else(|| Wrong::at("confidence", Reason::with("import-reason-confidence", "value", &value)))? {
        confidence if confidence.ranks() == *ranks => Ok(Some(confidence)),
        _ => Err(Wrong::at("confidence", "import-reason-confidence-ranks")),
    }
}

/// A whole number; pandas and NumPy write it with a fraction of zero where another record, or another answer, has none.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64))
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
        let reason = Reason::with("import-reason-per-answer", "number", items.len()).and("answers", answers);
        return Err(Wrong::at(name, reason));
    }
    items.into_iter().enumerate().map(|(index, item)| read(format!("{name}[{index}]"), item)).collect()
}
