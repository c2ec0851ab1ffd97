//! Which kinds of entries the audit log has, and what the details of each hold. The page puts every key into words; an entry with a kind or a
//! key that is missing here fails every test that writes it.

use serde_json::Value;

/// A kind of entry.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub action: &'static str,
    /// What its details may hold.
    pub keys: &'static [&'static str],
    /// Each value is a pair: what it was, and what it is. Some entries of earlier versions have only what it is.
    pub changes: bool,
}

/// Values that are lists themselves: of a change, they are a pair of lists. What an earlier version wrote, a list alone, is no pair.
const LISTS: [&str; 4] = ["languages", "former_scales", "flags", "own_flags"];

impl Kind {
    /// What a value of an entry was, and what it is; nothing where the entry does not say what it was.
    pub fn pair<'a>(&self, key: &str, value: &'a Value) -> Option<(&'a Value, &'a Value)> {
        let [was, now] = value.as_array()?.as_slice() else { return None };
        let are_lists = was.is_array() && now.is_array();
        (self.changes && (are_lists || !LISTS.contains(&key))).then_some((was, now))
    }
}

/// What was done.
const fn done(action: &'static str, keys: &'static [&'static str]) -> Kind {
    Kind { action, keys, changes: false }
}

/// What was changed, from what to what.
const fn changed(action: &'static str, keys: &'static [&'static str]) -> Kind {
    Kind { action, keys, changes: true }
}

/// Every kind that is written.
pub const KINDS: &[Kind] = &[
    changed("account.language", &["language"]),
    changed("account.name", &["name"]),
    done("account.password", &[]),
    done("account.sessions", &["ended"]),
    done("blind_test.again", &["test", "jobs"]),
    done("blind_test.create", &["first", "second", "tasks", "answers", "jobs"]),
    done("blind_test.enough", &["test", "prompts"]),
    // Of the key, no more than whether there is one, and that another was put in its place.
    changed(
        "chat.endpoint",
        &["base_url", "model", "has_key", "key_replaced", "system_prompt", "answers", "temperature", "max_tokens"],
    ),
    done("chat.off", &[]),
    done("course.ask_again", &["person"]),
    done("course.let_pass", &["person"]),
    done("demonstration.review", &["verdict", "review", "replaces", "text"]),
    done("gold.save", &["task", "purpose", "ranks", "retired"]),
    changed("guidelines.save", &["version"]),
    done("invitation.accept", &["role", "project"]),
    done("invitation.create", &["role", "email", "project"]),
    done("invitation.revoke", &[]),
    done("job.passed_over", &["reason"]),
    done("job.start", &["job", "round"]),
    done("job.stop", &[]),
    // Written by triggers.
    done("label.correct", &["label", "replaces", "kind", "turn"]),
    done("model.import", &["digest"]),
    done("model.promote", &["reason"]),
    // How many stay beside those that are needed, where a rule says so.
    done("model.remove_files", &["bytes", "keep"]),
    done("person.disable", &[]),
    done("person.enable", &[]),
    changed("person.languages", &["languages"]),
    done("person.reset", &[]),
    done("person.reset_link", &[]),
    changed("person.role", &["role"]),
    changed("project.audit", &["audit_percent"]),
    changed("project.checks", &["gold_percent", "course_tasks", "course_pass_percent"]),
    done("project.close", &[]),
    done("project.create", &["name"]),
    changed("project.demonstration_review", &["demonstration_review_percent"]),
    // Former scales stand in entries of earlier versions only.
    changed("project.label_scheme", &["rating", "scale", "former_scales", "flags", "own_flags", "note"]),
    done("project.members", &["added", "removed"]),
    changed("project.order", &["order", "hold_back", "percent"]),
    changed("project.plan", &["demonstrations", "rankings", "comparisons", "prompts"]),
    done("project.reopen", &[]),
    changed(
        "project.settings",
        &[
            "name",
            "description",
            "open_to_everyone",
            "judgement",
            "answers_per_prompt",
            "demonstration_overlap",
            "ranking_overlap",
            "lease_minutes",
            "validation_percent",
            "test_percent",
            "promotion",
            "prompts_per_round",
            "keep_models",
            "training",
        ],
    ),
    done("prompt.release", &[]),
    done("prompt.report", &["decision", "reports"]),
    done("prompts.ask", &["kind", "about", "count"]),
    done("prompts.ask_again", &[]),
    done("prompts.ask_no_more", &[]),
    done("prompts.hold_back", &["prompts", "held_back"]),
    done("records.import", &["kind", "report"]),
    changed("schedule.set", &["enabled", "minute", "timezone"]),
    changed("task.priority", &["priority"]),
    done("task.restore", &[]),
    done("task.review", &["verdicts", "ranks", "decision", "replaces"]),
    done("task.withdraw", &[]),
    done("token.create", &["name", "role"]),
    done("token.revoke", &[]),
    done("user.create", &["email", "role"]),
];

/// The kind of an action; none for one that is not written any more, or not yet.
pub fn of(action: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.action == action)
}

/// Whether an entry is of a kind that is listed, and holds nothing that its kind does not list.
pub fn lists(action: &str, detail: &Value) -> bool {
    let Some(kind) = of(action) else { return false };
    detail.as_object().is_some_and(|held| held.keys().all(|key| kind.keys.contains(&key.as_str())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_listed_is_found() {
        assert!(lists("task.priority", &json!({ "priority": 3 })) && lists("chat.off", &json!({})));
        assert!(!lists("task.priority", &json!({ "priority": 3, "why": "" })), "a key that is not listed");
        assert!(!lists("task.colour", &json!({})), "a kind that is not listed");
    }

    #[test]
    fn a_list_of_two_is_no_pair() {
        let (languages, scheme) =
            (of("person.languages").expect("a kind"), of("project.label_scheme").expect("a kind"));
        assert_eq!(languages.pair("languages", &json!(["en", "ar"])), None);
        assert_eq!(languages.pair("languages", &json!([["en"], []])), Some((&json!(["en"]), &json!([]))));
        assert_eq!(scheme.pair("rating", &json!(["off", "required"])), Some((&json!("off"), &json!("required"))));
        assert_eq!(scheme.pair("flags", &json!(["unsafe", "other"])), None);
        assert_eq!(of("token.create").expect("a kind").pair("name", &json!(["a", "b"])), None);
    }

    #[test]
    fn every_kind_is_listed_once() {
        let mut actions: Vec<&str> = KINDS.iter().map(|kind| kind.action).collect();
        actions.sort_unstable();
        actions.dedup();
        assert_eq!(actions.len(), KINDS.len());
    }
}
