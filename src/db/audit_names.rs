//! What the things that the audit log speaks of are called: people, projects, runs, tasks, prompts. One query a page, whatever stands on it.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use super::audit::Entry;

/// Characters of a prompt that stand for it.
const EXCERPT: i32 = 120;

/// What is known of a thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// As entries call it: `person/ada@example.org`, `project/demo`, `task/…`.
    pub subject: String,
    /// Its name, or the beginning of its text; may be empty.
    pub name: String,
    /// Of a person.
    pub email: Option<String>,
    /// The short name of its project.
    pub project: Option<String>,
    /// The word of its kind: of a task, a run, a brief.
    pub kind: Option<String>,
    /// Of a run.
    pub round: Option<i32>,
    /// The prompt on whose page it stands.
    pub prompt: Option<Uuid>,
}

/// The things of a page.
#[derive(Debug, Clone, Default)]
pub struct Names(HashMap<String, Named>);

impl Names {
    pub fn new(named: Vec<Named>) -> Self {
        Names(named.into_iter().map(|named| (named.subject.clone(), named)).collect())
    }

    /// What an entry speaks of: `task/…`.
    pub fn get(&self, subject: &str) -> Option<&Named> {
        self.0.get(subject)
    }

    /// Somebody by their email address or, as older entries have it, by their id.
    pub fn person(&self, key: &str) -> Option<&Named> {
        self.get(&format!("person/{key}")).or_else(|| self.get(&format!("user/{key}")))
    }
}

/// The names of what these entries speak of, as far as it is still there.
pub async fn of(pool: &PgPool, entries: &[Entry]) -> sqlx::Result<Names> {
    let mut mentioned = BTreeSet::new();
    for entry in entries {
        mentioned.insert(entry.actor.clone());
        mentioned.insert(entry.subject.split_once('/').map_or(entry.subject.as_str(), |(_, key)| key).to_owned());
        mentions(&entry.detail, &mut mentioned);
    }
    let ids: Vec<Uuid> = mentioned.iter().filter_map(|text| text.parse().ok()).collect();
    let words: Vec<String> = mentioned.into_iter().collect();
    let named = sqlx::query_as!(
        Named,
        r#"
        SELECT
            'person/' || u.email AS "subject!",
            u.name AS "name!",
            u.email AS "email?",
            NULL::text AS "project?",
            NULL::text AS "kind?",
            NULL::integer AS "round?",
            NULL::uuid AS "prompt?"
        FROM users u
        WHERE u.email = ANY ($2)
        UNION ALL
        SELECT 'user/' || u.id::text, u.name, u.email, NULL::text, NULL::text, NULL::integer, NULL::uuid
        FROM users u
        WHERE u.id = ANY ($1)
        UNION ALL
        SELECT 'project/' || p.slug, p.name, NULL::text, p.slug, NULL::text, NULL::integer, NULL::uuid
        FROM projects p
        WHERE p.slug = ANY ($2)
        UNION ALL
        SELECT 'job/' || j.id::text, '', NULL::text, p.slug, j.kind, j.round, NULL::uuid
        FROM jobs j
        JOIN projects p ON p.id = j.project_id
        WHERE j.id = ANY ($1)
        UNION ALL
        SELECT
            'task/' || t.id::text,
            left(coalesce(asked.conversation -> -1 ->> 'content', b.about, ''), $3),
            NULL::text,
            p.slug,
            t.kind,
            NULL::integer,
            t.prompt_id
        FROM tasks t
        JOIN projects p ON p.id = t.project_id
        LEFT JOIN prompts asked ON asked.id = t.prompt_id
        LEFT JOIN prompt_briefs b ON b.id = t.brief_id
        WHERE t.id = ANY ($1)
        UNION ALL
        SELECT
            'prompt/' || asked.id::text,
            left(coalesce(asked.conversation -> -1 ->> 'content', ''), $3),
            NULL::text,
            p.slug,
            NULL::text,
            NULL::integer,
            asked.id
        FROM prompts asked
        JOIN projects p ON p.id = asked.project_id
        WHERE asked.id = ANY ($1)
        UNION ALL
        SELECT 'brief/' || b.id::text, left(b.about, $3), NULL::text, p.slug, b.kind, NULL::integer, NULL::uuid
        FROM prompt_briefs b
        JOIN projects p ON p.id = b.project_id
        WHERE b.id = ANY ($1)
        UNION ALL
        SELECT
            'demonstration/' || d.id::text,
            left(coalesce(asked.conversation -> -1 ->> 'content', ''), $3),
            NULL::text,
            p.slug,
            NULL::text,
            NULL::integer,
            asked.id
        FROM demonstrations d
        JOIN prompts asked ON asked.id = d.prompt_id
        JOIN projects p ON p.id = asked.project_id
        WHERE d.id = ANY ($1)
        UNION ALL
        SELECT 'chat/' || c.id::text, p.name, NULL::text, p.slug, NULL::text, NULL::integer, NULL::uuid
        FROM chats c
        JOIN projects p ON p.id = c.project_id
        WHERE c.id = ANY ($1)
        UNION ALL
        SELECT 'token/' || k.id::text, k.name, NULL::text, NULL::text, NULL::text, NULL::integer, NULL::uuid
        FROM api_tokens k
        WHERE k.id = ANY ($1)
        UNION ALL
        SELECT
            'invitation/' || i.id::text,
            coalesce(i.email, ''),
            NULL::text,
            NULL::text,
            NULL::text,
            NULL::integer,
            NULL::uuid
        FROM invitations i
        WHERE i.id = ANY ($1)
        "#,
        &ids,
        &words,
        EXCERPT
    )
    .fetch_all(pool)
    .await?;
    Ok(Names::new(named))
}

/// Every text in a detail that can be what something is called by.
fn mentions(detail: &Value, into: &mut BTreeSet<String>) {
    /// Of an email address, the longest of them.
    const LONGEST: usize = 254;
    match detail {
        Value::String(text) if text.len() <= LONGEST => {
            into.insert(text.clone());
        }
        Value::Array(values) => values.iter().for_each(|value| mentions(value, into)),
        Value::Object(map) => map.values().for_each(|value| mentions(value, into)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_detail_mentions_is_found_however_deep_it_lies() {
        let mut found = BTreeSet::new();
        mentions(&json!({ "added": ["a@b.c"], "report": { "kind": "prompts", "tasks": 3 }, "note": null }), &mut found);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a@b.c", "prompts"]);
    }
}
