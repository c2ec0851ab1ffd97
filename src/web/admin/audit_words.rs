//! Entries of the audit log in words: what each detail is called, and what it says. What nobody has words for yet is shown as it is called
//! and stored, and nothing is left out but the ids of the rows that were made, which the exact entry has.

mod table;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::{
    reasons, show,
    value_words::{self, NOTHING, leaves, line, spelled},
};
use crate::{
    db::{audit_kinds, audit_names::Names},
    domain::{flag::OwnFlag, rating_scale::RatingScale},
    web::{Page, annotate::language_name},
};
use table::{How, REPORT, known};

/// Characters from which a text is folded, and those of it that stand before it is unfolded.
const LONG: usize = 200;
const BEGINNING: usize = 120;

/// A value in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    pub text: String,
    /// Beside it: a person's email address, the kind of a task.
    pub aside: String,
    /// The whole text, where `text` is only its beginning.
    pub whole: Option<String>,
    /// Where it is shown.
    pub address: Option<String>,
    /// Several, in place of a text; none of them is a list.
    pub list: Vec<Said>,
}

impl Said {
    fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        match text.char_indices().nth(BEGINNING) {
            Some((end, _)) if text.chars().nth(LONG).is_some() => {
                Said { text: format!("{}…", text[..end].trim_end()), whole: Some(text), ..Said::default() }
            }
            _ if text.trim().is_empty() => Said { text: NOTHING.to_owned(), ..Said::default() },
            _ => Said { text, ..Said::default() },
        }
    }

    fn list(list: Vec<Said>) -> Self {
        if list.is_empty() { Said::text("") } else { Said { list, ..Said::default() } }
    }
}

/// One thing that an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub label: String,
    /// What it was before; nothing where the entry does not say.
    pub was: Option<Said>,
    pub now: Said,
}

/// What an entry's details say, line by line.
pub fn lines(page: &Page, names: &Names, action: &str, detail: &Value) -> Vec<Line> {
    let Value::Object(held) = detail else {
        let told = Line { label: page.t("admin-audit-detail"), was: None, now: Said::text(line(page, detail)) };
        return if detail.is_null() { Vec::new() } else { vec![told] };
    };
    let teller = Teller { page, names, action };
    let kind = audit_kinds::of(action);
    // The database keeps keys in an order of its own.
    let listed: &[&str] = kind.map_or(&[], |kind| kind.keys);
    let first = listed.iter().filter_map(|key| Some((*key, held.get(*key)?)));
    let others = held.iter().map(|(key, value)| (key.as_str(), value)).filter(|(key, _)| !listed.contains(key));
    let mut told = Vec::new();
    for (key, value) in first.chain(others) {
        match kind.and_then(|kind| kind.pair(key, value)) {
            Some((was, now)) => teller.tell(key, Some(was), now, &mut told),
            None => teller.tell(key, None, value, &mut told),
        }
    }
    told
}

/// What a thing is, as entries call it (`task/…`), and what it is called.
pub fn thing(page: &Page, names: &Names, subject: &str) -> (String, Said) {
    let (kind, key) = subject.split_once('/').unwrap_or(("", subject));
    let what = page.translator.known(&format!("audit-thing-{kind}")).unwrap_or_else(|| spelled(kind));
    let Some(named) = names.get(subject) else {
        // It is gone, or has no name but this.
        let shown = if key.parse::<uuid::Uuid>().is_ok() { show::short(key) } else { key.to_owned() };
        return (what, Said::text(shown));
    };
    let word = |of: &str| named.kind.as_deref().map(|kind| page.word(of, kind)).unwrap_or_default();
    let (text, aside) = match kind {
        "person" | "user" => (named.name.clone(), named.email.clone().unwrap_or_default()),
        "job" => (
            word("training-kind"),
            named.round.map(|round| page.t1("training-round", "round", round)).unwrap_or_default(),
        ),
        "task" => (named.name.clone(), word("annotate-kind")),
        "brief" => (named.name.clone(), word("writing-kind")),
        "invitation" if named.name.is_empty() => (page.t("people-anyone"), String::new()),
        _ => (named.name.clone(), String::new()),
    };
    let address = named.project.as_deref().and_then(|slug| match (kind, named.prompt) {
        ("project", _) => Some(format!("/admin/projects/{slug}")),
        ("job", _) => Some(format!("/admin/jobs/{key}")),
        ("demonstration", _) => Some(format!("/admin/projects/{slug}/reviews/demonstrations/{key}")),
        ("task" | "prompt", Some(prompt)) => Some(format!("/admin/projects/{slug}/prompts/{prompt}")),
        ("task" | "brief", None) => Some(format!("/admin/projects/{slug}/writing")),
        _ => None,
    });
    (what, Said { text: Said::text(text).text, aside, address, ..Said::default() })
}

/// Who made a change: a person with their address, or a program.
pub fn actor(page: &Page, names: &Names, name: &str) -> Said {
    match names.get(&format!("person/{name}")) {
        Some(person) => Said { aside: name.to_owned(), ..Said::text(person.name.as_str()) },
        None => Said::text(program(page, name).unwrap_or_else(|| name.to_owned())),
    }
}

/// What a part of the program is called that makes changes by itself. Tokens have the names that people gave them.
pub fn program(page: &Page, name: &str) -> Option<String> {
    let message = match name {
        "clock" => "audit-program-clock",
        "command line" => "audit-program-command-line",
        "first start" => "audit-program-first-start",
        "promotion rule" => "audit-program-promotion-rule",
        _ => return None,
    };
    Some(page.t(message))
}

/// Tells the details of one entry.
struct Teller<'a> {
    page: &'a Page,
    names: &'a Names,
    action: &'a str,
}

impl Teller<'_> {
    fn tell(&self, key: &str, was: Option<&Value>, now: &Value, into: &mut Vec<Line>) {
        match known(self.action, key) {
            Some((_, How::Itself)) => {}
            Some((label, How::Settings)) => self.settings(&self.page.t(label), was, now, into),
            Some((label, How::Report)) => self.report(&self.page.t(label), now, into),
            Some((label, how)) => into.push(Line {
                label: self.page.t(label),
                was: was.map(|was| self.said(how, was)),
                now: self.said(how, now),
            }),
            None => into.push(Line {
                label: spelled(key),
                was: was.map(|was| self.said(How::Plain, was)),
                now: self.said(How::Plain, now),
            }),
        }
    }

    /// The settings that differ, or all of them where it is not said what they were.
    fn settings(&self, label: &str, was: Option<&Value>, now: &Value, into: &mut Vec<Line>) {
        let before = was.map(leaves).unwrap_or_default();
        let after = leaves(now);
        let of = |found: &[(Vec<&str>, &Value)], path: &[&str]| {
            found.iter().find(|(known, _)| known.as_slice() == path).map_or(Value::Null, |(_, value)| (*value).clone())
        };
        let gone = before.iter().filter(|(path, _)| !after.iter().any(|(other, _)| other == path));
        // What has no name is the whole of no settings.
        for (path, _) in after.iter().chain(gone).filter(|(path, _)| !path.is_empty()) {
            let (old, new) = (of(&before, path), of(&after, path));
            if was.is_none() || old != new {
                into.push(Line {
                    label: format!("{label} · {}", value_words::setting_name(self.page, path)),
                    was: was.map(|_| self.said(How::Plain, &old)),
                    now: self.said(How::Plain, &new),
                });
            }
        }
    }

    fn report(&self, label: &str, report: &Value, into: &mut Vec<Line>) {
        let Value::Object(numbers) = report else {
            into.push(Line { label: label.to_owned(), was: None, now: self.said(How::Plain, report) });
            return;
        };
        let name = |key: &str| REPORT.iter().find(|(known, _)| *known == key).map(|(_, label)| self.page.t(label));
        let place = |key: &str| REPORT.iter().position(|(known, _)| *known == key).unwrap_or(REPORT.len());
        let mut found: Vec<(&String, &Value)> = numbers.iter().collect();
        found.sort_by_key(|(key, _)| place(key));
        into.extend(found.into_iter().map(|(key, value)| Line {
            label: name(key).unwrap_or_else(|| spelled(key)),
            was: None,
            now: self.said(How::Plain, value),
        }));
    }

    /// A value in words. One of another form than is known, as older entries may have it, is shown as it is stored.
    fn said(&self, how: How, value: &Value) -> Said {
        let page = self.page;
        match (how, value) {
            (How::Invited, Value::Null) => Said::text(page.t("people-anyone")),
            (How::Language, Value::Array(tags)) if tags.is_empty() => Said::text(page.t("work-languages-all")),
            (How::Order, Value::Array(_)) => match serde_json::from_value::<Vec<i32>>(value.clone()) {
                Ok(ranks) => Said::text(show::order(&ranks)),
                Err(_) => Said::text(line(page, value)),
            },
            (How::Given, _) => Said::text(page.t(if value.is_null() { "training-no" } else { "training-yes" })),
            (_, Value::Array(values)) => {
                let one = |value: &Value| match value {
                    Value::Array(_) => Said::text(line(page, value)),
                    _ => self.said(how, value),
                };
                Said::list(values.iter().map(one).collect())
            }
            (How::Word(prefix), Value::String(word)) => Said::text(self.word(prefix, word)),
            (How::Person | How::Invited, Value::String(key)) => match self.names.person(key) {
                Some(person) => {
                    Said { aside: person.email.clone().unwrap_or_default(), ..Said::text(person.name.as_str()) }
                }
                None => Said::text(key.as_str()),
            },
            (How::Project, Value::String(slug)) => thing(page, self.names, &format!("project/{slug}")).1,
            (How::Run, Value::String(id)) => thing(page, self.names, &format!("job/{id}")).1,
            (How::Task, Value::String(id)) => thing(page, self.names, &format!("task/{id}")).1,
            (How::Language, Value::String(tag)) => Said::text(language_name(page, tag)),
            (How::Access, Value::Bool(open)) => {
                Said::text(page.t(if *open { "admin-access-everyone" } else { "admin-access-members" }))
            }
            (How::Scale, Value::Object(_)) => Said::text(self.scale(value)),
            (How::OwnFlags, Value::Object(_)) => Said::text(self.own_flag(value)),
            (How::Digest, Value::String(digest)) => {
                Said { text: show::short(digest), whole: Some(digest.clone()), ..Said::default() }
            }
            (How::Promotion, Value::String(reason)) => Said::text(reasons::promotion(page, reason)),
            (How::PassedOver, Value::String(reason)) => Said::text(reasons::passed_over(page, reason)),
            (How::Size, Value::Number(number)) => Said::text(match number.as_u64() {
                Some(bytes) => show::bytes(bytes),
                None => line(page, value),
            }),
            (How::Clock | How::Counted, Value::Number(number)) => Said::text(match (how, number.as_i64()) {
                (How::Clock, Some(minute @ 0..1440)) => format!("{:02}:{:02}", minute / 60, minute % 60),
                (How::Counted, Some(place)) => show::count(place.saturating_add(1)),
                _ => line(page, value),
            }),
            _ => Said::text(line(page, value)),
        }
    }

    /// The message of a word; the word itself where it has none.
    fn word(&self, prefix: &str, word: &str) -> String {
        let message = |word: &str| self.page.translator.known(&format!("{prefix}-{word}"));
        message(word).or_else(|| message(&word.replace('_', "-"))).unwrap_or_else(|| spelled(word))
    }

    fn scale(&self, value: &Value) -> String {
        let Ok(scale) = serde_json::from_value::<RatingScale>(value.clone()) else { return line(self.page, value) };
        let end = |point: u8, word: &str| if word.is_empty() { point.to_string() } else { format!("{point} ({word})") };
        let (lowest, highest) = (end(scale.lowest(), scale.lowest_word()), end(scale.highest(), scale.highest_word()));
        self.page.t2("audit-scale-ends", "lowest", lowest, "highest", highest)
    }

    fn own_flag(&self, value: &Value) -> String {
        let Ok(flag) = serde_json::from_value::<OwnFlag>(value.clone()) else { return line(self.page, value) };
        let name = flag.name(self.page.language());
        if flag.removed { self.page.t1("audit-flag-removed", "name", name) } else { name.to_owned() }
    }
}
