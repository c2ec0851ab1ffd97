//! A look into a file before it is imported: how it is written, its columns, its first records as they were understood.

use std::io;

use laurel_records::Message;
use serde_json::Value;
use tokio::io::AsyncRead;

use super::{
    Batches, Kind, Records, Written,
    foreign::tool_of,
    mapping::Mapping,
    own::{Incoming, Label},
    table::Headers,
};

/// Records by which the columns are told.
const LOOKED_AT: usize = 50;
/// Records that are shown.
const SHOWN: usize = 5;
/// Characters of a text that are shown.
const LONGEST: usize = 160;

/// A column, or a field of the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// The first value that is there.
    pub example: String,
}

/// How a file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub written: Written,
    /// The tool that writes records like the first one; `None` for our own form.
    pub tool: Option<&'static str>,
    pub columns: Vec<Column>,
}

/// Looks at the beginning of a file, whatever its columns are called.
pub async fn look(reader: &mut (impl AsyncRead + Unpin + Send)) -> io::Result<Look> {
    let mut records = Records::open(reader, Headers::Any, &Mapping::default()).await?;
    let mut look = Look { written: records.written(), tool: None, columns: Vec::new() };
    let mut seen = 0;
    while seen < LOOKED_AT {
        let Some(raw) = records.next().await? else { break };
        seen += 1;
        let Ok(record) = raw.content else { continue };
        if seen == 1 {
            look.tool = tool_of(&record);
        }
        for (name, value) in record {
            let known = look.columns.iter().any(|column| column.name == name);
            if !known && !value.is_null() {
                look.columns.push(Column { name, example: cut(&text_of(&value)) });
            }
        }
    }
    Ok(look)
}

/// A record as it was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Understood {
    pub line: u64,
    /// The last message of the prompt; the prompt's id where the record has no more.
    pub prompt: String,
    pub messages: usize,
    /// What was written, or the answers, each with its rank where there is one.
    pub said: Vec<(Option<u32>, String)>,
}

/// The first records of a file as an import would understand them; those that are wrong are passed over.
pub async fn first(
    kind: Kind,
    mapping: &Mapping,
    reader: &mut (impl AsyncRead + Unpin + Send),
) -> io::Result<Vec<Understood>> {
    let mut batches = Batches::open(kind, mapping, reader).await?;
    let batch = batches.next().await?.unwrap_or_default();
    Ok(batch.records.iter().take(SHOWN).map(understood).collect())
}

fn understood(record: &Incoming) -> Understood {
    let messages: &[Message] = record.prompt.messages.as_deref().unwrap_or_default();
    let prompt = match messages.last() {
        Some(message) => cut(&message.content),
        None => record.prompt.external_id.clone().unwrap_or_default(),
    };
    let said = match &record.label {
        Label::Prompt => Vec::new(),
        Label::Responses(answers) => answers.iter().map(|answer| (None, cut(&answer.content))).collect(),
        Label::Demonstration(written) => vec![(None, cut(&written.completion))],
        Label::Ranking(ranked) => {
            let ranks = ranked.ranks.iter().copied().map(Some);
            ranks.zip(ranked.answers.iter().map(|answer| cut(&answer.content))).collect()
        }
        Label::KnownAnswer(known) => {
            let ranks = known.ranks.iter().map(|rank| u32::try_from(*rank).ok());
            ranks.zip(known.answers.iter().map(|answer| cut(&answer.content))).collect()
        }
    };
    Understood { line: record.line, prompt, messages: messages.len(), said }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
