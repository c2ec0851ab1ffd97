//! Rows of CSV and TSV to records: cells are texts, and JSON where a field holds a list or an object.

use serde_json::{Map, Value};

use super::{
    fields::Wrong,
    mapping::{LEFT_OUT, Mapping, put},
    reason::Reason,
};

/// Columns of which at least one must be there, so that no prose is taken for a table.
const TELLING: [&str; 12] = [
    "prompt",
    "prompt_id",
    "instruction",
    "conversations",
    "conversation",
    "messages",
    "chosen",
    "completion",
    "responses",
    "message_id",
    "fields",
    "data",
];
/// Columns whose cells may be texts as they are; JSON only where it is a list of messages.
const SPEECH: [&str; 4] = ["prompt", "completion", "chosen", "rejected"];
/// Columns whose cells are always texts, whatever they look like.
const TEXTS: [&str; 14] = [
    "id",
    "prompt_id",
    "ranking_id",
    "project",
    "annotator",
    "language",
    "note",
    "explanation",
    "instruction",
    "input",
    "output",
    "text",
    "content",
    "system",
];
/// Columns whose cells are numbers.
const NUMBERS: [&str; 4] = ["seconds", "confidence", "margin", "rank"];
/// Columns whose cells say yes or no.
const TRUTHS: [&str; 5] = ["extra_opinion", "all_bad", "chosen_finished", "rejected_finished", "deleted"];

/// A column of a table.
struct Column {
    /// The field that it is.
    name: String,
    /// The file calls it otherwise.
    renamed: bool,
}

/// What a table's header says.
pub struct Table {
    columns: Vec<Column>,
    delimiter: u8,
}

/// Which headers make a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Headers {
    /// Those with a column that we know.
    Ours,
    /// Every one: a person is about to say what the columns are.
    Any,
}

impl Table {
    /// Reads the first row.
    pub fn from_header(row: &[u8], headers: Headers, mapping: &Mapping) -> Result<Self, Wrong> {
        let text = std::str::from_utf8(row).map_err(|_| Wrong::whole("import-reason-file-not-utf8"))?;
        let delimiter = [b'\t', b',', b';'].into_iter().find(|byte| row.contains(byte)).unwrap_or(b',');
        let columns: Vec<Column> = cells(text, delimiter)?
            .into_iter()
            .map(|name| match mapping.given(name.trim()) {
                Some(field) => Column { name: field.to_owned(), renamed: true },
                None => Column { name: name.trim().to_owned(), renamed: false },
            })
            .collect();
        if headers == Headers::Ours && !columns.iter().any(|column| TELLING.contains(&column.name.as_str())) {
            return Err(Wrong::whole(Reason::with("import-reason-no-table", "columns", TELLING.join(", "))));
        }
        Ok(Table { columns, delimiter })
    }

    pub fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// One row. An empty cell is an absent field; the cell `extra` holds more fields as JSON, as exports write it.
    pub fn record(&self, row: &str) -> Result<Map<String, Value>, Wrong> {
        let cells = cells(row, self.delimiter)?;
        if cells.len() != self.columns.len() {
            let reason = Reason::with("import-reason-cells", "cells", cells.len()).and("header", self.columns.len());
            return Err(Wrong::whole(reason));
        }
        let mut record = Map::new();
        let mut more = Map::new();
        for (column, cell) in self.columns.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            let name = &column.name;
            if SPEECH.contains(&name.as_str()) && is_python(&cell) {
                return Err(Wrong::at(name, "import-reason-python"));
            }
            if column.renamed {
                if name != LEFT_OUT {
                    put(&mut record, name, value(name, cell));
                }
                continue;
            }
            match value(name, cell) {
                Value::Object(fields) if name == "extra" => more = fields,
                value => drop(record.insert(name.clone(), value)),
            }
        }
        more.append(&mut record);
        Ok(more)
    }
}

/// Puts the fields that `extra` holds as JSON beside the others, as in a table's row: of an exported Parquet file pandas and
/// `datasets` make JSON lines with a text there.
pub fn spread_extra(mut record: Map<String, Value>) -> Map<String, Value> {
    let Some(Value::String(text)) = record.get("extra") else { return record };
    let Ok(Value::Object(mut more)) = serde_json::from_str::<Value>(text) else { return record };
    record.shift_remove("extra");
    // What is null is absent, as an empty cell is.
    more.extend(record.into_iter().filter(|(_, value)| !value.is_null()));
    more
}

fn cells(row: &str, delimiter: u8) -> Result<Vec<String>, Wrong> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        // The row is one already: a carriage return that stands alone is part of a cell, quoted or not.
        .terminator(csv::Terminator::Any(b'\n'))
        .buffer_capacity(row.len().clamp(64, 64 * 1024))
        .from_reader(row.as_bytes());
    match reader.records().next() {
        Some(Ok(record)) => Ok(record.iter().map(str::to_owned).collect()),
        Some(Err(_)) => Err(Wrong::whole("import-reason-row-unreadable")),
        None => Ok(Vec::new()),
    }
}

fn value(name: &str, cell: String) -> Value {
    let parsed = || serde_json::from_str::<Value>(cell.trim()).ok();
    let nested = cell.trim_start().starts_with(['[', '{']);
    let value = match name {
        "tags" if !nested => Some(cell.split([';', '|', ',']).map(str::trim).collect()),
        "ranks" if !nested => numbers(&cell),
        name if NUMBERS.contains(&name) => parsed().filter(Value::is_number),
        name if TRUTHS.contains(&name) => truth(&cell),
        _ if !nested || TEXTS.contains(&name) => None,
        _ if SPEECH.contains(&name) => parsed().filter(speaks),
        _ => parsed(),
    };
    value.unwrap_or(Value::String(cell))
}

fn numbers(cell: &str) -> Option<Value> {
    cell.split([';', '|', ',', ' ']).filter(|part| !part.is_empty()).map(|part| part.parse::<u32>().ok()).collect()
}

fn truth(cell: &str) -> Option<Value> {
    match cell.trim() {
        "true" | "True" | "TRUE" | "1" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" | "0" => Some(Value::Bool(false)),
        _ => None,
    }
}

/// Whether a cell is a list of messages as Python shows it, which is how pandas writes one to CSV: it would come in as a text.
fn is_python(cell: &str) -> bool {
    let cell = cell.trim();
    ["[{'role': ", "[{'content': "].iter().any(|start| cell.starts_with(start)) && cell.ends_with("}]")
}

/// Whether a value is a list of messages, or one.
fn speaks(value: &Value) -> bool {
    let message = |value: &Value| value.get("role").or_else(|| value.get("from")).is_some();
    message(value) || value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(message))
}
