//! The columns of tables (CSV, Parquet): one list a kind, whose last column holds, as JSON, what has no column of its own.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use serde_json::Value;

use super::{Kind, records::Record};

/// The column for the rest.
pub const EXTRA: &str = "extra";

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn list(name: &str, item: DataType) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new("element", item, true))), true)
}

fn messages(name: &str) -> Field {
    list(name, DataType::Struct([text("role"), text("content")].into_iter().collect()))
}

/// The columns of a kind, with the types that Parquet gives them.
pub fn schema(kind: Kind) -> Schema {
    let number = |name: &str| Field::new(name, DataType::Float64, true);
    // Instants; a fixed offset of none, for the sake of readers without a table of time zones.
    let time = |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), true);
    let finished = DataType::Struct([Field::new("finished", DataType::Boolean, true)].into_iter().collect());
    let sampling = Field::new("sampling", finished, true);
    let mut fields = match kind {
        Kind::Prompts => vec![
            text("id"),
            text("project"),
            messages("prompt"),
            text("language"),
            list("tags", DataType::Utf8),
            text("split"),
        ],
        Kind::Demonstrations => vec![
            text("id"),
            messages("prompt"),
            messages("completion"),
            text("prompt_id"),
            text("annotator"),
            time("created_at"),
            text("split"),
        ],
        Kind::Rankings => vec![
            text("id"),
            messages("prompt"),
            list(
                "responses",
                DataType::Struct([text("id"), text("content"), text("model"), sampling].into_iter().collect()),
            ),
            list("ranks", DataType::Int64),
            text("annotator"),
            number("seconds"),
            time("created_at"),
            text("split"),
        ],
        Kind::Comparisons => vec![
            messages("prompt"),
            messages("chosen"),
            messages("rejected"),
            number("margin"),
            text("ranking_id"),
            text("annotator"),
            text("split"),
        ],
    };
    fields.push(text(EXTRA));
    Schema::new(fields)
}

/// Moves what has no column into the last one.
pub fn fit(mut record: Record, schema: &Schema) -> Record {
    let mut fitted = Record::new();
    for field in schema.fields().iter().filter(|field| field.name() != EXTRA) {
        fitted.insert(field.name().clone(), record.shift_remove(field.name()).unwrap_or_default());
    }
    let extra = if record.is_empty() { Value::Null } else { Value::String(Value::Object(record).to_string()) };
    fitted.insert(EXTRA.to_owned(), extra);
    fitted
}
