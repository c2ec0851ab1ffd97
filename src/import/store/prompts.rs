//! Which prompt a record is about: one that is here, by its content or its id, or a new one.

use std::collections::{HashMap, HashSet};

use laurel_records::Message;
use uuid::Uuid;

use super::Store;
use crate::{
    db::{
        bulk::{
            Names,
            prompts::{self, New},
        },
        tasks, words,
    },
    domain::{
        conversation::{ContentHash, content_hash, earlier_prompts},
        split,
    },
    import::{
        Reason,
        fields::Wrong,
        own::{Incoming, Label, PromptPart},
    },
};

/// The prompt of a record, and whether the record brought it.
pub type Resolved = Result<(Uuid, bool), Wrong>;

/// What is known of prompts, by content and by name.
#[derive(Default)]
struct Known {
    by_hash: HashMap<Vec<u8>, (Uuid, String)>,
    by_name: HashMap<String, Uuid>,
}

/// Finds or makes the prompt of every record, in their order. Takes the prompts out of the records.
pub async fn resolve(store: &mut Store<'_>, records: &mut [Incoming]) -> sqlx::Result<Vec<Resolved>> {
    let hashes: Vec<Option<ContentHash>> =
        records.iter().map(|record| record.prompt.messages.as_deref().map(content_hash)).collect();
    let names: Names = records.iter().filter_map(|record| record.prompt.external_id.as_deref()).collect();
    let earlier = records.iter().filter_map(|record| record.prompt.messages.as_deref()).flat_map(earlier_prompts);
    let wanted: Vec<Vec<u8>> = hashes.iter().flatten().copied().chain(earlier).map(Vec::from).collect();
    let mut known = Known::default();
    for prompt in prompts::known(store.connection, store.project.id, &wanted, &names).await? {
        known.by_name.insert(prompt.id.to_string(), prompt.id);
        known.by_name.extend(prompt.external_id.map(|name| (name, prompt.id)));
        known.by_hash.insert(prompt.content_hash, (prompt.id, prompt.split));
    }
    let mut new = New::default();
    let resolved = records
        .iter_mut()
        .zip(hashes)
        .map(|(record, hash)| {
            let field = if matches!(record.label, Label::Prompt) { "id" } else { "prompt_id" };
            known.place(store, field, std::mem::take(&mut record.prompt), hash, &mut new)
        })
        .collect();
    if !new.ids.is_empty() {
        prompts::insert(store.connection, store.project.id, &new).await?;
        store.report.prompts_added += u64::try_from(new.ids.len()).unwrap_or_default();
    }
    Ok(resolved)
}

impl Known {
    fn place(
        &mut self,
        store: &Store<'_>,
        field: &str,
        prompt: PromptPart,
        hash: Option<ContentHash>,
        new: &mut New,
    ) -> Resolved {
        let named = prompt.external_id.as_ref().and_then(|name| self.by_name.get(name)).copied();
        let name = prompt.external_id.as_deref().unwrap_or_default();
        let (Some(messages), Some(hash)) = (&prompt.messages, hash) else {
            let missing = || Wrong::at(field, Reason::with("import-reason-no-prompt", "name", name));
            return named.map(|id| (id, false)).ok_or_else(missing);
        };
        let same = self.by_hash.get(&hash[..]).map(|(id, _)| *id);
        match (same, named) {
            (Some(same), Some(named)) if same != named => Err(taken(field, name)),
            (Some(same), _) => Ok((same, false)),
            (None, Some(_)) => Err(taken(field, name)),
            (None, None) => {
                let id = Uuid::now_v7();
                let split = self.split(store, &hash, messages);
                self.by_hash.insert(hash.to_vec(), (id, split.clone()));
                self.by_name.extend(prompt.external_id.clone().map(|name| (name, id)));
                add(new, id, &hash, split, messages, &prompt);
                Ok((id, true))
            }
        }
    }

    /// The split of a new prompt: that of the prompt it goes on from, where the project has one, else by its hash. A later turn says
    /// again what was said in the earlier ones, answers and all.
    fn split(&self, store: &Store<'_>, hash: &ContentHash, messages: &[Message]) -> String {
        let settings = &store.project.settings;
        let before = earlier_prompts(messages).into_iter().find_map(|hash| self.by_hash.get(&hash[..]));
        let by_hash = || words::split(split::of(hash, settings.validation_percent, settings.test_percent)).to_owned();
        before.map_or_else(by_hash, |(_, split)| split.clone())
    }
}

fn taken(field: &str, name: &str) -> Wrong {
    Wrong::at(field, Reason::with("import-reason-other-prompt", "name", name))
}

fn add(new: &mut New, id: Uuid, hash: &ContentHash, split: String, messages: &[Message], prompt: &PromptPart) {
    new.ids.push(id);
    new.external_ids.push(prompt.external_id.clone());
    new.conversations.push(serde_json::json!(messages).to_string());
    new.languages.push(prompt.language.clone());
    new.tags.push(serde_json::json!(prompt.tags).to_string());
    new.splits.push(split);
    new.content_hashes.push(hash.to_vec());
    new.extras.push(serde_json::Value::Object(prompt.extra.clone()).to_string());
}

/// Tasks to write an answer for the prompts that nobody has answered or is asked to; gives how many were made.
pub async fn ask_for_demonstrations(store: &mut Store<'_>, resolved: &[Resolved]) -> sqlx::Result<u64> {
    if store.project.settings.demonstration_overlap == 0 {
        return Ok(0);
    }
    let here: Vec<Uuid> = resolved.iter().flatten().filter(|(_, new)| !new).map(|(prompt, _)| *prompt).collect();
    let mut settled: HashSet<Uuid> = HashSet::new();
    if !here.is_empty() {
        settled.extend(prompts::with_demonstration(store.connection, &here).await?);
    }
    // A prompt that stands twice in the batch is asked for once.
    let asked: Vec<Uuid> =
        resolved.iter().flatten().map(|(prompt, _)| *prompt).filter(|prompt| settled.insert(*prompt)).collect();
    tasks::create_demonstration_tasks(store.connection, store.project.id, &asked).await
}
