//! Two leads at one form: the second is told what the first has saved.

use laurel::domain::role::Role;
use serde_json::json;

use crate::{
    SETTINGS, details, settings,
    support::{
        Reply,
        seed::{self, Seed},
        server,
    },
};

/// What the settings' form was drawn with.
fn drawn_on(page: &Reply) -> String {
    let field = page.text.split(r#"name="drawn" value=""#).nth(1).expect("the field");
    field.split('"').next().expect("a value").to_owned()
}

#[tokio::test]
async fn of_two_leads_who_set_a_project_at_once_the_second_is_told_what_the_first_has_saved() {
    let server = server().await;
    seed::project(server.pool(), Seed::default()).await;
    let lea = server.user("Lea", Role::Admin).await;
    let leo = server.user("Leo", Role::Admin).await;
    let drawn = drawn_on(&lea.get(SETTINGS).await.assert(200));
    let (leas, leos) = (settings(&drawn, "Lea’s", "30"), settings(&drawn, "Project test", "90"));
    let (one, other) = tokio::join!(lea.post(SETTINGS, &leas), leo.post(SETTINGS, &leos));
    let mut answers = [one.status.as_u16(), other.status.as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [303, 409]);
    let stored = async || {
        let query = "SELECT lease_minutes::bigint FROM projects WHERE slug = 'test'";
        (seed::count(server.pool(), query).await, details(&server, "project.settings").await.len())
    };
    let (told, first, second, theirs, own) =
        if one.status.as_u16() == 303 { (other, leas, leos, 30, 90) } else { (one, leos, leas, 90, 30) };
    assert_eq!(stored().await, (theirs, 1));
    // What was typed is there, and what the other has saved beside it; nothing else is named.
    told.assert_contains("Somebody else has saved settings");
    told.assert_contains(&format!(r#"<strong>Minutes for a task</strong> · <span dir="auto">{theirs}</span>"#));
    told.assert_contains(&format!(r#"name="lease_minutes" value="{own}""#));
    for same in ["Description", "Training settings (JSON)", "People who rank"] {
        assert!(!told.text.contains(&format!("<strong>{same}</strong>")), "{same} is named");
    }
    // Sent once more, as by a double click, a form that is stored already is stored, and not noted again.
    let sender = if theirs == 30 { (&lea, &leo) } else { (&leo, &lea) };
    sender.0.post(SETTINGS, &first).await.assert(303);
    assert_eq!(stored().await, (theirs, 1));
    // Seen, it may be put in the place of what stands; the log has what it took the place of.
    let seen = drawn_on(&told);
    let again: Vec<(&str, &str)> =
        second.iter().map(|(name, value)| (*name, if *name == "drawn" { seen.as_str() } else { *value })).collect();
    sender.1.post(SETTINGS, &again).await.assert(303);
    assert_eq!(stored().await, (own, 2));
    assert_eq!(details(&server, "project.settings").await[1]["lease_minutes"], json!([theirs, own]));
    // Where the form says nothing of what it was drawn with, it counts as it is.
    sender.0.post(SETTINGS, &first[1..]).await.assert(303);
    assert_eq!(stored().await, (theirs, 3));
}

#[tokio::test]
async fn of_two_leads_who_set_different_things_neither_undoes_what_the_other_saved() {
    let server = server().await;
    seed::project(server.pool(), Seed::default()).await;
    let lea = server.user("Lea", Role::Admin).await;
    lea.post(SETTINGS, &settings("", "Project test", "60")).await.assert(303);
    let drawn = drawn_on(&lea.get(SETTINGS).await.assert(200));
    lea.post(SETTINGS, &settings(&drawn, "Renamed", "60")).await.assert(303);
    let told = lea.post(SETTINGS, &settings(&drawn, "Project test", "45")).await.assert(409);
    told.assert_contains(r#"<strong>Name</strong> · <span dir="auto">Renamed</span>"#);
    assert!(!told.text.contains("<strong>Minutes for a task</strong>"), "what is only here is named");
    // A form that is older, and says the same of what was saved meanwhile, undoes nothing.
    lea.post(SETTINGS, &settings(&drawn, "Renamed", "45")).await.assert(303);
    let both = "SELECT count(*) FROM projects WHERE name = 'Renamed' AND lease_minutes = 45";
    assert_eq!(seed::count(server.pool(), both).await, 1);
}

/// A form of a project, with what two leads type into it.
struct Form {
    page: &'static str,
    /// Where it is sent to.
    action: &'static str,
    leas: &'static [(&'static str, &'static str)],
    leos: &'static [(&'static str, &'static str)],
    /// What a page shows that has what Leo typed.
    typed: &'static str,
    /// Counts one where Leo's stands.
    stands: &'static str,
}

/// What was typed, in a form that was drawn with this.
fn with<'a>(drawn: &'a str, typed: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[("drawn", drawn)][..], typed].concat()
}

const FORMS: [Form; 9] = [
    Form {
        page: "guidelines",
        action: "guidelines",
        leas: &[("body", "Be kind."), ("action", "save")],
        leos: &[("body", "Be brief."), ("action", "save")],
        typed: "Be brief.</textarea>",
        stands: "SELECT count(*) FROM guidelines \
                 WHERE body = 'Be brief.' AND version = (SELECT max(version) FROM guidelines)",
    },
    Form {
        page: "label-scheme",
        action: "label-scheme",
        leas: &[("rating", "required"), ("lowest", "0"), ("highest", "10")],
        leos: &[("rating", "off"), ("lowest", "1"), ("highest", "4")],
        typed: r#"value="off" checked"#,
        stands: "SELECT count(*) FROM projects WHERE label_scheme ->> 'rating' = 'off'",
    },
    Form {
        page: "plan",
        action: "plan",
        leas: &[("rankings", "7"), ("demonstrations", "3"), ("comparisons", "0"), ("prompts", "0")],
        leos: &[("rankings", "9"), ("demonstrations", "2"), ("comparisons", "0"), ("prompts", "0")],
        typed: r#"name="rankings" value="9""#,
        stands: "SELECT count(*) FROM projects WHERE plan_rankings = 9 AND plan_demonstrations = 2",
    },
    Form {
        page: "gold",
        action: "gold",
        leas: &[("gold_percent", "7"), ("course_tasks", "0"), ("course_pass_percent", "70")],
        leos: &[("gold_percent", "9"), ("course_tasks", "0"), ("course_pass_percent", "90")],
        typed: r#"name="gold_percent" value="9""#,
        stands: "SELECT count(*) FROM projects WHERE gold_percent = 9 AND course_pass_percent = 90",
    },
    Form {
        page: "next",
        action: "next",
        leas: &[("order", "random"), ("percent", "77")],
        leos: &[("order", "uncertain"), ("percent", "99")],
        typed: r#"name="percent" value="99""#,
        stands: "SELECT count(*) FROM projects WHERE task_order = 'uncertain' AND duplicate_percent = 99",
    },
    Form {
        page: "chat",
        action: "chat",
        leas: &[
            ("action", "save"),
            ("base_url", "https://one.example.org/v1"),
            ("model", "parrot"),
            ("api_key", "a-key-of-leas"),
            ("answers", "2"),
            ("temperature", "0.7"),
            ("max_tokens", "100"),
        ],
        leos: &[
            ("action", "save"),
            ("base_url", "https://two.example.org/v1"),
            ("model", "starling"),
            ("api_key", "a-key-of-leos"),
            ("answers", "2"),
            ("temperature", "0.7"),
            ("max_tokens", "100"),
        ],
        typed: r#"name="model" value="starling""#,
        stands: "SELECT count(*) FROM chat_endpoints WHERE model = 'starling' AND api_key = 'a-key-of-leos'",
    },
    Form {
        page: "reviews",
        action: "reviews",
        leas: &[("audit_percent", "33")],
        leos: &[("audit_percent", "44")],
        typed: r#"max="100" value="44""#,
        stands: "SELECT count(*) FROM projects WHERE audit_percent = 44",
    },
    Form {
        page: "reviews/demonstrations",
        action: "reviews/demonstrations",
        leas: &[("percent", "33")],
        leos: &[("percent", "44")],
        typed: r#"max="100" value="44""#,
        stands: "SELECT count(*) FROM projects WHERE demonstration_review_percent = 44",
    },
    Form {
        page: "training",
        action: "training/schedule",
        leas: &[("enabled", "on"), ("time", "01:30"), ("timezone", "UTC")],
        leos: &[("time", "03:30"), ("timezone", "Asia/Shanghai")],
        typed: r#"name="time" value="03:30""#,
        stands: "SELECT count(*) FROM schedules WHERE minute = 210 AND timezone = 'Asia/Shanghai' AND NOT enabled",
    },
];

#[tokio::test]
async fn of_two_leads_at_any_form_of_a_project_the_second_is_told_and_saves_over_it_knowingly() {
    let server = server().await;
    seed::project(server.pool(), Seed::default()).await;
    let lea = server.user("Lea", Role::Admin).await;
    let leo = server.user("Leo", Role::Admin).await;
    for form in FORMS {
        let (page, action) =
            (format!("/admin/projects/test/{}", form.page), format!("/admin/projects/test/{}", form.action));
        let drawn = drawn_on(&lea.get(&page).await.assert(200));
        assert_eq!(drawn_on(&leo.get(&page).await.assert(200)), drawn, "{page}");
        lea.post(&action, &with(&drawn, form.leas)).await.assert(303);
        let told = leo.post(&action, &with(&drawn, form.leos)).await.assert(409);
        told.assert_contains("Somebody else has saved this form").assert_contains(form.typed);
        assert!(!told.text.contains("a-key-of-"), "a key is on the page");
        assert_eq!(told.text.contains("type it again"), form.page == "chat", "{page}");
        assert_eq!(seed::count(server.pool(), form.stands).await, 0, "{page}: stored though it was refused");
        // Sent once more, as by a double click, what stands already undoes nothing.
        lea.post(&action, &with(&drawn, form.leas)).await.assert(303);
        let seen = drawn_on(&told);
        leo.post(&action, &with(&seen, form.leos)).await.assert(303);
        assert_eq!(seed::count(server.pool(), form.stands).await, 1, "{page}");
        // Where a form says nothing of what it was drawn with, it counts as it is.
        lea.post(&action, form.leas).await.assert(303);
        assert_eq!(seed::count(server.pool(), form.stands).await, 0, "{page}");
    }
}

/// The chat's form with another key, and everything else as it was.
fn with_key<'a>(drawn: &'a str, key: &'a str) -> Vec<(&'a str, &'a str)> {
    let fields = [
        ("action", "save"),
        ("base_url", "https://one.example.org/v1"),
        ("model", "parrot"),
        ("api_key", key),
        ("answers", "2"),
        ("temperature", "0.7"),
        ("max_tokens", "100"),
    ];
    with(drawn, &fields)
}

#[tokio::test]
async fn of_two_leads_who_change_only_the_chats_key_the_second_is_told() {
    let server = server().await;
    seed::project(server.pool(), Seed::default()).await;
    let lea = server.user("Lea", Role::Admin).await;
    let leo = server.user("Leo", Role::Admin).await;
    let chat = "/admin/projects/test/chat";
    lea.post(chat, &with_key("", "first-key")).await.assert(303);
    let drawn = drawn_on(&leo.get(chat).await.assert(200));
    lea.post(chat, &with_key(&drawn, "leas-key")).await.assert(303);
    assert_ne!(drawn_on(&lea.get(chat).await.assert(200)), drawn, "the page says that something was saved");
    let told = leo.post(chat, &with_key(&drawn, "leos-key")).await.assert(409);
    told.assert_contains("Somebody else has saved this form").assert_contains("type it again");
    for key in ["first-key", "leas-key", "leos-key"] {
        assert!(!told.text.contains(key), "{key} is on the page");
    }
    let is = async |key: &str| {
        let query = sqlx::query_scalar("SELECT coalesce(api_key, 'none') FROM chat_endpoints");
        let stands: String = query.fetch_one(server.pool()).await.expect("an endpoint");
        assert_eq!(stands, key);
    };
    is("leas-key").await;
    // The same once more, as by a double click, undoes nothing; nor does a form without a key, which keeps the one that stands.
    for key in ["leas-key", ""] {
        lea.post(chat, &with_key(&drawn, key)).await.assert(303);
        is("leas-key").await;
    }
    leo.post(chat, &with_key(&drawn_on(&told), "leos-key")).await.assert(303);
    is("leos-key").await;
    // To forget it is a change too.
    let drawn = drawn_on(&lea.get(chat).await.assert(200));
    lea.post(chat, &[with_key(&drawn, ""), vec![("forget_key", "1")]].concat()).await.assert(303);
    is("none").await;
    leo.post(chat, &with_key(&drawn, "leos-other-key")).await.assert(409);
    is("none").await;
}
