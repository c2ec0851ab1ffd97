//! What is refused and in which words; what counts as the same; which split a prompt belongs to.

use super::*;

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
        json!({ "prompt": asked("A"), "responses": two, "ranks": [1, 2], "ratings": [0, 7] }),
        json!({ "prompt": asked("A"), "responses": two, "ranks": [1, 2], "ratings": [2, 7], "rating_scale": { "lowest": 2, "highest": 7 } }),
        json!({ "prompt": asked("A"), "responses": two, "ranks": [1, 2], "flags": [[], ["rude", "off, topic"]] }),
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
        (17, "ratings[0]"),
        (18, "rating_scale"),
        (19, "flags[1][1]"),
        (20, ""),
        (21, ""),
    ];
    assert_eq!(places(&bad), expected, "{bad:#?}");
    nothing_is_here(server.pool()).await;
    // No more than twenty, and these the first.
    let many: Vec<Value> = (0..60).map(|_| json!({ "prompt": 5 })).collect();
    let bad = refused(bring(server.pool(), &project, Kind::Prompts, lines(&many)).await);
    assert_eq!((bad.len(), bad[0].line, bad[19].line), (20, 1, 20));
}

#[tokio::test]
async fn a_time_comes_back_as_utc_has_it_and_one_beyond_its_calendar_is_refused() {
    let server = support::server().await;
    let pool = server.pool();
    let project = project(pool, "p").await;
    let written = |at: &str| lines(&[json!({ "prompt": "A", "completion": "Yes", "created_at": at })]);
    for at in ["9999-12-31T23:59:59-01:00", "0000-01-01T00:00:00+01:00"] {
        let bad = refused(bring(pool, &project, Kind::Demonstrations, written(at)).await);
        assert_eq!(places(&bad), [(1, "created_at")], "{at}");
    }
    let milliseconds = lines(&[json!({ "prompt": "A", "completion": "Yes", "created_at": 1764536564022_u64 })]);
    let bad = refused(bring(pool, &project, Kind::Demonstrations, milliseconds).await);
    assert_eq!(bad[0].reason.to_string(), "“1764536564022” is no time of the form 2026-11-24T14:05:00Z");
    good(bring(pool, &project, Kind::Demonstrations, written("2026-11-24T14:05:00.25+08:00")).await);
    let found = values(&file(pool, &project, export::Kind::Demonstrations).await);
    assert_eq!(found[0]["created_at"], "2026-11-24T06:05:00.25Z");
}

#[tokio::test]
async fn what_a_reviewer_has_set_aside_elsewhere_does_not_come_in_to_count() {
    let server = support::server().await;
    let pool = server.pool();
    let project = project(pool, "p").await;
    let written = |review: &str| lines(&[json!({ "prompt": "A", "completion": "Yes", "review": review })]);
    let ranked =
        |review: &str| lines(&[json!({ "prompt": "A", "responses": ["a", "b"], "ranks": [1, 2], "review": review })]);
    for review in ["corrected", "rejected"] {
        for (kind, file) in [(Kind::Demonstrations, written(review)), (Kind::Rankings, ranked(review))] {
            let bad = refused(bring(pool, &project, kind, file).await);
            assert_eq!(places(&bad), [(1, "review")], "{review}");
            assert!(bad[0].reason.to_string().contains(review), "{}", bad[0].reason);
        }
    }
    assert_eq!(good(bring(pool, &project, Kind::Demonstrations, written("accepted")).await).added, 1);
    assert_eq!(good(bring(pool, &project, Kind::Rankings, ranked("accepted")).await).added, 1);
}

#[tokio::test]
async fn files_that_are_no_records_are_refused_in_clear_words() {
    let server = support::server().await;
    let project = project(server.pool(), "p").await;
    let line = lines(&[json!({ "prompt": "A" })]);
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(line.bytes().flat_map(|byte| [byte, 0])).collect();
    let latin: Vec<u8> = [line.as_bytes(), b"{\"prompt\": \"caf\xE9\"}\n"].concat();
    let long = format!("{line}{{\"prompt\": \"{}\"}}\n{line}", "a".repeat(17 * 1024 * 1024));
    let cases: [(&[u8], u64, &str, &str); 14] = [
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
        (b"prompt,tags\na,\"[\"\"b\\u0000\"\"]\"\n", 2, "tags[0]", "NUL"),
        (b"prompt,extra\na,\"{\"\"b\"\": \"\"\\u0000\"\"}\"\n", 2, "b", "NUL"),
        (long.as_bytes(), 2, "", "longer than 16 MiB"),
        (b"[{\"prompt\": \"a\"}, {\"prompt\": \"b\"", 1, "", "cut off"),
    ];
    for (file, line, field, reason) in cases {
        let shown = String::from_utf8_lossy(&file[..file.len().min(60)]).into_owned();
        let bad = refused(bring(server.pool(), &project, Kind::Prompts, file).await);
        assert_eq!(places(&bad), [(line, field)], "{shown}: {bad:?}");
        assert!(bad[0].reason.to_string().contains(reason), "{shown}: {}", bad[0].reason);
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
    // Some programs write a carriage return without quotation marks around its cell.
    let returns = project(pool, "carriage-return").await;
    good(bring(pool, &returns, Kind::Demonstrations, "prompt,completion\r\na,b\rc\r\nd,\"e\"\r\n").await);
    let found = values(&file(pool, &returns, export::Kind::Demonstrations).await);
    assert_eq!((&found[0]["completion"], &found[1]["completion"]), (&said("b\rc"), &said("e")));
    let project = project(pool, "lines-of-a-list").await;
    let bad = refused(bring(pool, &project, Kind::Prompts, "[\n{\"prompt\": \"a\"},\n\n{\"prompt\": 5},\n7]").await);
    assert_eq!(places(&bad), [(4, "prompt"), (5, "")]);
}

#[tokio::test]
async fn cells_of_a_table_are_the_numbers_truths_and_texts_that_their_columns_want() {
    let server = support::server().await;
    let pool = server.pool();
    let (one, other) = (project(pool, "one").await, project(pool, "other").await);
    // As pandas writes whole numbers of a column, or of a list, that lacks some.
    let rankings = "prompt,responses,ranks,confidence,all_bad,ratings\n\
                    A,\"[\"\"a\"\",\"\"b\"\"]\",\"1,2\",2.0,True,\"[5.0,null]\"\n";
    good(bring(pool, &one, Kind::Rankings, rankings).await);
    let found = &values(&file(pool, &one, export::Kind::Rankings).await)[0];
    assert_eq!((&found["confidence"], &found["all_bad"]), (&json!(2), &json!(true)));
    assert_eq!(found["ratings"], json!([5, null]));
    let half = lines(&[json!({ "prompt": "B", "responses": ["a", "b"], "ranks": [1, 2], "confidence": 2.5 })]);
    assert_eq!(places(&refused(bring(pool, &one, Kind::Rankings, half).await)), [(1, "confidence")]);

    let comparisons = "prompt,chosen,rejected,ranking_id,language,confidence,chosen_finished,rejected_finished\n\
                       A,a,b,[9],[1],0.5,false,\n";
    good(bring(pool, &other, Kind::Comparisons, comparisons).await);
    let found = &values(&file(pool, &other, export::Kind::Comparisons).await)[0];
    assert_eq!((&found["ranking_id"], &found["language"]), (&json!("[9]"), &json!("[1]")));
    assert_eq!((&found["chosen_finished"], &found["rejected_finished"]), (&json!(false), &Value::Null));
    assert_eq!(found["confidence"], json!(0.5));
    // And so what an export has comes back from its table.
    let table = bytes(pool, &other, export::Kind::Comparisons, Format::Csv, None).await;
    assert_eq!(good(bring(pool, &other, Kind::Comparisons, table).await).duplicates, 1);
}

/// As `DataFrame.to_csv` writes a column of lists: it would come in as what the user said.
#[tokio::test]
async fn messages_as_python_shows_them_are_refused_in_a_table() {
    let server = support::server().await;
    let project = project(server.pool(), "p").await;
    let shown = |role: &str| format!("\"[{{'role': '{role}', 'content': \"\"it's\"\"}}]\"");
    let table = format!("prompt,completion\n{},b\na,{}\n", shown("user"), shown("assistant"));
    let bad = refused(bring(server.pool(), &project, Kind::Demonstrations, table).await);
    assert_eq!(places(&bad), [(2, "prompt"), (3, "completion")]);
    assert!(bad[0].reason.to_string().contains("json.dumps"), "{}", bad[0].reason);
    // What somebody asks about Python is a text.
    let asked = "prompt,completion\n\"[{'role': 'user'}] is what?\",\"[{'a': 1}]\"\n";
    assert_eq!(good(bring(server.pool(), &project, Kind::Demonstrations, asked).await).added, 1);
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

/// As in Open-Assistant's trees, whose turns are prompts each: a later one tells the answers to the earlier ones.
#[tokio::test]
async fn all_turns_of_a_conversation_are_in_the_split_of_its_first() {
    let server = support::server().await;
    let pool = server.pool();
    let project = project(pool, "p").await;
    let turn = |role: &str, content: String| json!({ "role": role, "content": content });
    let conversation = |number: usize, turns: usize| -> Value {
        let first = turn("user", format!("Question {number}?"));
        let later = (1..turns).flat_map(|at| [turn("assistant", format!("{at}")), turn("user", format!("And {at}?"))]);
        json!({ "prompt": std::iter::once(first).chain(later).collect::<Vec<_>>() })
    };
    // In one file, in the next, and after a turn that is no prompt.
    let begun: Vec<Value> = (0..60).flat_map(|number| [conversation(number, 1), conversation(number, 2)]).collect();
    let gone_on: Vec<Value> = (0..60).map(|number| conversation(number, 4)).collect();
    good(bring(pool, &project, Kind::Prompts, lines(&begun)).await);
    good(bring(pool, &project, Kind::Prompts, lines(&gone_on)).await);
    let mut first_turns = Vec::new();
    for split in [Split::Train, Split::Validation, Split::Test] {
        let out = bytes(pool, &project, export::Kind::Prompts, Format::Jsonl, Some(split)).await;
        let records = values(&String::from_utf8(out).expect("UTF-8"));
        let mut firsts: Vec<String> = records.iter().map(|record| record["prompt"][0]["content"].to_string()).collect();
        assert!(!firsts.is_empty(), "{split:?}");
        firsts.sort();
        firsts.dedup();
        assert_eq!(records.len(), 3 * firsts.len(), "{split:?} has some turns of a conversation alone");
        first_turns.extend(firsts);
    }
    assert_eq!(first_turns.len(), 60);
}
