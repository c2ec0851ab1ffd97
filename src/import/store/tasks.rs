//! Records of candidate answers: their ranking tasks. The same answers to the same prompt are asked about once.

use std::collections::HashSet;

use uuid::Uuid;

use super::{
    Placed, Store,
    answers::{AnswerKey, Answers},
    prompts_of,
};
use crate::{
    db::bulk::answers::{self, NewTasks},
    import::{BadRecord, own::Answer},
};

/// Stores the answers and makes their tasks; gives how many records were new.
pub async fn store(
    store: &mut Store<'_>,
    records: Vec<Placed<Vec<Answer>>>,
    bad: &mut Vec<BadRecord>,
) -> sqlx::Result<u64> {
    let prompts = prompts_of(&records);
    let mut known = Answers::of(store, &prompts).await?;
    let mut asked: HashSet<(Uuid, Vec<AnswerKey>)> = HashSet::new();
    for task in answers::known_tasks(store.connection, &prompts).await? {
        let keys = task.responses.iter().filter_map(|id| known.key(*id)).cloned();
        asked.insert((task.prompt_id, sorted(keys)));
    }
    let mut new = NewTasks::default();
    for Placed { line, prompt, what } in records {
        if !asked.insert((prompt, sorted(what.iter().map(AnswerKey::of)))) {
            continue;
        }
        match known.place(prompt, what) {
            Ok(ids) => add(&mut new, prompt, ids),
            Err(wrong) => bad.push(BadRecord::of(line, wrong)),
        }
    }
    known.insert(store).await?;
    if !new.ids.is_empty() {
        answers::insert_tasks(store.connection, store.project.id, &new).await?;
    }
    let made = u64::try_from(new.ids.len()).unwrap_or_default();
    store.report.tasks += made;
    Ok(made)
}

fn sorted(keys: impl Iterator<Item = AnswerKey>) -> Vec<AnswerKey> {
    let mut keys: Vec<AnswerKey> = keys.collect();
    keys.sort_unstable();
    keys
}

fn add(new: &mut NewTasks, prompt: Uuid, ids: Vec<Uuid>) {
    let task = Uuid::now_v7();
    new.ids.push(task);
    new.prompts.push(prompt);
    for (id, position) in ids.into_iter().zip(0..) {
        new.task_of_answer.push(task);
        new.positions.push(position);
        new.responses.push(id);
    }
}
