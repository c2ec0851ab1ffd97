//! Records by API: a file goes in whole or not at all, and comes out as the forms of the contract say.

use laurel::db::{projects::ProjectSettings, tokens::TokenRole};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Answer, Api,
    support::{
        self,
        training::{count, project},
    },
};

async fn import(api: &Api, slug: &str, kind: &str, body: String) -> Answer {
    api.send(api.request(Method::POST, &format!("projects/{slug}/import/{kind}")).body(body)).await
}

fn lines(answer: &Answer) -> Vec<Value> {
    let text = std::str::from_utf8(&answer.body).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn records_go_in_and_come_out() {
    let server = support::server().await;
    let settings = ProjectSettings { validation_percent: 0, test_percent: 0, ..ProjectSettings::default() };
    let project = project(server.pool(), settings).await;
    let (script, worker) = (Api::of(&server, TokenRole::Admin).await, Api::of(&server, TokenRole::Trainer).await);
    let ask = |text: &str| json!([{ "role": "user", "content": text }]);
    let prompts = [json!({ "prompt": ask("Why?") }), json!({ "prompt": ask("How?") })].map(|line| line.to_string());
    let report: Value = import(&script, &project.slug, "prompts", prompts.join("\n")).await.assert(200).json();
    assert_eq!((report["records"].as_u64(), report["added"].as_u64()), (Some(2), Some(2)));
    let again: Value = import(&script, &project.slug, "prompts", prompts.join("\n")).await.assert(200).json();
    assert_eq!((again["added"].as_u64(), again["duplicates"].as_u64()), (Some(0), Some(2)));
    let answers = [("a", 1), ("b", 2), ("c", 2), ("d", 4)].map(|(text, _)| json!({ "content": text, "model": "m" }));
    let ranking = json!({ "prompt": ask("Why?"), "responses": answers, "ranks": [1, 2, 2, 4], "annotator": "Ada" });
    import(&script, &project.slug, "rankings", ranking.to_string()).await.assert(200);

    let export = |kind: &str, query: &str| format!("projects/{}/export/{kind}{query}", project.slug);
    let out = worker.get(&export("prompts", "")).await.assert(200);
    assert!(out.headers["content-type"].to_str().expect("text").starts_with("application/jsonl"));
    assert_eq!(lines(&out).len(), 2);
    let out = worker.get(&export("rankings", "?format=jsonl&split=train")).await.assert(200);
    assert_eq!((lines(&out)[0]["ranks"].clone(), lines(&out).len()), (json!([1, 2, 2, 4]), 1));
    // Four answers with one tie: 6 − 1 pairs.
    assert_eq!(lines(&worker.get(&export("comparisons", "")).await.assert(200)).len(), 5);
    assert_eq!(worker.get(&export("rankings", "?split=test")).await.assert(200).body, b"");
    let parquet = worker.request(Method::GET, &export("comparisons", "?format=parquet"));
    let parquet = worker.send(parquet.header("accept-encoding", "gzip")).await.assert(200);
    assert_eq!(parquet.body[..4], *b"PAR1", "it is compressed already");

    let description: Value = worker.get("openapi.json").await.assert(200).json();
    let forms = &description["paths"]["/projects/{slug}/export/{kind}"]["get"]["responses"]["200"]["content"];
    for format in ["jsonl", "csv", "parquet"] {
        let out = worker.get(&export("prompts", &format!("?format={format}"))).await.assert(200);
        let media_type = out.headers["content-type"].to_str().expect("text").split(';').next().expect("a type");
        assert!(forms.get(media_type).is_some(), "{media_type} is not described: {forms}");
    }

    worker.get(&export("comparisons", "?format=xml")).await.refused(422, "invalid");
    worker.get(&export("comparisons", "?split=all")).await.refused(422, "invalid");
    worker.get(&export("responses", "")).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_bad_record_keeps_the_whole_file_out_and_is_named() {
    let server = support::server().await;
    let project = project(server.pool(), ProjectSettings::default()).await;
    let script = Api::of(&server, TokenRole::Admin).await;
    let good = json!({ "prompt": [{ "role": "user", "content": "Why?" }] }).to_string();
    let bad = json!({ "prompt": [{ "role": "king", "content": "Why?" }] }).to_string();
    let body = format!("{good}\n{bad}\nnothing\n");
    let error = import(&script, &project.slug, "prompts", body).await.refused(422, "invalid");
    assert_eq!(error.details.len(), 2, "{:?}", error.details);
    assert!(error.details[0].starts_with("line 2: prompt"), "{:?}", error.details);
    assert!(error.details[1].starts_with("line 3: "), "{:?}", error.details);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM prompts").await, 0);
    import(&script, &project.slug, "wishes", good.clone()).await.refused(404, "not_found");
    import(&script, "nowhere", "prompts", good).await.refused(404, "not_found");
    import(&script, &project.slug, "prompts", String::new()).await.refused(422, "invalid");
}
