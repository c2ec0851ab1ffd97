//! Open-Assistant: trees of messages, nested (`prompt` with `replies`) or flat (a message a line with `parent_id`). A flat
//! tree's lines stand together, parents before their replies, as Open-Assistant writes them.

use std::collections::HashMap;

use laurel_records::{Message, Role};
use serde_json::{Map, Value, json};

use super::{Rewritten, Said, competition};
use crate::import::{
    Kind,
    fields::{Fields, Wrong},
    reason::Reason,
};

/// A message of a tree.
struct Node {
    line: u64,
    id: String,
    parent: Option<usize>,
    role: Role,
    text: String,
    language: Option<String>,
    rank: Option<i64>,
    annotator: Option<String>,
    created: Option<Value>,
    model: Option<String>,
    /// Deleted, or found unfit by Open-Assistant's reviewers.
    dropped: bool,
    replies: Vec<usize>,
}

/// One tree, while its messages come.
#[derive(Default)]
pub struct Tree {
    id: Option<Value>,
    nodes: Vec<Node>,
    places: HashMap<String, usize>,
}

/// Whether a record is a message of a flat file.
pub fn is_message(record: &Map<String, Value>) -> bool {
    ["message_id", "text", "role"].iter().all(|name| record.contains_key(*name))
}

impl Tree {
    /// The tree, taken out, where `record` begins another one.
    pub fn take_if_other(&mut self, record: &Map<String, Value>) -> Option<Tree> {
        let id = record.get("message_tree_id").or_else(|| record.get("message_id"));
        let begins = record.get("parent_id").is_none_or(Value::is_null);
        if !self.nodes.is_empty() && (begins || self.id.as_ref() != id) {
            return Some(std::mem::take(self));
        }
        None
    }

    /// A message of a flat file.
    pub fn add(&mut self, line: u64, record: Map<String, Value>) -> Result<(), Wrong> {
        let mut fields = Fields(record);
        let parent = fields.name("parent_id")?;
        let parent = match parent {
            None => None,
            Some(id) => Some(
                *self
                    .places
                    .get(&id)
                    .ok_or_else(|| Wrong::at("parent_id", Reason::with("import-reason-no-parent", "id", &id)))?,
            ),
        };
        if self.nodes.is_empty() {
            self.id = fields.0.get("message_tree_id").or_else(|| fields.0.get("message_id")).cloned();
        }
        self.push(line, parent, fields).map(drop)
    }

    /// A tree that is one record.
    pub fn of_nested(line: u64, mut record: Map<String, Value>) -> Result<Self, Wrong> {
        let mut tree = Tree::default();
        let root = record.shift_remove("prompt").ok_or_else(|| Wrong::missing("prompt"))?;
        let mut waiting = vec![(None, root)];
        while let Some((parent, message)) = waiting.pop() {
            let mut fields = match message {
                Value::Object(fields) => Fields(fields),
                other => return Err(Wrong::kind("replies", "import-thing-message", &other)),
            };
            let replies = fields.list("replies")?.unwrap_or_default();
            let place = tree.push(line, parent, fields)?;
            // The last one in is looked at first.
            waiting.extend(replies.into_iter().rev().map(|reply| (Some(place), reply)));
        }
        Ok(tree)
    }

    fn push(&mut self, line: u64, parent: Option<usize>, mut fields: Fields) -> Result<usize, Wrong> {
        let id = fields.name("message_id")?.ok_or_else(|| Wrong::missing("message_id"))?;
        let role = match fields.text("role")?.as_deref() {
            Some("prompter") => Role::User,
            Some("assistant") => Role::Assistant,
            _ => return Err(Wrong::at("role", "import-reason-prompter")),
        };
        let place = self.nodes.len();
        let node = Node {
            line,
            parent,
            role,
            text: fields.text("text")?.ok_or_else(|| Wrong::missing("text"))?,
            language: fields.name("lang")?,
            rank: fields.number("rank")?.map(|rank| rank as i64),
            annotator: fields.name("user_id")?,
            created: fields.take("created_date").filter(is_time),
            model: fields.name("model_name")?,
            dropped: fields.truth("deleted")? == Some(true) || fields.truth("review_result")? == Some(false),
            replies: Vec::new(),
            id: id.clone(),
        };
        self.nodes.push(node);
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(parent)) {
            parent.replies.push(place);
        }
        self.places.insert(id, place);
        Ok(place)
    }

    /// What the tree says, as records of a kind: every turn of a person that waits for an answer is a prompt, every answer of
    /// the assistant a demonstration, every set of ranked answers a ranking.
    pub fn records(self, kind: Kind) -> Vec<Rewritten> {
        let asked = self.nodes.iter().enumerate().filter(|(_, node)| node.role == Role::User && !node.dropped);
        asked
            .flat_map(|(place, node)| {
                let prompt = self.conversation(place);
                let answers: Vec<&Node> = node
                    .replies
                    .iter()
                    .map(|reply| &self.nodes[*reply])
                    .filter(|reply| reply.role == Role::Assistant && !reply.dropped)
                    .collect();
                said(kind, node, prompt, &answers).into_iter().map(|said| (node.line, said.of_kind(kind)))
            })
            .collect()
    }

    fn conversation(&self, place: usize) -> Vec<Message> {
        let mut turns = Vec::new();
        let mut next = Some(place);
        while let Some(node) = next.and_then(|place| self.nodes.get(place)) {
            turns.push(Message { role: node.role, content: node.text.clone() });
            next = node.parent;
        }
        turns.reverse();
        turns
    }
}

fn said(kind: Kind, asked: &Node, prompt: Vec<Message>, answers: &[&Node]) -> Vec<Said> {
    let one = |ids: &[(&str, &str)]| {
        let mut more: Map<String, Value> = ids.iter().map(|(name, id)| ((*name).to_owned(), json!(id))).collect();
        if let Some(language) = asked.language.as_ref().filter(|_| matches!(kind, Kind::Prompts | Kind::Demonstrations))
        {
            more.insert("language".to_owned(), json!(language));
        }
        Said { prompt: prompt.clone(), more, ..Said::default() }
    };
    let ranked: Vec<&&Node> = match kind {
        Kind::Prompts => return vec![one(&[("id", &asked.id)])],
        Kind::Demonstrations => return answers.iter().map(|answer| demonstration(one, asked, answer)).collect(),
        // No more than a page shows.
        Kind::Responses => answers.iter().take(9).collect(),
        Kind::Rankings | Kind::Comparisons | Kind::KnownAnswers => {
            answers.iter().filter(|answer| answer.rank.is_some()).collect()
        }
    };
    if ranked.len() < 2 {
        return Vec::new();
    }
    let mut said = match kind {
        Kind::Responses | Kind::KnownAnswers => one(&[("prompt_id", &asked.id)]),
        _ => one(&[("id", &asked.id), ("prompt_id", &asked.id)]),
    };
    said.ranks = competition(&ranked.iter().map(|answer| answer.rank.unwrap_or_default()).collect::<Vec<_>>());
    said.answers =
        ranked.iter().map(|answer| json!({ "id": answer.id, "content": answer.text, "model": answer.model })).collect();
    vec![said]
}

fn demonstration(one: impl Fn(&[(&str, &str)]) -> Said, asked: &Node, answer: &Node) -> Said {
    let mut said = one(&[("id", &answer.id), ("prompt_id", &asked.id)]);
    said.completion = Some(answer.text.clone());
    let more = [
        ("annotator", answer.annotator.as_ref().map(|name| json!(name))),
        ("created_at", answer.created.clone()),
        ("model", answer.model.as_ref().map(|name| json!(name))),
    ];
    said.more.extend(more.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    said
}

fn is_time(value: &Value) -> bool {
    let format = &time::format_description::well_known::Rfc3339;
    value.as_str().is_some_and(|text| time::OffsetDateTime::parse(text, format).is_ok())
}
