//! Records of rankings and comparisons. One person's same order of the same answers is one ranking; of people without names,
//! rankings with different ids, and comparisons that were part of different rankings, are different opinions.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Placed, Ranked, Store,
    answers::{AnswerKey, Answers},
    demonstrations, prompts_of,
};
use crate::{
    db::bulk::{
        Names,
        labels::{self, New, NewPlaces, NewSayings},
    },
    import::{BadRecord, Reason, fields::Wrong},
};

/// The answers with their ranks, in an order that does not depend on the record's.
type Order = Vec<(AnswerKey, i32)>;

/// Who said what of which prompt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Content {
    prompt: Uuid,
    annotator: Option<String>,
    order: Order,
}

impl Content {
    fn of(prompt: Uuid, annotator: Option<String>, order: impl Iterator<Item = (AnswerKey, i32)>) -> Self {
        let mut order: Order = order.collect();
        order.sort_unstable();
        Content { prompt, annotator, order }
    }

    /// Whether it says that the first answer of `pair` is better than the second.
    fn says(&self, pair: &Content) -> bool {
        let rank =
            |key: &AnswerKey| self.order.iter().find(|(known, _)| known.digest == key.digest).map(|(_, rank)| *rank);
        let mut by_rank: Vec<_> = pair.order.iter().collect();
        by_rank.sort_by_key(|(_, rank)| *rank);
        match by_rank.as_slice() {
            [(better, _), (worse, _)] => rank(better).zip(rank(worse)).is_some_and(|(better, worse)| better < worse),
            _ => false,
        }
    }
}

#[derive(Default)]
struct Known {
    /// With the ids of the files that they came from, and of the rankings that comparisons were part of; `None` for one without.
    by_content: HashMap<Content, Vec<Option<String>>>,
    by_name: HashMap<String, Content>,
}

impl Known {
    /// Whether the record is here already.
    fn has(&self, ranked: &Ranked, content: &Content) -> Result<bool, Wrong> {
        let id = ranked.opinion.external_id.as_ref();
        if let Some((name, other)) = id.and_then(|name| Some((name, self.by_name.get(name)?))) {
            let taken = || Wrong::at("id", Reason::with("import-reason-other-ranking", "name", name));
            return if other == content { Ok(true) } else { Err(taken()) };
        }
        let part = ranked.part_of.as_ref().and_then(|name| self.by_name.get(name));
        if part.is_some_and(|whole| whole.prompt == content.prompt && whole.says(content)) {
            return Ok(true);
        }
        let Some(names) = self.by_content.get(content) else { return Ok(false) };
        let name = id.or(ranked.part_of.as_ref());
        let is_same = |known: &Option<String>| known.is_none() || known.as_ref() == name;
        Ok(content.annotator.is_some() || name.is_none() || names.iter().any(is_same))
    }

    fn remember(&mut self, id: Option<String>, part_of: Option<String>, content: Content) {
        self.by_name.extend(id.clone().map(|name| (name, content.clone())));
        let names = self.by_content.entry(content).or_default();
        match (id, part_of) {
            (None, None) => names.push(None),
            (id, part_of) => names.extend([id, part_of].into_iter().flatten().map(Some)),
        }
    }
}

/// Stores the rankings and their answers; gives how many were new.
pub async fn store(store: &mut Store<'_>, records: Vec<Placed<Ranked>>, bad: &mut Vec<BadRecord>) -> sqlx::Result<u64> {
    let prompts = prompts_of(&records);
    let names: Names = records
        .iter()
        .flat_map(|record| [&record.what.opinion.external_id, &record.what.part_of])
        .filter_map(Option::as_deref)
        .collect();
    let mut known = Known::default();
    for label in labels::known_rankings(store.connection, store.project.id, &prompts, &names).await? {
        let keys = label.digests.into_iter().zip(label.models).map(|(digest, model)| AnswerKey { digest, model });
        let content = Content::of(label.prompt_id, label.annotator, keys.zip(label.ranks));
        known.by_name.insert(label.id.to_string(), content.clone());
        known.remember(label.external_id, label.part_of, content);
    }
    let mut answers = Answers::of(store, &prompts).await?;
    let mut rows = Rows::default();
    for Placed { line, prompt, what } in records {
        let ranks = what.ranks.iter().map(|rank| i32::try_from(*rank).unwrap_or(i32::MAX));
        let keys = what.answers.iter().map(AnswerKey::of);
        let content = Content::of(prompt, what.opinion.annotator.clone(), keys.zip(ranks));
        match known.has(&what, &content) {
            Ok(true) => {}
            Ok(false) => {
                known.remember(what.opinion.external_id.clone(), what.part_of.clone(), content);
                if let Err(wrong) = rows.add(&mut answers, prompt, what) {
                    bad.push(BadRecord::of(line, wrong));
                }
            }
            Err(wrong) => bad.push(BadRecord::of(line, wrong)),
        }
    }
    answers.insert(store).await?;
    if !rows.new.ids.is_empty() {
        labels::insert_rankings(store.connection, &rows.new, &rows.sayings, &rows.places).await?;
    }
    Ok(u64::try_from(rows.new.ids.len()).unwrap_or_default())
}

/// New rankings as the tables have them.
#[derive(Default)]
struct Rows {
    new: New,
    sayings: NewSayings,
    places: NewPlaces,
}

impl Rows {
    /// Adds a ranking.
    fn add(&mut self, answers: &mut Answers, prompt: Uuid, ranked: Ranked) -> Result<(), Wrong> {
        let Rows { new, sayings, places } = self;
        let responses = answers.place(prompt, ranked.answers)?;
        let id = Uuid::now_v7();
        for (index, ((response, rank), position)) in responses.into_iter().zip(ranked.ranks).zip(0..).enumerate() {
            places.rankings.push(id);
            places.positions.push(position);
            places.responses.push(response);
            places.ranks.push(i32::try_from(rank).unwrap_or(i32::MAX));
            places.ratings.push(ranked.ratings.get(index).copied().flatten());
            let flags = ranked.flags.get(index).map_or(&[][..], Vec::as_slice);
            places.flags.push(serde_json::json!(flags).to_string());
        }
        sayings.notes.push(ranked.note);
        sayings.all_bad.push(ranked.all_bad);
        sayings.confidences.push(ranked.confidence.map(|confidence| i32::from(confidence.point())));
        sayings.rating_scales.push(ranked.scale.stated());
        demonstrations::add(new, id, prompt, ranked.opinion);
        Ok(())
    }
}
