//! Rows to records, in the forms and the order of fields that everyone relies on. What has no field of its own comes beside.

use futures_util::{
    StreamExt, TryStreamExt, future,
    stream::{self, BoxStream},
};
use laurel_records::{Message, Role};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Kind, Selection, selection::Makers};
use crate::{
    db::{
        export::{self, DemonstrationRow, PromptRow, RankingRow},
        projects::Project,
        words,
    },
    domain::{comparison::Confidence, ranking},
    import::COMPARISON,
};

/// A record, its fields in order.
pub type Record = Map<String, Value>;

/// All records of a kind.
pub fn of<'c>(
    connection: &'c mut PgConnection,
    project: &'c Project,
    kind: Kind,
    selection: &Selection,
    makers: &'c Makers,
) -> BoxStream<'c, sqlx::Result<Record>> {
    let split = selection.split.map(words::split);
    let rejected = selection.include_rejected;
    match kind {
        Kind::Prompts => {
            export::prompts(connection, project.id, split).map_ok(|row| prompt(&project.slug, row)).boxed()
        }
        Kind::Demonstrations => {
            export::demonstrations(connection, project.id, split, rejected).map_ok(demonstration).boxed()
        }
        Kind::Rankings => export::rankings(connection, project.id, split, rejected)
            .try_filter(|row| future::ready(makers.take(row)))
            .map_ok(|row| ranking(row, makers))
            .boxed(),
        Kind::Comparisons => export::rankings(connection, project.id, split, rejected)
            .try_filter(|row| future::ready(makers.take(row)))
            .map_ok(|row| stream::iter(comparisons(&row, makers).into_iter().map(Ok)))
            .try_flatten()
            .boxed(),
    }
}

/// Puts fields in their order, and what a file brought besides behind them.
fn record<const N: usize>(fields: [(&str, Value); N], beside: Vec<(&str, Value)>, extra: Value) -> Record {
    let named = fields.into_iter().chain(beside).map(|(name, value)| (name.to_owned(), value));
    let mut record: Record = named.collect();
    if let Value::Object(extra) = extra {
        for (name, value) in extra {
            record.entry(name).or_insert(value);
        }
    }
    record
}

fn prompt(slug: &str, row: PromptRow) -> Record {
    let fields = [
        ("id", json!(row.id)),
        ("project", json!(slug)),
        ("prompt", row.conversation),
        ("language", json!(row.language)),
        ("tags", json!(row.tags)),
        ("split", json!(row.split)),
    ];
    record(fields, Vec::new(), row.extra)
}

fn demonstration(row: DemonstrationRow) -> Record {
    let fields = [
        ("id", json!(row.id)),
        ("prompt", row.conversation),
        ("completion", answer(row.completion)),
        ("prompt_id", json!(row.prompt_id)),
        ("annotator", json!(row.annotator)),
        ("created_at", when(row.created_at)),
        ("split", json!(row.split)),
    ];
    let mut beside = marks(row.extra_opinion, row.simulated);
    beside.extend(reviewed(row.adjudicated, row.review.as_deref()));
    beside.extend(row.language.map(|language| ("language", json!(language))));
    beside.extend(row.seconds.map(|seconds| ("seconds", json!(seconds))));
    record(fields, beside, row.extra)
}

fn ranking(row: RankingRow, makers: &Makers) -> Record {
    let marks = ranking_marks(&row, makers);
    let fields = [
        ("id", json!(row.id)),
        ("prompt", row.conversation),
        ("responses", row.responses),
        ("ranks", json!(row.ranks)),
        ("annotator", json!(row.annotator)),
        ("seconds", json!(row.seconds)),
        ("created_at", when(row.created_at)),
        ("split", json!(row.split)),
    ];
    let mut beside = marks;
    beside.extend(row.confidence.map(|confidence| ("confidence", json!(confidence))));
    beside.extend(row.note.map(|note| ("note", json!(note))));
    if row.all_bad {
        beside.push(("all_bad", json!(true)));
    }
    if row.ratings.iter().any(Option::is_some) {
        beside.push(("ratings", json!(row.ratings)));
        beside.push(("rating_scale", row.rating_scale));
    }
    let flagged = |flags: &Value| flags.as_array().is_some_and(|words| !words.is_empty());
    if row.flags.as_array().is_some_and(|answers| answers.iter().any(flagged)) {
        beside.push(("flags", row.flags));
    }
    let margin = row.extra.get(COMPARISON).and_then(|imported| imported.get("margin"));
    beside.extend(margin.filter(|margin| margin.is_number()).map(|margin| ("margin", margin.clone())));
    record(fields, beside, row.extra)
}

/// What a ranking says of its answers, pair by pair; nothing of those that are tied. A ranking that an imported comparison
/// made says what that comparison said, and one of two answers that came with a margin says that.
fn comparisons(row: &RankingRow, makers: &Makers) -> Vec<Record> {
    let ranks: Vec<u32> = row.ranks.iter().filter_map(|rank| u32::try_from(*rank).ok()).collect();
    let content = |position: usize| {
        let answer = row.responses.get(position).and_then(|response| response.get("content")?.as_str());
        self::answer(answer.unwrap_or_default().to_owned())
    };
    let mut extra = row.extra.clone();
    let imported = extra.as_object_mut().and_then(|extra| extra.shift_remove(COMPARISON)).unwrap_or_default();
    let own_margin = extra.get("margin").filter(|margin| ranks.len() == 2 && margin.is_number()).cloned();
    if let (Some(extra), Some(imported)) = (extra.as_object_mut(), imported.as_object()) {
        extra.extend(imported.clone());
    }
    let said = |name: &str| imported.get(name).cloned();
    let margin = said("margin").or(own_margin);
    let confidence = row.confidence.and_then(|point| Confidence::new(point.into()).ok());
    let confidence = confidence.map(|confidence| u32::from(confidence.margin()));
    ranking::pairs(&ranks)
        .map(|pair| {
            let fields = [
                ("prompt", row.conversation.clone()),
                ("chosen", content(pair.better)),
                ("rejected", content(pair.worse)),
                ("margin", margin.clone().unwrap_or(json!(confidence.unwrap_or(pair.margin)))),
                ("ranking_id", said("ranking_id").unwrap_or(json!(row.id))),
                ("annotator", json!(row.annotator)),
                ("split", json!(row.split)),
            ];
            let mut beside = ranking_marks(row, makers);
            let cut = |position: usize| row.responses.get(position)?.get("sampling")?.get("finished").cloned();
            beside.extend(cut(pair.better).map(|finished| ("chosen_finished", finished)));
            beside.extend(cut(pair.worse).map(|finished| ("rejected_finished", finished)));
            if row.all_bad {
                beside.push(("all_bad", json!(true)));
            }
            record(fields, beside, extra.clone())
        })
        .collect()
}

fn answer(content: String) -> Value {
    json!([Message { role: Role::Assistant, content }])
}

/// Said only where it is so: beyond the overlap, or by a program.
fn marks(extra_opinion: bool, simulated: bool) -> Vec<(&'static str, Value)> {
    let mut marks = Vec::new();
    if extra_opinion {
        marks.push(("extra_opinion", json!(true)));
    }
    if simulated {
        marks.push(("simulated", json!(true)));
    }
    marks
}

/// Whether a label is a reviewer's own, and what a reviewer found of it.
fn reviewed(adjudicated: bool, verdict: Option<&str>) -> Vec<(&'static str, Value)> {
    let mut marks = Vec::new();
    if adjudicated {
        marks.push(("adjudicated", json!(true)));
    }
    marks.extend(verdict.map(|verdict| ("review", json!(verdict))));
    marks
}

/// What is said of rankings besides: by whose decision they stand, what a reviewer found, what they count for.
fn ranking_marks(row: &RankingRow, makers: &Makers) -> Vec<(&'static str, Value)> {
    let mut marks = marks(row.extra_opinion, row.simulated);
    marks.extend(reviewed(row.adjudicated, row.review.as_deref()));
    marks.extend(makers.weight(row).map(|weight| ("weight", json!(weight))));
    marks
}

fn when(at: OffsetDateTime) -> Value {
    json!(at.format(&Rfc3339).unwrap_or_default())
}
