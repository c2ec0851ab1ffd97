//! Columns that a file calls otherwise than we do: which of them is which of our fields.

use serde_json::{Map, Value};

use super::Kind;

/// Stands for no field: the column is left out.
pub const LEFT_OUT: &str = "-";

/// Which column becomes which field. What is not named keeps its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping(Vec<(String, String)>);

impl Mapping {
    /// From pairs of a column and a field; an empty field leaves the column as it is.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Mapping(pairs.into_iter().filter(|(_, field)| !field.is_empty()).collect())
    }

    /// The field that a column was given: a name, [`LEFT_OUT`], or nothing.
    pub fn given(&self, column: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == column).map(|(_, field)| field.as_str())
    }

    /// Renames the fields of a record.
    pub fn apply(&self, record: Map<String, Value>) -> Map<String, Value> {
        if self.0.is_empty() {
            return record;
        }
        let mut mapped = Map::new();
        for (name, value) in record {
            match self.given(&name) {
                Some(LEFT_OUT) => {}
                Some(field) => put(&mut mapped, field, value),
                None => drop(mapped.insert(name, value)),
            }
        }
        mapped
    }
}

/// Puts a value under a field. Columns with an answer each, which become `responses`, are collected in their order.
pub fn put(record: &mut Map<String, Value>, field: &str, value: Value) {
    match (field, value) {
        ("responses", Value::String(answer)) => {
            let answers = record.entry(field).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(answers) = answers {
                answers.push(Value::String(answer));
            }
        }
        (_, value) => drop(record.insert(field.to_owned(), value)),
    }
}

/// The fields that a column of a kind may become.
pub fn fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Prompts => &["prompt", "id", "language", "tags"],
        Kind::Responses => &["prompt", "prompt_id", "responses", "language", "tags"],
        Kind::Demonstrations => {
            &["prompt", "prompt_id", "completion", "id", "annotator", "seconds", "created_at", "language"]
        }
        Kind::Rankings => {
            &["prompt", "prompt_id", "responses", "ranks", "id", "annotator", "seconds", "note", "created_at"]
        }
        Kind::KnownAnswers => {
            &["prompt", "prompt_id", "responses", "ranks", "purpose", "explanation", "language", "tags"]
        }
        Kind::Comparisons => &["prompt", "chosen", "rejected", "margin", "id", "annotator", "created_at"],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_renamed_collected_and_left_out() {
        let mapping = Mapping::new(
            [("question", "prompt"), ("answer 1", "responses"), ("answer 2", "responses"), ("secret", "-"), ("id", "")]
                .map(|(column, field)| (column.to_owned(), field.to_owned())),
        );
        let record = json!({ "id": 7, "question": "Why?", "answer 1": "a", "answer 2": "b", "secret": "x" });
        let Value::Object(record) = record else { panic!("no object") };
        assert_eq!(Value::Object(mapping.apply(record)), json!({ "id": 7, "prompt": "Why?", "responses": ["a", "b"] }));
    }
}
