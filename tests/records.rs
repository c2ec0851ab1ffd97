//! Records in and out: every kind and form over the functions that commands use and over the pages; nothing half imported,
//! nothing doubled, nothing lost on the way round.

mod support;

use std::io::Cursor;

use futures_util::TryStreamExt;
use laurel::{
    db::{
        audit::Actor,
        projects::{self, Project, ProjectSettings},
    },
    domain::role::Role,
    export::{self, Format},
    import::{self, BadRecord, ImportError, ImportReport, Kind},
};
use laurel_records::{ComparisonRecord, DemonstrationRecord, PromptRecord, RankingRecord, Split};
use serde_json::{Value, json};
use sqlx::PgPool;
use support::seed::count;

async fn project(pool: &PgPool, slug: &str) -> Project {
    let settings = ProjectSettings { name: slug.to_owned(), ..ProjectSettings::default() };
    projects::create(pool, &Actor::program("test"), slug, &settings, false).await.expect("a project")
}

async fn bring(
    pool: &PgPool,
    project: &Project,
    kind: Kind,
    file: impl AsRef<[u8]>,
) -> Result<ImportReport, ImportError> {
    let mut reader = Cursor::new(file.as_ref().to_vec());
    import::import(pool, &Actor::program("test"), project, kind, &mut reader).await
}

#[track_caller]
fn good(done: Result<ImportReport, ImportError>) -> ImportReport {
    match done {
        Ok(report) => report,
        Err(ImportError::BadRecords(bad)) => panic!("{bad:?}"),
        Err(other) => panic!("{other}"),
    }
}

/// What was wrong, as (line, field).
#[track_caller]
fn refused(done: Result<ImportReport, ImportError>) -> Vec<BadRecord> {
    match done {
        Err(ImportError::BadRecords(bad)) => bad,
        other => panic!("not refused: {other:?}"),
    }
}

fn places(bad: &[BadRecord]) -> Vec<(u64, &str)> {
    bad.iter().map(|record| (record.line, record.field.as_str())).collect()
}

async fn bytes(pool: &PgPool, project: &Project, kind: export::Kind, format: Format, split: Option<Split>) -> Vec<u8> {
    let pieces: Vec<bytes::Bytes> =
        export::stream(pool.clone(), project, kind, format, split).try_collect().await.expect("an export");
    pieces.concat()
}

async fn file(pool: &PgPool, project: &Project, kind: export::Kind) -> String {
    String::from_utf8(bytes(pool, project, kind, Format::Jsonl, None).await).expect("UTF-8")
}

fn values(file: &str) -> Vec<Value> {
    file.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

fn asked(text: &str) -> Value {
    json!([{ "role": "user", "content": text }])
}

fn said(text: &str) -> Value {
    json!([{ "role": "assistant", "content": text }])
}

async fn nothing_is_here(pool: &PgPool) {
    let query =
        "SELECT (SELECT count(*) FROM prompts) + (SELECT count(*) FROM responses) + (SELECT count(*) FROM tasks)
                 + (SELECT count(*) FROM rankings) + (SELECT count(*) FROM demonstrations)";
    assert_eq!(count(pool, query).await, 0);
}

#[tokio::test]
async fn prompts_come_back_as_they_came_and_are_asked_for_once() {
    let server = support::server().await;
    let (one, other) = (project(server.pool(), "one").await, project(server.pool(), "other").await);
    let given = lines(&[
        json!({ "id": "a", "prompt": [{ "role": "system", "content": "Be kind" }, { "role": "user", "content": "Why? \n “é” 🌿" }],
                "language": "en", "tags": ["sky", "x,y"], "source": { "page": 3 } }),
        json!({ "id": "b", "prompt": "Just a text" }),
    ]);
    let report = good(bring(server.pool(), &one, Kind::Prompts, &given).await);
    assert_eq!(report, ImportReport { records: 2, added: 2, duplicates: 0, prompts_added: 2, tasks: 2 });
    let again = good(bring(server.pool(), &one, Kind::Prompts, &given).await);
    assert_eq!(again, ImportReport { records: 2, added: 0, duplicates: 2, prompts_added: 0, tasks: 0 });

    let out = file(server.pool(), &one, export::Kind::Prompts).await;
    let records: Vec<PromptRecord> = out.lines().map(|line| serde_json::from_str(line).expect("a prompt")).collect();
    assert_eq!((records[0].id.as_str(), &records[0].tags[..]), ("a", &["sky".to_owned(), "x,y".to_owned()][..]));
    assert_eq!(records[0].extra.get("source"), Some(&json!({ "page": 3 })));
    assert_eq!(records[1].prompt[0].content, "Just a text");
    good(bring(server.pool(), &other, Kind::Prompts, &out).await);
    let back = file(server.pool(), &other, export::Kind::Prompts).await;
    assert_eq!(back.replace("\"project\":\"other\"", "\"project\":\"one\""), out);
}

#[tokio::test]
async fn demonstrations_rankings_and_comparisons_come_back_as_they_came() {
    let server = support::server().await;
    let pool = server.pool();
    let (one, other) = (project(pool, "one").await, project(pool, "other").await);
    let demonstrations = lines(&[
        json!({ "id": "d1", "prompt": asked("A?"), "completion": said("Yes."), "prompt_id": "p1", "annotator": "ada",
                "created_at": "2026-11-01T08:00:00Z", "language": "en", "seconds": 12.5, "note": "kept" }),
        json!({ "id": "d2", "prompt": asked("A?"), "completion": said("No."), "prompt_id": "p1", "annotator": "bea" }),
    ]);
    let rankings = lines(&[
        json!({ "id": "r1", "prompt": asked("A?"), "ranks": [2, 1, 4, 2], "annotator": "ada", "seconds": 3.0,
                "created_at": "2026-11-02T08:00:00.25Z", "note": "hard", "ratings": [5, null, 1, 5], "flags": [[], [], ["rude"], []],
                "responses": [{ "id": "x", "content": "same", "model": "m" }, { "id": "y", "content": "same", "model": "m" },
                              { "id": "z", "content": "", "model": null }, { "id": "w", "content": "w" }] }),
        json!({ "id": "r2", "prompt": asked("A?"), "ranks": [1, 2], "annotator": "bea", "extra_opinion": true,
                "responses": [{ "id": "x", "content": "same", "model": "m" }, { "id": "w", "content": "w" }] }),
    ]);
    let comparisons = lines(&[
        json!({ "prompt": asked("B?"), "chosen": said("good"), "rejected": said("bad"), "margin": 2, "ranking_id": "q",
                "annotator": "ada", "score": 0.5 }),
        json!({ "prompt": asked("B?"), "chosen": said("good"), "rejected": said("worse"), "margin": 3, "ranking_id": "q",
                "annotator": "ada" }),
    ]);
    let kinds = [
        (Kind::Demonstrations, export::Kind::Demonstrations, demonstrations),
        (Kind::Rankings, export::Kind::Rankings, rankings),
        (Kind::Comparisons, export::Kind::Comparisons, comparisons),
    ];
    for (kind, _, given) in &kinds {
        assert_eq!(good(bring(pool, &one, *kind, given).await).added, 2, "{kind:?}");
        assert_eq!(good(bring(pool, &one, *kind, given).await).duplicates, 2, "{kind:?}");
    }
    for (kind, out_kind, given) in &kinds {
        let out = file(pool, &one, *out_kind).await;
        let found = values(&out);
        // Every field that was given is there with its value.
        for given in values(given) {
            let same = |found: &&Value| {
                given.as_object().expect("an object").iter().all(|(name, value)| match name.as_str() {
                    "responses" => found[name].as_array().map(Vec::len) == value.as_array().map(Vec::len),
                    _ => found[name] == *value,
                })
            };
            assert!(found.iter().any(|found| same(&found)), "{given} is not in {out}");
        }
        if *kind == Kind::Comparisons {
            // The rankings speak too: 5 pairs of (2, 1, 4, 2), 1 of (1, 2).
            assert_eq!(found.len(), 5 + 1 + 2);
            let _: Vec<ComparisonRecord> = out.lines().map(|line| serde_json::from_str(line).expect("one")).collect();
        }
        good(bring(pool, &other, *kind, &out).await);
    }
    for (_, out_kind, _) in &kinds[..1] {
        assert_eq!(file(pool, &other, *out_kind).await, file(pool, &one, *out_kind).await);
    }
}

#[tokio::test]
async fn an_export_of_rankings_brought_elsewhere_gives_the_same_export() {
    let server = support::server().await;
    let pool = server.pool();
    let (one, other, third) = (project(pool, "one").await, project(pool, "other").await, project(pool, "third").await);
    let rankings: Vec<Value> = (0..50)
        .map(|number| {
            json!({ "prompt": asked(&format!("Question {}?", number / 2)), "ranks": [2, 1, 2], "annotator": format!("person {number}"),
                    "responses": [{ "content": "a" }, { "content": "b", "model": "m" }, { "content": format!("{number}") }] })
        })
        .collect();
    good(bring(pool, &one, Kind::Rankings, lines(&rankings)).await);
    let out = file(pool, &one, export::Kind::Rankings).await;
    let records: Vec<RankingRecord> = out.lines().map(|line| serde_json::from_str(line).expect("a ranking")).collect();
    assert_eq!(records.len(), 50);
    good(bring(pool, &other, Kind::Rankings, &out).await);
    assert_eq!(file(pool, &other, export::Kind::Rankings).await, out);
    // What came from here changes nothing here.
    assert_eq!(good(bring(pool, &one, Kind::Rankings, &out).await).duplicates, 50);
    let pairs = file(pool, &one, export::Kind::Comparisons).await;
    assert_eq!(pairs.lines().count(), 100, "ties make no pair");
    assert_eq!(good(bring(pool, &one, Kind::Comparisons, &pairs).await).duplicates, 100);
    // And pair by pair it is the same too.
    assert_eq!(good(bring(pool, &third, Kind::Comparisons, &pairs).await).added, 100);
    assert_eq!(file(pool, &third, export::Kind::Comparisons).await, pairs);
    // CSV goes the same way round.
    let fourth = project(pool, "fourth").await;
    let table = bytes(pool, &one, export::Kind::Rankings, Format::Csv, None).await;
    good(bring(pool, &fourth, Kind::Rankings, &table).await);
    assert_eq!(file(pool, &fourth, export::Kind::Rankings).await, out);
}

#[tokio::test]
async fn four_answers_in_strict_order_make_six_comparisons_with_the_margins_of_their_ranks() {
    let server = support::server().await;
    let project = project(server.pool(), "p").await;
    let ranking = json!({ "id": "r", "prompt": asked("A?"), "ranks": [3, 1, 4, 2], "annotator": "ada",
        "responses": ["a", "b", "c", "d"] });
    good(bring(server.pool(), &project, Kind::Rankings, lines(&[ranking])).await);
    let pairs: Vec<(String, String, i64)> = values(&file(server.pool(), &project, export::Kind::Comparisons).await)
        .iter()
        .map(|pair| {
            let text = |side: &str| pair[side][0]["content"].as_str().expect("a text").to_owned();
            assert_eq!((pair["ranking_id"].as_str(), pair["annotator"].as_str()), (Some("r"), Some("ada")));
            (text("chosen"), text("rejected"), pair["margin"].as_i64().expect("a whole number"))
        })
        .collect();
    let expected = [("a", "c", 1), ("b", "a", 2), ("b", "c", 3), ("b", "d", 1), ("d", "a", 1), ("d", "c", 2)];
    assert_eq!(pairs, expected.map(|(chosen, rejected, margin)| (chosen.to_owned(), rejected.to_owned(), margin)));
}

#[tokio::test]
async fn answers_make_ranking_tasks_for_as_many_people_as_the_project_wants() {
    let server = support::server().await;
    let settings = ProjectSettings { name: "P".to_owned(), ranking_overlap: 3, ..ProjectSettings::default() };
    let actor = Actor::program("test");
    let project = projects::create(server.pool(), &actor, "p", &settings, false).await.expect("a project");
    let given = include_str!("../sample/responses.jsonl");
    let number = u64::try_from(given.lines().count()).expect("a number");
    let report = good(bring(server.pool(), &project, Kind::Responses, given).await);
    assert_eq!((report.added, report.tasks), (number, number));
    assert_eq!(
        count(server.pool(), "SELECT count(*) FROM tasks WHERE kind = 'ranking' AND overlap = 3").await,
        i64::try_from(number).expect("fits")
    );
    let again = good(bring(server.pool(), &project, Kind::Responses, given).await);
    assert_eq!((again.added, again.duplicates, again.tasks), (0, number, 0));
    // The prompts that have answers are asked for demonstrations only when they come as prompts.
    assert_eq!(count(server.pool(), "SELECT count(*) FROM tasks WHERE kind = 'demonstration'").await, 0);
    good(bring(server.pool(), &project, Kind::Demonstrations, include_str!("../sample/demonstrations.jsonl")).await);
    let prompts = good(bring(server.pool(), &project, Kind::Prompts, include_str!("../sample/prompts.jsonl")).await);
    let unanswered =
        "SELECT count(*) FROM prompts p WHERE NOT EXISTS (SELECT 1 FROM demonstrations d WHERE d.prompt_id = p.id)";
    assert_eq!(i64::try_from(prompts.tasks).expect("fits"), count(server.pool(), unanswered).await);
}

#[tokio::test]
async fn every_bad_record_is_named_by_line_and_field_and_nothing_is_imported() {
    let server = support::server().await;
    let project = project(server.pool(), "p").await;
    let two = json!(["a", "b"]);
    let records = [
        json!({ "prompt": asked("fine"), "responses": two, "ranks": [1, 2] }),
        json!({ "prompt": asked("A"), "responses": two, "ranks": [1, 3] }),
        json!({ "prompt": asked("A"), "responses": ["a", "b", "c", "d"], "ranks": [1, 2, 2, 5] }),
        json!({ "prompt": asked("A"), "responses": two, "ranks": [0, 1] }),
        json!({ "prompt": asked("A"), "responses": two, "ranks": [1] }),
        json!({ "prompt": asked("A"), "responses": two, "ranks": [1, 1.5] }),
        json!({ "prompt": asked("A"), "responses": ["a"], "ranks": [1] }),
        json!({ "prompt": [{ "role": "robot", "content": "A" }], "responses": two, "ranks": [1, 2] }),
        json!({ "prompt": said("A"), "responses": two, "ranks": [1, 2] }),
        json!({ "prompt": [], "responses": two, "ranks": [1, 2] }),
        json!({ "responses": two, "ranks": [1, 2] }),
        json!({ "prompt": asked("A"), "responses": [{ "content": "a", "mood": 1 }, "b"], "ranks": [1, 2] }),
        json!({ "prompt": asked("A"), "responses": two, "ranks": [1, 2], "created_at": "yesterday" }),
        json!({ "prompt": asked("A"), "responses": two, "ranks": [1, 2], "split": "holdout" }),
        json!({ "prompt": asked("A"), "responses": two, "ranks": [1, 2], "seconds": "long" }),
        json!({ "prompt_id": "nowhere", "responses": two, "ranks": [1, 2] }),
    ];
    let file = format!("{}\n{}not json\n[1]\n", records[0], lines(&records[1..]).replace("\n", "\r\n"));
    let bad = refused(bring(server.pool(), &project, Kind::Rankings, file).await);
    let expected = [
        (2, "ranks[1]"),
        (3, "ranks[3]"),
        (4, "ranks[0]"),
        (5, "ranks"),
        (6, "ranks[1]"),
        (7, "responses"),
        (8, "prompt[0].role"),
        (9, "prompt[0]"),
        (10, "prompt"),
        (11, "prompt"),
        (12, "responses[0].mood"),
        (13, "created_at"),
        (14, "split"),
        (15, "seconds"),
        (16, "prompt_id"),
        (17, ""),
        (18, ""),
    ];
    assert_eq!(places(&bad), expected, "{bad:#?}");
    nothing_is_here(server.pool()).await;
    // No more than twenty, and these the first.
    let many: Vec<Value> = (0..60).map(|_| json!({ "prompt": 5 })).collect();
    let bad = refused(bring(server.pool(), &project, Kind::Prompts, lines(&many)).await);
    assert_eq!((bad.len(), bad[0].line, bad[19].line), (20, 1, 20));
}

#[tokio::test]
async fn files_that_are_no_records_are_refused_in_clear_words() {
    let server = support::server().await;
    let project = project(server.pool(), "p").await;
    let line = lines(&[json!({ "prompt": "A" })]);
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(line.bytes().flat_map(|byte| [byte, 0])).collect();
    let latin: Vec<u8> = [line.as_bytes(), b"{\"prompt\": \"caf\xE9\"}\n"].concat();
    let long = format!("{line}{{\"prompt\": \"{}\"}}\n{line}", "a".repeat(17 * 1024 * 1024));
    let cases: [(&[u8], u64, &str, &str); 12] = [
        (b"", 1, "", "no records"),
        (b" \n\n", 1, "", "no records"),
        (b"[]", 1, "", "no records"),
        (b"prompt,language\n", 1, "", "no records"),
        (b"Dear all,\nhello\n", 1, "", "neither JSON"),
        (&utf16, 1, "", "UTF-16"),
        (b"\x1F\x8B\x08\x00", 1, "", "compressed"),
        (b"PAR1\x15\x04", 1, "", "Parquet"),
        (&latin, 2, "", "not UTF-8"),
        (b"{\"prompt\": \"a\\u0000b\"}", 1, "prompt", "NUL"),
        (long.as_bytes(), 2, "", "longer than 16 MiB"),
        (b"[{\"prompt\": \"a\"}, {\"prompt\": \"b\"", 1, "", "cut off"),
    ];
    for (file, line, field, reason) in cases {
        let shown = String::from_utf8_lossy(&file[..file.len().min(60)]).into_owned();
        let bad = refused(bring(server.pool(), &project, Kind::Prompts, file).await);
        assert_eq!(places(&bad), [(line, field)], "{shown}: {bad:?}");
        assert!(bad[0].reason.contains(reason), "{shown}: {}", bad[0].reason);
    }
    nothing_is_here(server.pool()).await;
}

#[tokio::test]
async fn a_list_a_table_and_lines_with_a_mark_and_carriage_returns_say_the_same() {
    let server = support::server().await;
    let pool = server.pool();
    let forms = [
        (
            "lines",
            "\u{feff}{\"prompt\": \"a\"}\r\n\r\n{\"prompt\": \"b, \\\"c\\\"\\nd\", \"tags\": [\"x\", \"y\"]}"
                .to_owned(),
        ),
        (
            "list",
            "\n [ {\"prompt\": \"a\"},\n  {\"prompt\":\n \"b, \\\"c\\\"\\nd\", \"tags\": [\"x\", \"y\"]} ]\n"
                .to_owned(),
        ),
        ("table", "prompt,tags\r\na,\r\n\"b, \"\"c\"\"\nd\",x;y\r\n".to_owned()),
        ("tabs", "tags\tprompt\n\ta\nx;y\t\"b, \"\"c\"\"\nd\"\n".to_owned()),
    ];
    for (slug, text) in forms {
        let project = project(pool, slug).await;
        assert_eq!(good(bring(pool, &project, Kind::Prompts, text).await).added, 2, "{slug}");
        let found = values(&file(pool, &project, export::Kind::Prompts).await);
        assert_eq!(found[0]["prompt"], asked("a"), "{slug}");
        assert_eq!((&found[1]["prompt"], &found[1]["tags"]), (&asked("b, \"c\"\nd"), &json!(["x", "y"])), "{slug}");
    }
    let project = project(pool, "lines-of-a-list").await;
    let bad = refused(bring(pool, &project, Kind::Prompts, "[\n{\"prompt\": \"a\"},\n\n{\"prompt\": 5},\n7]").await);
    assert_eq!(places(&bad), [(4, "prompt"), (5, "")]);
}

#[tokio::test]
async fn an_id_belongs_to_one_prompt_and_the_content_decides_what_is_the_same() {
    let server = support::server().await;
    let pool = server.pool();
    let project = project(pool, "p").await;
    let same = lines(&[
        json!({ "id": "a", "prompt": "Caf\u{e9}?" }),
        json!({ "id": "b", "prompt": " Cafe\u{301}?\r\n" }),
        json!({ "prompt": "Caf\u{e9}?" }),
    ]);
    let report = good(bring(pool, &project, Kind::Prompts, same).await);
    assert_eq!((report.added, report.duplicates), (1, 2));
    let clash = lines(&[json!({ "id": "c", "prompt": "New" }), json!({ "id": "a", "prompt": "Other" })]);
    let bad = refused(bring(pool, &project, Kind::Prompts, clash).await);
    assert_eq!(places(&bad), [(2, "id")]);
    assert_eq!(count(pool, "SELECT count(*) FROM prompts").await, 1);
    // A label may name its prompt instead of repeating it.
    let named = lines(&[json!({ "prompt_id": "a", "completion": "Yes" })]);
    let report = good(bring(pool, &project, Kind::Demonstrations, named).await);
    assert_eq!((report.added, report.prompts_added), (1, 0));
    // People without names may agree; the same person says the same thing once.
    let ranking = |id: &str, annotator: Value| json!({ "id": id, "prompt_id": "a", "annotator": annotator, "responses": ["x", "y"], "ranks": [1, 2] });
    let rankings =
        [ranking("1", json!(null)), ranking("2", json!(null)), ranking("3", json!("ada")), ranking("4", json!("ada"))];
    let report = good(bring(pool, &project, Kind::Rankings, lines(&rankings)).await);
    assert_eq!((report.added, report.duplicates), (3, 1));
}

#[tokio::test]
async fn every_prompt_is_in_one_split_wherever_it_comes_from() {
    let server = support::server().await;
    let pool = server.pool();
    let (one, other) = (project(pool, "one").await, project(pool, "other").await);
    let prompts: Vec<Value> = (0..400)
        .map(|number| json!({ "id": number, "prompt": format!("Question {number}?"), "split": "train" }))
        .collect();
    let answers: Vec<Value> =
        (0..400).rev().map(|number| json!({ "prompt": format!("Question {number}?"), "completion": "Yes" })).collect();
    good(bring(pool, &one, Kind::Prompts, lines(&prompts)).await);
    good(bring(pool, &other, Kind::Demonstrations, lines(&answers)).await);
    let mut all = Vec::new();
    for split in [Split::Train, Split::Validation, Split::Test] {
        let part = |project: Project, kind| async move {
            let out = bytes(pool, &project, kind, Format::Jsonl, Some(split)).await;
            let mut texts: Vec<String> = values(&String::from_utf8(out).expect("UTF-8"))
                .iter()
                .map(|record| {
                    assert_eq!(record["split"], json!(split));
                    record["prompt"][0]["content"].as_str().expect("a text").to_owned()
                })
                .collect();
            texts.sort();
            texts
        };
        let prompts = part(one.clone(), export::Kind::Prompts).await;
        assert_eq!(prompts, part(other.clone(), export::Kind::Demonstrations).await);
        assert!(prompts.len() > 15, "{split:?} has {}", prompts.len());
        all.extend(prompts);
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 400);
}

/// One foreign file: its name, the kind it is brought as, the file, and what its records say: the last message of the prompt
/// and the answers, best first.
type Foreign = (&'static str, Kind, String, Vec<(&'static str, Vec<&'static str>)>);

fn foreign() -> Vec<Foreign> {
    let hh = json!({ "chosen": "\n\nHuman: Hi\n\nAssistant: Hello!\n\nHuman: Sky?\n\nAssistant: Blue.",
                     "rejected": "\n\nHuman: Hi\n\nAssistant: Hello!\n\nHuman: Sky?\n\nAssistant: Go away." });
    let tree = json!({ "message_tree_id": "t", "tree_state": "ready_for_export", "prompt": {
        "message_id": "t", "text": "Sky?", "role": "prompter", "lang": "en", "replies": [
            { "message_id": "r1", "text": "Grey.", "role": "assistant", "rank": 1, "replies": [
                { "message_id": "u2", "text": "Why?", "role": "prompter", "replies": [
                    { "message_id": "r3", "text": "Clouds.", "role": "assistant", "rank": null, "replies": [] }] }] },
            { "message_id": "r2", "text": "Blue.", "role": "assistant", "rank": 0, "replies": [] },
            { "message_id": "r4", "text": "Spam", "role": "assistant", "rank": 2, "deleted": true, "replies": [] }] } });
    let flat = [
        json!({ "message_id": "t", "parent_id": null, "message_tree_id": "t", "text": "Sky?", "role": "prompter" }),
        json!({ "message_id": "r1", "parent_id": "t", "message_tree_id": "t", "text": "Grey.", "role": "assistant", "rank": 1 }),
        json!({ "message_id": "r2", "parent_id": "t", "message_tree_id": "t", "text": "Blue.", "role": "assistant", "rank": 0 }),
        json!({ "message_id": "s", "parent_id": null, "message_tree_id": "s", "text": "Sea?", "role": "prompter" }),
        json!({ "message_id": "s1", "parent_id": "s", "message_tree_id": "s", "text": "Wet.", "role": "assistant" }),
    ];
    let alpaca = json!({ "instruction": "Colour?", "input": "sky", "output": "Blue." });
    let chat = json!({ "id": "c1", "conversations": [{ "from": "system", "value": "" }, { "from": "human", "value": "Sky?" },
        { "from": "gpt", "value": "Blue." }] });
    let openai =
        json!({ "messages": [{ "role": "user", "content": "Sky?" }, { "role": "assistant", "content": "Blue." }] });
    let dpo = json!({ "conversations": [{ "from": "human", "value": "Sky?" }],
        "chosen": { "from": "gpt", "value": "Blue." }, "rejected": { "from": "gpt", "value": "Red." } });
    let trl = json!({ "prompt": "Sky?", "chosen": "Blue.", "rejected": "Red.", "score_chosen": 8.5 });
    let within = json!({ "chosen": [{ "role": "user", "content": "Sky?" }, { "role": "assistant", "content": "Blue." }],
        "rejected": [{ "role": "user", "content": "Sky?" }, { "role": "assistant", "content": "Red." }] });
    let argilla1 = json!({ "fields": { "prompt": "Sky?", "response-1": "Red.", "response-2": "Blue." }, "responses": [
        { "user_id": "u", "status": "submitted", "values": { "ranking": { "value": [{ "rank": 2, "value": "response-1" }, { "rank": 1, "value": "response-2" }] } } },
        { "user_id": "v", "status": "discarded", "values": {} }] });
    let argilla2 = json!({ "id": "1", "fields": { "instruction": "Sky?" }, "metadata": {}, "suggestions": {},
        "responses": { "answer": [{ "value": "Blue.", "user_id": "u" }] } });
    let pairwise = json!({ "id": 1, "data": { "prompt": "Sky?", "answer1": "Red.", "answer2": "Blue." }, "annotations": [
        { "id": 7, "completed_by": 3, "lead_time": 2.5, "was_cancelled": false,
          "result": [{ "type": "pairwise", "from_name": "c", "to_name": "t", "value": { "selected": "right" } }] }] });
    let ranker = json!({ "id": 2, "data": { "prompt": "Sky?", "items": [{ "id": "a", "body": "Red." }, { "id": "b", "body": "Blue." }] },
        "annotations": [{ "id": 8, "result": [{ "type": "ranker", "value": { "ranker": { "rank": ["b", "a"] } } }] }] });
    let blue = |other| vec![("Sky?", vec!["Blue.", other])];
    vec![
        ("hh", Kind::Comparisons, lines(std::slice::from_ref(&hh)), blue("Go away.")),
        ("hh-as-demonstration", Kind::Demonstrations, lines(&[hh]), vec![("Sky?", vec!["Blue."])]),
        ("oasst-tree", Kind::Rankings, lines(std::slice::from_ref(&tree)), blue("Grey.")),
        (
            "oasst-answers",
            Kind::Demonstrations,
            lines(&[tree]),
            vec![("Sky?", vec!["Grey."]), ("Sky?", vec!["Blue."]), ("Why?", vec!["Clouds."])],
        ),
        ("oasst-flat", Kind::Rankings, lines(&flat), blue("Grey.")),
        (
            "oasst-flat-answers",
            Kind::Demonstrations,
            lines(&flat),
            vec![("Sky?", vec!["Grey."]), ("Sky?", vec!["Blue."]), ("Sea?", vec!["Wet."])],
        ),
        ("alpaca", Kind::Demonstrations, lines(std::slice::from_ref(&alpaca)), vec![("Colour?\n\nsky", vec!["Blue."])]),
        ("alpaca-list", Kind::Demonstrations, json!([alpaca]).to_string(), vec![("Colour?\n\nsky", vec!["Blue."])]),
        (
            "alpaca-csv",
            Kind::Demonstrations,
            "instruction,input,output\nColour?,sky,Blue.\n".to_owned(),
            vec![("Colour?\n\nsky", vec!["Blue."])],
        ),
        ("sharegpt", Kind::Demonstrations, lines(&[chat]), vec![("Sky?", vec!["Blue."])]),
        ("openai", Kind::Demonstrations, lines(&[openai]), vec![("Sky?", vec!["Blue."])]),
        ("sharegpt-dpo", Kind::Comparisons, lines(&[dpo]), blue("Red.")),
        ("trl", Kind::Comparisons, lines(&[trl]), blue("Red.")),
        ("trl-within", Kind::Comparisons, lines(&[within]), blue("Red.")),
        (
            "trl-completion",
            Kind::Demonstrations,
            lines(&[json!({ "prompt": "Sky?", "completion": "Blue." })]),
            vec![("Sky?", vec!["Blue."])],
        ),
        ("argilla-1", Kind::Rankings, json!([argilla1]).to_string(), blue("Red.")),
        ("argilla-2", Kind::Demonstrations, json!([argilla2]).to_string(), vec![("Sky?", vec!["Blue."])]),
        ("label-studio-pair", Kind::Comparisons, json!([pairwise]).to_string(), blue("Red.")),
        ("label-studio-rank", Kind::Rankings, json!([ranker]).to_string(), blue("Red.")),
    ]
}

#[tokio::test]
async fn what_other_tools_export_is_understood() {
    let server = support::server().await;
    let pool = server.pool();
    for (name, kind, given, expected) in foreign() {
        let project = project(pool, name).await;
        good(bring(pool, &project, kind, &given).await);
        let asked = |record: &Value| {
            record["prompt"]
                .as_array()
                .and_then(|turns| turns.last()?["content"].as_str().map(str::to_owned))
                .expect("a prompt")
        };
        let found: Vec<(String, Vec<String>)> = if kind == Kind::Demonstrations {
            let out = file(pool, &project, export::Kind::Demonstrations).await;
            let _: Vec<DemonstrationRecord> =
                out.lines().map(|line| serde_json::from_str(line).expect("one")).collect();
            let text = |record: &Value| vec![record["completion"][0]["content"].as_str().expect("a text").to_owned()];
            values(&out).iter().map(|record| (asked(record), text(record))).collect()
        } else {
            values(&file(pool, &project, export::Kind::Rankings).await)
                .iter()
                .map(|record| {
                    let ranks =
                        record["ranks"].as_array().expect("ranks").iter().map(|rank| rank.as_u64().expect("a rank"));
                    let texts = record["responses"]
                        .as_array()
                        .expect("answers")
                        .iter()
                        .map(|answer| answer["content"].as_str().expect("a text").to_owned());
                    let mut order: Vec<(u64, String)> = ranks.zip(texts).collect();
                    order.sort();
                    (asked(record), order.into_iter().map(|(_, text)| text).collect())
                })
                .collect()
        };
        let expected: Vec<(String, Vec<String>)> = expected
            .into_iter()
            .map(|(asked, answers)| (asked.to_owned(), answers.into_iter().map(str::to_owned).collect()))
            .collect();
        assert_eq!(found, expected, "{name}");
        let again = good(bring(pool, &project, kind, &given).await);
        assert_eq!((again.added, again.duplicates), (0, u64::try_from(found.len()).expect("fits")), "{name}");
        assert!(good(bring(pool, &project, Kind::Prompts, &given).await).records > 0, "{name}");
    }
}

#[tokio::test]
async fn a_parquet_file_begins_and_ends_as_one_and_says_its_columns() {
    let server = support::server().await;
    let project = project(server.pool(), "p").await;
    good(bring(server.pool(), &project, Kind::Responses, include_str!("../sample/responses.jsonl")).await);
    good(bring(server.pool(), &project, Kind::Demonstrations, include_str!("../sample/demonstrations.jsonl")).await);
    for kind in export::Kind::ALL {
        let file = bytes(server.pool(), &project, kind, Format::Parquet, None).await;
        assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"), "{kind:?}");
        let rows = parquet::file::metadata::ParquetMetaDataReader::new()
            .parse_and_finish(&bytes::Bytes::from(file))
            .expect("a footer");
        let lines = self::file(server.pool(), &project, kind).await.lines().count();
        assert_eq!(rows.file_metadata().num_rows(), i64::try_from(lines).expect("fits"), "{kind:?}");
    }
}

fn upload(token: &str, kind: &str, name: &str, content: &str) -> reqwest::multipart::Form {
    let file = reqwest::multipart::Part::text(content.to_owned()).file_name(name.to_owned());
    reqwest::multipart::Form::new().text("csrf", token.to_owned()).text("kind", kind.to_owned()).part("file", file)
}

#[tokio::test]
async fn the_pages_take_a_file_name_what_is_wrong_and_give_files_back() {
    let server = support::server().await;
    project(server.pool(), "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    ada.get("/admin/projects/p").await.assert(200).assert_contains("/admin/projects/p/export");
    ada.get("/admin/projects/p/import").await.assert(200);
    let token = ada.csrf().await;
    let send = |token: &str, kind: &str, name: &str, content: &str| {
        let request = ada.request(reqwest::Method::POST, "/admin/projects/p/import");
        ada.send(request.multipart(upload(token, kind, name, content)))
    };
    let given =
        lines(&[json!({ "prompt": "A?", "responses": ["a", "b", "c"], "ranks": [1, 2, 2], "annotator": "ada" })]);
    let wrong = send(&token, "rankings", "r.jsonl", &given.replace("[1,2,2]", "[1,2,4]")).await.assert(422);
    wrong.assert_contains("ranks[2]").assert_contains("leaves a gap");
    nothing_is_here(server.pool()).await;
    send("forged", "rankings", "r.jsonl", &given).await.assert(403);
    send(&token, "poems", "r.jsonl", &given).await.assert(422);
    let done = send(&token, "rankings", "r.jsonl", &given).await;
    ada.get(done.leads_to()).await.assert(200).assert_contains("Imported.");

    let page = ada.get("/admin/projects/p/export").await.assert(200);
    page.assert_contains("action=\"/admin/projects/p/export/rankings\"");
    let down = ada.get("/admin/projects/p/export/comparisons?format=jsonl&split=").await.assert(200);
    assert_eq!(down.headers["content-disposition"], "attachment; filename=\"p-comparisons.jsonl\"");
    assert_eq!(values(&down.text).len(), 2);
    let table = ada.get("/admin/projects/p/export/rankings?format=csv").await.assert(200);
    assert!(
        table.text.starts_with("id,prompt,responses,ranks,annotator,seconds,created_at,split,extra\n"),
        "{}",
        table.text
    );
    ada.get("/admin/projects/p/export/poems").await.assert(404);
    ada.get("/admin/projects/p/export/rankings?format=xls").await.assert(404);
    let bea = server.user("Bea", Role::Reviewer).await;
    bea.get("/admin/projects/p/export").await.assert(403);
    bea.get("/admin/projects/p/export/rankings").await.assert(403);
    bea.get("/admin/projects/p/import").await.assert(403);
}
