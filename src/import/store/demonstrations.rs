//! Records of demonstrations. One person's same answer to the same prompt is one demonstration.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use uuid::Uuid;

use super::{Demonstration, Placed, Store, TextDigest, digest, prompts_of};
use crate::{
    db::bulk::{
        Names,
        labels::{self, New},
    },
    import::{BadRecord, Reason, fields::Wrong, own::Opinion},
};

/// Prompt, text, person.
type Key = (Uuid, TextDigest, Option<String>);

/// Stores the demonstrations; gives how many were new.
pub async fn store(
    store: &mut Store<'_>,
    records: Vec<Placed<Demonstration>>,
    bad: &mut Vec<BadRecord>,
) -> sqlx::Result<u64> {
    let names: Names = records.iter().filter_map(|record| record.what.opinion.external_id.as_deref()).collect();
    let prompts = prompts_of(&records);
    let (mut known, mut named): (HashSet<Key>, HashMap<String, Key>) = Default::default();
    for label in labels::known_demonstrations(store.connection, store.project.id, &prompts, &names).await? {
        let key = (label.prompt_id, label.digest, label.annotator);
        named.insert(label.id.to_string(), key.clone());
        named.extend(label.external_id.map(|name| (name, key.clone())));
        known.insert(key);
    }
    let (mut new, mut completions, mut languages) = (New::default(), Vec::new(), Vec::new());
    for Placed { line, prompt, what } in records {
        let key = (prompt, digest(&what.completion), what.opinion.annotator.clone());
        let other = what.opinion.external_id.as_ref().and_then(|name| Some((name, named.get(name)?)));
        if let Some((name, _)) = other.filter(|(_, other)| **other != key) {
            let reason = Reason::with("import-reason-other-demonstration", "name", name);
            bad.push(BadRecord::of(line, Wrong::at("id", reason)));
            continue;
        }
        if !known.insert(key.clone()) {
            continue;
        }
        named.extend(what.opinion.external_id.clone().map(|name| (name, key)));
        add(&mut new, Uuid::now_v7(), prompt, what.opinion);
        completions.push(what.completion);
        languages.push(what.language);
    }
    if !new.ids.is_empty() {
        labels::insert_demonstrations(store.connection, &new, &completions, &languages).await?;
    }
    Ok(u64::try_from(new.ids.len()).unwrap_or_default())
}

/// Adds what labels have in common.
pub fn add(new: &mut New, id: Uuid, prompt: Uuid, opinion: Opinion) {
    new.ids.push(id);
    new.prompts.push(prompt);
    new.external_ids.push(opinion.external_id);
    new.annotators.push(opinion.annotator);
    new.seconds.push(opinion.seconds);
    new.extra_opinions.push(opinion.extra_opinion);
    new.created_at.push(opinion.created_at);
    new.extras.push(Value::Object(opinion.extra).to_string());
}
