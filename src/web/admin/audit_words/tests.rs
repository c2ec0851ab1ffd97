//! Every kind of entry that is written is told in words, in every language.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::{
    db::{
        audit_kinds::KINDS,
        audit_names::Named,
        job_queue::EnqueueError,
        projects::{Judgement, PromotionRule},
        prompt_order::TaskOrder,
    },
    domain::{
        flag::Flag,
        label_scheme::{LabelScheme, RatingRule},
        role::Role,
    },
    import::{ImportReport, Kind},
    web::{i18n::Language, session::Visitor},
};

fn page(language: Language) -> Page {
    Visitor { language, ..Visitor::default() }.page("/admin/audit")
}

fn english() -> Page {
    page(Language::default())
}

/// Details as they are written, of every kind that has any; every key of it, and every word that a key can have.
fn written() -> Vec<(&'static str, Value)> {
    let id = Uuid::now_v7();
    let one = |action: &'static str, detail: Value| vec![(action, detail)];
    let each = |action: &'static str, key: &str, words: &[&str]| {
        words.iter().map(|word| (action, json!({ key: word }))).collect::<Vec<_>>()
    };
    let roles = Role::ALL.map(Role::as_str);
    let own = json!({ "word": "off_topic", "names": { "en": "Off topic", "zh": "跑题" }, "hint": "Not asked", "removed": true });
    let scheme = LabelScheme {
        former_scales: vec![serde_json::from_value(json!({ "lowest": 0, "highest": 10 })).expect("a scale")],
        scale: serde_json::from_value(json!({ "lowest": 1, "highest": 5, "lowest_word": "bad" })).expect("a scale"),
        flags: Flag::ALL.to_vec(),
        own_flags: vec![serde_json::from_value(own).expect("a flag")],
        ..LabelScheme::default()
    };
    let settings = json!({
        "name": ["Old", "New"],
        "description": ["", "d".repeat(1_000)],
        "open_to_everyone": [true, false],
        "judgement": [Judgement::Ranking.as_str(), Judgement::Comparison.as_str()],
        "answers_per_prompt": [4, 2],
        "demonstration_overlap": [1, 0],
        "ranking_overlap": [1, 2],
        "lease_minutes": [60, 30],
        "validation_percent": [10, 20],
        "test_percent": [10, 5],
        "promotion": [PromotionRule::ByHand.as_str(), PromotionRule::IfBetter.as_str()],
        "prompts_per_round": [100, 1_000],
        "keep_models": [null, 6],
        "training": [
            { "sft": { "epochs": 2, "learning_rate": 0.0002 }, "device": "cpu" },
            { "sft": { "epochs": 3, "learning_rate": 0.0002 }, "ppo": { "kl_coefficient": 0.05 }, "lora": { "rank": 8 } },
        ],
    });
    let verdicts = ["accepted", "corrected", "rejected"];
    [
        one("account.language", json!({ "language": ["en", "zh"] })),
        one("account.name", json!({ "name": ["Bob", "בוב"] })),
        one("account.sessions", json!({ "ended": 2 })),
        one("blind_test.again", json!({ "test": id, "jobs": [id] })),
        one(
            "blind_test.create",
            json!({ "first": "sft-1", "second": "ppo-2", "tasks": 12, "answers": 4, "jobs": [id, id] }),
        ),
        one("blind_test.enough", json!({ "test": id, "prompts": 3 })),
        one(
            "chat.endpoint",
            json!({ "base_url": [null, "https://m.example.org/v1"], "model": ["l", "m"], "has_key": [false, true] }),
        ),
        one("chat.endpoint", json!({ "key_replaced": true, "temperature": [1.0, 0.7] })),
        // As it was before the log had what stood before.
        one("chat.endpoint", json!({ "has_key": true, "system_prompt": "Be kind.", "answers": 2, "max_tokens": 512 })),
        one("course.ask_again", json!({ "person": "ada@example.org" })),
        one("course.let_pass", json!({ "person": id })),
        each("demonstration.review", "verdict", &verdicts),
        one("demonstration.review", json!({ "review": id, "replaces": id, "text": null })),
        each("gold.save", "purpose", &["check", "course"]),
        one("gold.save", json!({ "task": id, "ranks": [2, 1, 2], "retired": false })),
        one("guidelines.save", json!({ "version": [null, 1] })),
        one("guidelines.save", json!({ "version": 3 })),
        one("invitation.accept", json!({ "role": "annotator", "project": "test" })),
        one("invitation.create", json!({ "role": "lead", "email": null, "project": "test" })),
        one("invitation.create", json!({ "role": "lead", "email": "eve@example.org" })),
        one("job.passed_over", json!({ "reason": EnqueueError::Closed.to_string() })),
        one("job.start", json!({ "job": id, "round": 4 })),
        each("label.correct", "kind", &["demonstration", "ranking", "known_answer", "prompt", "choice"]),
        one("label.correct", json!({ "label": id, "replaces": id, "turn": 0 })),
        one("model.import", json!({ "digest": "a".repeat(64) })),
        each("model.promote", "reason", &["by hand", "by command", "by the token “t”", "better on the held-out split"]),
        one("model.promote", json!({ "reason": "better on the held-out split: win_rate 0.612, kl 0.100" })),
        one("model.remove_files", json!({ "bytes": 1_500_000, "keep": 6 })),
        one("person.languages", json!({ "languages": [[], ["en", "ar"]] })),
        one("person.languages", json!({ "languages": ["en", "ar"] })),
        one("person.role", json!({ "role": ["annotator", "reviewer"] })),
        // As it was before the log had what somebody was.
        each("person.role", "role", &roles),
        one("project.audit", json!({ "audit_percent": [0, 5] })),
        one(
            "project.checks",
            json!({ "gold_percent": [0, 5], "course_tasks": [0, 3], "course_pass_percent": [75, 80] }),
        ),
        one("project.create", json!({ "name": "Test" })),
        one("project.demonstration_review", json!({ "demonstration_review_percent": [100, 10] })),
        one(
            "project.label_scheme",
            json!({
                "rating": ["optional", "off"],
                "scale": [LabelScheme::default().scale, scheme.scale],
                "flags": [[], scheme.flags],
                "own_flags": [[], scheme.own_flags],
                "note": [true, false],
            }),
        ),
        // As it was before the log had what was asked before.
        one("project.label_scheme", json!(scheme)),
        each("project.label_scheme", "rating", &RatingRule::ALL.map(RatingRule::as_str)),
        one("project.members", json!({ "added": ["ada@example.org"], "removed": [] })),
        each("project.order", "order", &TaskOrder::ALL.map(TaskOrder::as_str)),
        one("project.order", json!({ "hold_back": [false, true], "percent": [80, 90] })),
        one(
            "project.plan",
            json!({ "demonstrations": [1, 2], "rankings": [1, 3], "comparisons": [1, 0], "prompts": [1, 0] }),
        ),
        one("project.settings", settings),
        each("prompt.report", "decision", &["kept", "withdrawn", "replaced"]),
        one("prompt.report", json!({ "reports": 2 })),
        each("prompts.ask", "kind", &["plain", "few_shot", "use_case"]),
        one("prompts.ask", json!({ "about": "A shop answers.", "count": 10 })),
        one("prompts.hold_back", json!({ "prompts": 1_200, "held_back": 3 })),
        each("records.import", "kind", &Kind::ALL.map(Kind::as_str)),
        one("records.import", json!({ "report": ImportReport { records: 10, ..ImportReport::default() } })),
        one(
            "schedule.set",
            json!({ "enabled": [false, true], "minute": [120, 150], "timezone": ["UTC", "Asia/Shanghai"] }),
        ),
        one("task.priority", json!({ "priority": [0, 10] })),
        one("task.priority", json!({ "priority": 10 })),
        one("task.review", json!({ "verdicts": verdicts, "ranks": null, "decision": id, "replaces": null })),
        one("task.review", json!({ "ranks": [1, 2] })),
        each("token.create", "role", &["trainer", "admin", "annotator"]),
        one("token.create", json!({ "name": "gpu-box" })),
        each("user.create", "role", &roles),
        one("user.create", json!({ "email": "ada@example.org" })),
    ]
    .concat()
}

/// Every text of a value.
fn texts(said: &Said) -> Vec<String> {
    let own = [Some(said.text.clone()), said.whole.clone(), Some(said.aside.clone())];
    own.into_iter().flatten().chain(said.list.iter().flat_map(texts)).collect()
}

#[test]
fn every_kind_that_is_written_is_told_in_words_of_every_language() {
    let names = Names::default();
    for kind in KINDS {
        let details: Vec<Value> =
            written().into_iter().filter(|(action, _)| *action == kind.action).map(|(_, detail)| detail).collect();
        let seen: BTreeSet<&str> = details
            .iter()
            .flat_map(|detail| detail.as_object().expect("an object").keys())
            .map(String::as_str)
            .collect();
        let wanted: BTreeSet<&str> = kind.keys.iter().copied().collect();
        assert_eq!(seen, wanted, "{} has no example of each key", kind.action);
        for language in Language::all() {
            let page = page(language);
            for key in kind.keys {
                let (label, _) =
                    known(kind.action, key).unwrap_or_else(|| panic!("{key} of {} has no words", kind.action));
                assert!(page.translator.known(label).is_some(), "{label} is no message");
            }
            for detail in &details {
                for line in lines(&page, &names, kind.action, detail) {
                    let said = line.was.iter().chain([&line.now]).flat_map(texts).chain([line.label.clone()]);
                    for text in said {
                        let raw = ['{', '}', '[', ']', '"', '_'].iter().any(|sign| text.contains(*sign));
                        assert!(!raw && !text.contains("Unknown loc"), "{} {detail}: {line:?}", kind.action);
                    }
                    let foreign = language.tag() == "zh" && line.label.is_ascii();
                    assert!(!foreign, "{} is not in {}: {line:?}", kind.action, language.tag());
                }
            }
        }
    }
}

/// Lines as one reads them: `Role: Annotator → Reviewer`.
fn read(names: &Names, action: &str, detail: &Value) -> Vec<String> {
    let said = |said: &Said| match said.list.is_empty() {
        true => said.text.clone(),
        false => said.list.iter().map(|one| one.text.clone()).collect::<Vec<_>>().join(" | "),
    };
    let line = |line: Line| match line.was {
        Some(was) => format!("{}: {} → {}", line.label, said(&was), said(&line.now)),
        None => format!("{}: {}", line.label, said(&line.now)),
    };
    lines(&english(), names, action, detail).into_iter().map(line).collect()
}

#[test]
fn a_change_says_what_was_and_what_is() {
    let names = Names::default();
    assert_eq!(read(&names, "person.role", &json!({ "role": ["annotator", "lead"] })), ["Role: Annotator → Lead"]);
    let settings = json!({
        "training": [{ "sft": { "epochs": 2 }, "device": "cpu" }, { "sft": { "epochs": 3 }, "lora": { "rank": 8 } }],
        "open_to_everyone": [true, false],
        "lease_minutes": [60, 30],
    });
    assert_eq!(
        read(&names, "project.settings", &settings),
        [
            "Who works on it: Everyone with an account → Members only, chosen on the page People",
            "Minutes for a task: 60 → 30",
            "Training · SFT · epochs: 2 → 3",
            "Training · LoRA · rank: – → 8",
            "Training · Device: cpu → –",
        ]
    );
    // What nobody set before.
    let first = json!({ "training": [{}, { "sft": { "epochs": 3 } }] });
    assert_eq!(read(&names, "project.settings", &first), ["Training · SFT · epochs: – → 3"]);
    assert_eq!(
        read(&names, "person.languages", &json!({ "languages": ["en", "ar"] })),
        ["Languages: English | Arabic"]
    );
    let languages = json!({ "languages": [["en"], ["en", "ar"]] });
    assert_eq!(read(&names, "person.languages", &languages), ["Languages: English → English | Arabic"]);
    assert_eq!(read(&names, "guidelines.save", &json!({ "version": [2, 3] })), ["Version: 2 → 3"]);
    let key = json!({ "model": ["l", "m"], "key_replaced": true });
    assert_eq!(read(&names, "chat.endpoint", &key), ["Model: l → m", "Another key in its place: yes"]);
    assert_eq!(read(&names, "schedule.set", &json!({ "minute": [120, 150] })), ["Time of day: 02:00 → 02:30"]);
    // As it was before the log had what was set before.
    assert_eq!(
        read(&names, "schedule.set", &json!({ "timezone": "UTC", "minute": 150, "enabled": false })),
        ["Run every day: no", "Time of day: 02:30", "Time zone: UTC"]
    );
    let gold = json!({ "ranks": [2, 1, 2], "purpose": "course" });
    assert_eq!(read(&names, "gold.save", &gold), ["Use: Course", "Known order: B > A = C"]);
}

#[test]
fn names_stand_for_addresses_and_ids() {
    let (ada, job) = (Uuid::now_v7(), Uuid::now_v7());
    let named = |subject: String, name: &str| Named {
        subject,
        name: name.to_owned(),
        email: None,
        project: Some("test".to_owned()),
        kind: None,
        round: None,
        prompt: None,
    };
    let person = |subject| Named { email: Some("ada@example.org".to_owned()), project: None, ..named(subject, "Ada") };
    let names = Names::new(vec![
        person("person/ada@example.org".to_owned()),
        person(format!("user/{ada}")),
        named("project/test".to_owned(), "Test"),
        Named { kind: Some("nightly".to_owned()), round: Some(3), ..named(format!("job/{job}"), "") },
    ]);
    for key in ["ada@example.org".to_owned(), ada.to_string()] {
        let told = lines(&english(), &names, "course.let_pass", &json!({ "person": key }));
        assert_eq!((told[0].now.text.as_str(), told[0].now.aside.as_str()), ("Ada", "ada@example.org"));
    }
    assert_eq!(
        read(&names, "project.members", &json!({ "added": ["ada@example.org"], "removed": [] })),
        ["Came in: Ada", "Left: –"]
    );
    let told = lines(&english(), &names, "job.start", &json!({ "job": job, "round": 3 }));
    let address = format!("/admin/jobs/{job}");
    assert_eq!((told[0].now.text.as_str(), told[0].now.address.as_deref()), ("Training run", Some(address.as_str())));
    let (what, said) = thing(&english(), &names, "project/test");
    assert_eq!((what.as_str(), said.text.as_str()), ("Project", "Test"));
    // What is gone is called by the beginning of its id.
    let (what, said) = thing(&english(), &names, &format!("task/{ada}"));
    assert_eq!((what.as_str(), said.text), ("Task", show::short(&ada.to_string())));
    assert_eq!(actor(&english(), &names, "ada@example.org").text, "Ada");
    assert_eq!(actor(&english(), &names, "clock").text, "The clock");
    assert_eq!(actor(&english(), &names, "gpu-box").text, "gpu-box");
}

#[test]
fn what_nobody_has_words_for_is_shown_all_the_same() {
    let names = Names::default();
    let detail = json!({ "new_thing": { "is_on": true, "parts": ["a", "b"] }, "count": 3, "list": [["a"], 2] });
    assert_eq!(
        read(&names, "prompts.ask", &detail),
        ["How many: 3", "new thing: is on: yes; parts: a, b", "list: a | 2"]
    );
    assert_eq!(read(&names, "moon.land", &json!({ "at": [1, 2] })), ["at: 1 | 2"]);
    assert_eq!(read(&names, "project.settings", &json!({ "colour": ["red", null] })), ["colour: red → –"]);
    // Of a form that is not known.
    assert_eq!(read(&names, "schedule.set", &json!({ "minute": "noon" })), ["Time of day: noon"]);
    assert_eq!(
        read(&names, "records.import", &json!({ "report": { "new_ones": 2, "records": 5 } })),
        ["Records: 5", "new ones: 2"]
    );
    assert_eq!(read(&names, "moon.land", &json!("once")), ["Details: once"]);
}

#[test]
fn a_long_text_is_folded_and_all_there() {
    let text = "Küche ".repeat(60);
    let told = lines(&english(), &Names::default(), "prompts.ask", &json!({ "about": text }));
    assert_eq!(told[0].now.whole.as_deref(), Some(text.as_str()));
    assert!(told[0].now.text.ends_with('…') && told[0].now.text.chars().count() <= BEGINNING + 1);
}
