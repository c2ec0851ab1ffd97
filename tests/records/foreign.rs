//! What other tools export is understood.

use super::*;

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
    let ultra_feedback = json!({ "prompt": "Sky?", "prompt_id": "u", "chosen": within["chosen"], "rejected": within["rejected"],
        "messages": within["chosen"], "score_chosen": 8.5, "score_rejected": 4.0 });
    let argilla1 = json!({ "fields": { "prompt": "Sky?", "response-1": "Red.", "response-2": "Blue." }, "responses": [
        { "user_id": "u", "status": "submitted", "values": { "ranking": { "value": [{ "rank": 2, "value": "response-1" }, { "rank": 1, "value": "response-2" }] } } },
        { "user_id": "v", "status": "discarded", "values": {} }] });
    let argilla2 = json!({ "id": "1", "fields": { "instruction": "Sky?" }, "metadata": {}, "suggestions": {},
        "responses": { "answer": [{ "value": "Blue.", "user_id": "u" }], "a mood": [{ "value": "good", "user_id": "u" }] } });
    let argilla2_ranked = json!({ "id": "2", "fields": { "instruction": "Sky?", "response_1": "Red.", "response_2": "Blue." },
        "responses": { "liked": [{ "value": ["short"], "user_id": "u" }],
                       "ranking": [{ "value": ["response_2", "response_1"], "user_id": "u" }] } });
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
        ("ultra-feedback", Kind::Comparisons, lines(std::slice::from_ref(&ultra_feedback)), blue("Red.")),
        ("ultra-feedback-sft", Kind::Demonstrations, lines(&[ultra_feedback]), vec![("Sky?", vec!["Blue."])]),
        (
            "trl-completion",
            Kind::Demonstrations,
            lines(&[json!({ "prompt": "Sky?", "completion": "Blue." })]),
            vec![("Sky?", vec!["Blue."])],
        ),
        ("argilla-1", Kind::Rankings, json!([argilla1]).to_string(), blue("Red.")),
        ("argilla-2", Kind::Demonstrations, json!([argilla2]).to_string(), vec![("Sky?", vec!["Blue."])]),
        ("argilla-2-ranking", Kind::Rankings, json!([argilla2_ranked]).to_string(), blue("Red.")),
        ("label-studio-pair", Kind::Comparisons, json!([pairwise]).to_string(), blue("Red.")),
        ("label-studio-rank", Kind::Rankings, json!([ranker]).to_string(), blue("Red.")),
    ]
}

/// Many of Anthropic's dialogues go on after the answers at which they part.
#[tokio::test]
async fn answers_at_which_dialogues_part_can_be_ranked_anew_though_the_dialogues_go_on() {
    let server = support::server().await;
    let pool = server.pool();
    let (one, other) = (project(pool, "one").await, project(pool, "other").await);
    let given = lines(&[json!({ "chosen": "\n\nHuman: Sky?\n\nAssistant: Blue.",
        "rejected": "\n\nHuman: Sky?\n\nAssistant: Red.\n\nHuman: Really?\n\nAssistant: No." })]);
    for kind in [Kind::Responses, Kind::KnownAnswers] {
        assert_eq!(good(bring(pool, &one, kind, &given).await).tasks, 1, "{kind:?}");
    }
    good(bring(pool, &other, Kind::Comparisons, &given).await);
    let kept = values(&file(pool, &other, export::Kind::Comparisons).await);
    assert_eq!(kept[0]["rejected_rest"][1], said("No.")[0]);
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
async fn a_record_of_our_own_stays_one_whatever_its_other_fields_are_called() {
    let server = support::server().await;
    let pool = server.pool();
    let project = project(pool, "p").await;
    let prompt = json!([{ "role": "user", "content": "Sky?" }]);
    let own = json!({ "id": "p", "prompt": prompt, "instruction": "Be brief.", "conversation": "c1" });
    good(bring(pool, &project, Kind::Prompts, &lines(&[own])).await);
    let record = values(&file(pool, &project, export::Kind::Prompts).await).remove(0);
    assert_eq!(record["prompt"], prompt);
    assert_eq!((&record["instruction"], &record["conversation"]), (&json!("Be brief."), &json!("c1")));
}

#[tokio::test]
async fn an_answer_that_was_marked_bad_is_no_demonstration_and_its_prompt_is_one() {
    let server = support::server().await;
    let pool = server.pool();
    let project = project(pool, "p").await;
    let unpaired = lines(&[
        json!({ "prompt": "Sky?", "completion": "Blue.", "label": true }),
        json!({ "prompt": "Sea?", "completion": "Red.", "label": false }),
    ]);
    let bad = refused(bring(pool, &project, Kind::Demonstrations, &unpaired).await);
    assert_eq!(places(&bad), [(2, "label")]);
    let table = "prompt,completion,label\nSky?,Blue.,True\nSea?,Red.,False\n";
    let bad = refused(bring(pool, &project, Kind::Demonstrations, table).await);
    assert_eq!(places(&bad), [(3, "label")]);
    assert_eq!(good(bring(pool, &project, Kind::Prompts, &unpaired).await).added, 2);
}

#[tokio::test]
async fn an_order_that_another_tool_has_can_be_what_is_known_to_be_right() {
    let server = support::server().await;
    let pool = server.pool();
    let mut files = 0;
    for (name, kind, given, _) in foreign() {
        if !matches!(kind, Kind::Rankings | Kind::Comparisons) || given.contains("score_") {
            continue;
        }
        let project = project(pool, name).await;
        assert_eq!(good(bring(pool, &project, Kind::KnownAnswers, &given).await).added, 1, "{name}");
        files += 1;
    }
    assert!(files > 6, "{files} files have an order");
}
