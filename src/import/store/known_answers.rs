//! Records of known answers: tasks that everybody may be given, beside the order that is right.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Placed, Store,
    answers::{AnswerKey, Answers},
    prompts_of,
};
use crate::{
    db::bulk::gold::{self, NewKnown},
    import::{BadRecord, fields::Wrong, own::KnownAnswer},
};

/// Answers with the ranks that they are known to have, in an order that does not depend on the record's.
type Order = Vec<(AnswerKey, i32)>;

/// Stores the answers and what is known of them; gives how many records were new. The same answers in another order contradict
/// what is known.
pub async fn store(
    store: &mut Store<'_>,
    records: Vec<Placed<KnownAnswer>>,
    bad: &mut Vec<BadRecord>,
) -> sqlx::Result<u64> {
    let prompts = prompts_of(&records);
    let mut answers = Answers::of(store, &prompts).await?;
    let mut known: HashMap<(Uuid, Vec<AnswerKey>), Order> = HashMap::new();
    for task in gold::known(store.connection, &prompts).await? {
        let keys = task.responses.iter().filter_map(|id| answers.key(*id)).cloned();
        let order = sorted(keys.zip(task.ranks).collect());
        known.insert((task.prompt_id, keys_of(&order)), order);
    }
    let mut new = Vec::new();
    for Placed { line, prompt, what } in records {
        let order = sorted(what.answers.iter().map(AnswerKey::of).zip(what.ranks.iter().copied()).collect());
        let place = (prompt, keys_of(&order));
        match known.get(&place) {
            Some(here) if *here == order => continue,
            Some(_) => {
                bad.push(BadRecord::of(line, Wrong::at("ranks", "import-reason-other-order")));
                continue;
            }
            None => drop(known.insert(place, order)),
        }
        match answers.place(prompt, what.answers) {
            Ok(responses) => new.push(NewKnown {
                prompt,
                responses,
                ranks: what.ranks,
                purpose: what.purpose,
                explanation: what.explanation,
            }),
            Err(wrong) => bad.push(BadRecord::of(line, wrong)),
        }
    }
    answers.insert(store).await?;
    for known in &new {
        gold::insert(store.connection, store.project.id, known).await?;
    }
    let made = u64::try_from(new.len()).unwrap_or_default();
    store.report.tasks += made;
    Ok(made)
}

fn sorted(mut order: Order) -> Order {
    order.sort_unstable();
    order
}

fn keys_of(order: &Order) -> Vec<AnswerKey> {
    order.iter().map(|(key, _)| key.clone()).collect()
}
