//! Answers of a batch: those that are here are taken again, the others are new.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Store, TextDigest, digest};
use crate::{
    db::bulk::answers::{self, New},
    import::{Reason, fields::Wrong, own::Answer},
};

/// What makes an answer the same as another one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AnswerKey {
    pub digest: TextDigest,
    pub model: Option<String>,
}

impl AnswerKey {
    pub fn of(answer: &Answer) -> Self {
        AnswerKey { digest: digest(&answer.content), model: answer.model.clone() }
    }
}

/// The answers to the prompts of a batch.
#[derive(Default)]
pub struct Answers {
    by_content: HashMap<(Uuid, AnswerKey), Vec<Uuid>>,
    by_name: HashMap<(Uuid, String), Uuid>,
    keys: HashMap<Uuid, AnswerKey>,
    new: New,
}

impl Answers {
    pub async fn of(store: &mut Store<'_>, prompts: &[Uuid]) -> sqlx::Result<Self> {
        let mut known = Answers::default();
        for answer in answers::known(store.connection, prompts).await? {
            let key = AnswerKey { digest: answer.digest, model: answer.model };
            known.by_name.insert((answer.prompt_id, answer.id.to_string()), answer.id);
            known.remember(answer.id, answer.prompt_id, answer.external_id, key);
        }
        Ok(known)
    }

    fn remember(&mut self, id: Uuid, prompt: Uuid, name: Option<String>, key: AnswerKey) {
        self.by_name.extend(name.map(|name| ((prompt, name), id)));
        self.by_content.entry((prompt, key.clone())).or_default().push(id);
        self.keys.insert(id, key);
    }

    /// What an answer says, by its id.
    pub fn key(&self, id: Uuid) -> Option<&AnswerKey> {
        self.keys.get(&id)
    }

    /// The ids of a record's answers, in its order. An answer with an id is the one of that id; one without is any that says
    /// the same, but never one that the record has already: two answers that are alike stay two.
    pub fn place(&mut self, prompt: Uuid, answers: Vec<Answer>) -> Result<Vec<Uuid>, Wrong> {
        let mut used = HashSet::new();
        let mut ids = Vec::with_capacity(answers.len());
        for (index, answer) in answers.into_iter().enumerate() {
            let key = AnswerKey::of(&answer);
            let field = || format!("responses[{index}].id");
            let found = match &answer.external_id {
                Some(name) => match self.by_name.get(&(prompt, name.clone())) {
                    Some(id) if used.contains(id) => {
                        return Err(Wrong::at(field(), Reason::with("import-reason-twice", "name", name)));
                    }
                    Some(id) if self.says(*id, &key) => Some(*id),
                    Some(_) => {
                        return Err(Wrong::at(field(), Reason::with("import-reason-other-answer", "name", name)));
                    }
                    None => None,
                },
                None => {
                    let alike = self.by_content.get(&(prompt, key.clone()));
                    alike.and_then(|ids| ids.iter().find(|id| !used.contains(*id))).copied()
                }
            };
            let id = found.unwrap_or_else(|| self.add(prompt, answer, key));
            used.insert(id);
            ids.push(id);
        }
        Ok(ids)
    }

    fn says(&self, id: Uuid, key: &AnswerKey) -> bool {
        let same = |known: &AnswerKey| known.digest == key.digest && (key.model.is_none() || known.model == key.model);
        self.keys.get(&id).is_some_and(same)
    }

    fn add(&mut self, prompt: Uuid, answer: Answer, key: AnswerKey) -> Uuid {
        let id = Uuid::now_v7();
        self.remember(id, prompt, answer.external_id.clone(), key);
        self.new.ids.push(id);
        self.new.prompts.push(prompt);
        self.new.external_ids.push(answer.external_id);
        self.new.contents.push(answer.content);
        self.new.models.push(answer.model);
        self.new.samplings.push(answer.sampling);
        id
    }

    /// Inserts the new ones.
    pub async fn insert(&mut self, store: &mut Store<'_>) -> sqlx::Result<()> {
        let new = std::mem::take(&mut self.new);
        if new.ids.is_empty() { Ok(()) } else { answers::insert(store.connection, &new).await }
    }
}
