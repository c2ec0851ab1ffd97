//! What goes in comes out again, and makes the tasks that it asks for.

use super::*;

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
                "created_at": "2026-11-02T08:00:00.25Z", "note": "hard", "all_bad": true, "ratings": [5, null, 0, 10], "flags": [[], [], ["rude", "Off topic"], []],
                "rating_scale": { "lowest": 0, "highest": 10, "lowest_word": "terrible", "highest_word": "优秀" },
                "responses": [{ "id": "x", "content": "same", "model": "m" }, { "id": "y", "content": "same", "model": "m" },
                              { "id": "z", "content": "", "model": null }, { "id": "w", "content": "w" }] }),
        json!({ "id": "r2", "prompt": asked("A?"), "ranks": [1, 2], "annotator": "bea", "extra_opinion": true, "ratings": [7, null],
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
    let all_bad: i64 = sqlx::query_scalar("SELECT count(*) FROM rankings WHERE all_bad AND NOT extra ? 'all_bad'")
        .fetch_one(pool)
        .await
        .expect("a number");
    assert_eq!(all_bad, 1, "it has its own place");
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
                    "ratings": [0, null, number % 11], "rating_scale": { "lowest": 0, "highest": 10, "highest_word": "good" },
                    "flags": [[], ["rude", "off_topic"], []],
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
async fn of_an_answer_that_was_cut_rankings_and_comparisons_say_so_there_and_back() {
    let server = support::server().await;
    let pool = server.pool();
    let (one, other, third) = (project(pool, "one").await, project(pool, "other").await, project(pool, "third").await);
    let sampled =
        |content: &str, finished: bool| json!({ "content": content, "sampling": { "seed": 1, "finished": finished } });
    let ranking = json!({ "id": "r", "prompt": asked("A?"), "ranks": [2, 1, 3], "annotator": "ada",
        "responses": [sampled("whole", true), sampled("cut", false), { "content": "unknown" }] });
    good(bring(pool, &one, Kind::Rankings, lines(&[ranking])).await);
    let out = file(pool, &one, export::Kind::Rankings).await;
    let said: Vec<Value> = values(&out)[0]["responses"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|answer| answer["sampling"].clone())
        .collect();
    assert_eq!(said, [Value::Null, json!({ "finished": false }), Value::Null]);
    good(bring(pool, &other, Kind::Rankings, &out).await);
    assert_eq!(file(pool, &other, export::Kind::Rankings).await, out);

    let pairs = file(pool, &one, export::Kind::Comparisons).await;
    for pair in values(&pairs) {
        for (side, finished) in [("chosen", "chosen_finished"), ("rejected", "rejected_finished")] {
            let is_cut = pair[side][0]["content"] == "cut";
            assert_eq!(pair.get(finished), is_cut.then_some(&json!(false)), "{pair}");
        }
    }
    good(bring(pool, &third, Kind::Comparisons, &pairs).await);
    assert_eq!(file(pool, &third, export::Kind::Comparisons).await, pairs);
}

/// Rankings are what the trainer's nights read: one that it can't read would end them.
#[tokio::test]
async fn what_a_comparison_says_by_a_name_of_rankings_is_not_taken_for_theirs() {
    let server = support::server().await;
    let pool = server.pool();
    let (one, other, third) = (project(pool, "one").await, project(pool, "other").await, project(pool, "third").await);
    let given = lines(&[
        json!({ "prompt": asked("A?"), "chosen": said("good"), "rejected": said("bad"), "margin": 2.5, "confidence": 0.93,
                "ratings": ["A", "B"] }),
        json!({ "chosen": "\n\nHuman: B?\n\nAssistant: good", "rejected": "\n\nHuman: B?\n\nAssistant: bad", "margin": 3 }),
    ]);
    assert_eq!(good(bring(pool, &one, Kind::Comparisons, &given).await).added, 2);
    let pairs = file(pool, &one, export::Kind::Comparisons).await;
    let found = values(&pairs);
    assert_eq!((&found[0]["margin"], &found[1]["margin"]), (&json!(2.5), &json!(3)));
    assert_eq!((&found[0]["confidence"], &found[0]["ratings"]), (&json!(0.93), &json!(["A", "B"])));

    let rankings = file(pool, &one, export::Kind::Rankings).await;
    let records: Vec<RankingRecord> =
        rankings.lines().map(|line| serde_json::from_str(line).expect("a ranking")).collect();
    let read: Vec<_> = records.iter().map(|record| (record.margin, record.confidence)).collect();
    assert_eq!(read, [(Some(2.5), None), (Some(3.0), None)]);
    good(bring(pool, &other, Kind::Rankings, &rankings).await);
    assert_eq!(file(pool, &other, export::Kind::Rankings).await, rankings);
    for (project, kind, file) in [(&other, Kind::Rankings, &rankings), (&third, Kind::Comparisons, &pairs)] {
        good(bring(pool, project, kind, file).await);
        assert_eq!(self::file(pool, project, export::Kind::Comparisons).await, pairs);
    }

    let wrong = json!({ "prompt": "C?", "responses": ["a", "b"], "ranks": [1, 2], "margin": "large" });
    let bad = refused(bring(pool, &one, Kind::Rankings, lines(&[wrong])).await);
    assert_eq!(places(&bad), [(1, "margin")]);
}

#[tokio::test]
async fn comparisons_of_people_without_names_are_as_many_elsewhere_and_no_more_the_second_time() {
    let server = support::server().await;
    let pool = server.pool();
    let (one, other) = (project(pool, "one").await, project(pool, "other").await);
    let ranking =
        |id: &str| json!({ "id": id, "prompt": asked("A?"), "responses": ["good", "fair", "bad"], "ranks": [1, 2, 3] });
    good(bring(pool, &one, Kind::Rankings, lines(&["r1", "r2", "r3"].map(ranking))).await);
    let pairs = file(pool, &one, export::Kind::Comparisons).await;
    assert_eq!(good(bring(pool, &other, Kind::Comparisons, &pairs).await).added, 9);
    assert_eq!(file(pool, &other, export::Kind::Comparisons).await, pairs);
    for project in [&one, &other] {
        assert_eq!(good(bring(pool, project, Kind::Comparisons, &pairs).await).duplicates, 9);
    }
    // One that doesn't say what it was part of may be any of them.
    let pair = lines(&[json!({ "prompt": asked("A?"), "chosen": "good", "rejected": "bad" })]);
    assert_eq!(good(bring(pool, &other, Kind::Comparisons, &pair).await).duplicates, 1);
    // One with an id of its own is known by that of the ranking, too: exports have no other.
    let third = project(pool, "third").await;
    let with_id = json!({ "id": "c1", "ranking_id": "r9", "prompt": asked("A?"), "chosen": "good", "rejected": "bad" });
    good(bring(pool, &third, Kind::Comparisons, lines(&[with_id])).await);
    let pairs = file(pool, &third, export::Kind::Comparisons).await;
    assert_eq!(good(bring(pool, &third, Kind::Comparisons, &pairs).await).duplicates, 1);
}

/// As pandas and `datasets` make JSON lines of an exported Parquet file, whose last column is a text.
#[tokio::test]
async fn fields_that_stand_as_json_in_extra_are_fields_in_json_lines_too() {
    let server = support::server().await;
    let pool = server.pool();
    let project = project(pool, "p").await;
    let ranking = |extra: Value| {
        lines(&[json!({ "prompt": asked("A?"), "responses": ["a", "b"], "ranks": [1, 2], "source": null,
            "extra": extra })])
    };
    let more = json!({ "confidence": 2, "ratings": [5, null], "source": "x" });
    good(bring(pool, &project, Kind::Rankings, ranking(json!(more.to_string()))).await);
    let found = values(&file(pool, &project, export::Kind::Rankings).await);
    for (name, value) in more.as_object().expect("an object") {
        assert_eq!(found[0][name], *value);
    }
    assert_eq!(found[0].get("extra"), None);
    let rejected = ranking(json!("{\"review\": \"rejected\"}"));
    assert_eq!(places(&refused(bring(pool, &project, Kind::Rankings, rejected).await)), [(1, "review")]);
    let nul = ranking(json!("{\"source\": \"\\u0000\"}"));
    assert_eq!(places(&refused(bring(pool, &project, Kind::Rankings, nul).await)), [(1, "source")]);
}

/// As data sets have it that derive the best and the worst answer from ratings, and keep all of them.
#[tokio::test]
async fn a_ranking_stays_one_though_it_names_the_chosen_answer_besides() {
    let server = support::server().await;
    let pool = server.pool();
    let (one, other) = (project(pool, "one").await, project(pool, "other").await);
    let ranking = |chosen: Value, rejected: Value| {
        json!({ "prompt": asked("A?"), "responses": ["fair", "good", "bad"], "ranks": [2, 1, 3], "chosen": chosen,
                "rejected": rejected })
    };
    let dialogue = |answer: &str| json!([asked("A?")[0], said(answer)[0]]);
    let whole = ranking(dialogue("good"), dialogue("bad"));
    for (at, given) in [ranking(json!("good"), json!("bad")), ranking(json!(1), json!(2)), whole].iter().enumerate() {
        let mut given = given.clone();
        given["annotator"] = json!(format!("person {at}"));
        assert_eq!(good(bring(pool, &one, Kind::Rankings, lines(&[given])).await).added, 1);
    }
    let out = file(pool, &one, export::Kind::Rankings).await;
    let found = values(&out);
    assert!(found.iter().all(|ranking| ranking["ranks"] == json!([2, 1, 3])), "{out}");
    assert_eq!((&found[0]["chosen"], &found[2]["rejected"]), (&json!("good"), &dialogue("bad")));
    good(bring(pool, &other, Kind::Rankings, &out).await);
    assert_eq!(file(pool, &other, export::Kind::Rankings).await, out);
}

#[tokio::test]
async fn answers_make_ranking_tasks_for_as_many_people_as_the_project_wants() {
    let server = support::server().await;
    let settings = ProjectSettings { name: "P".to_owned(), ranking_overlap: 3, ..ProjectSettings::default() };
    let actor = Actor::program("test");
    let project = projects::create(server.pool(), &actor, "p", &settings, false).await.expect("a project");
    let given = include_str!("../../sample/responses.jsonl");
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
    good(bring(server.pool(), &project, Kind::Demonstrations, include_str!("../../sample/demonstrations.jsonl")).await);
    let prompts = good(bring(server.pool(), &project, Kind::Prompts, include_str!("../../sample/prompts.jsonl")).await);
    let unanswered =
        "SELECT count(*) FROM prompts p WHERE NOT EXISTS (SELECT 1 FROM demonstrations d WHERE d.prompt_id = p.id)";
    assert_eq!(i64::try_from(prompts.tasks).expect("fits"), count(server.pool(), unanswered).await);
}
