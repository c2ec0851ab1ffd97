//! `laurel import`, `laurel export`, `laurel token` and `laurel models`, as scripts use them: exit codes, and what stands where.

use std::fs;

use serde_json::json;
use uuid::Uuid;

use crate::backup::{Serving, directory, done, model_directory, models, with_pool, wrong};

#[test]
fn a_file_with_bad_records_is_refused_whole_and_a_good_one_goes_in_and_comes_out_as_asked() {
    let data = directory();
    let data = data.path();
    done(data, &["project", "add", "tea", "--name", "Tea"]);
    let (records, table) = (data.join("prompts.jsonl"), data.join("prompts.csv"));
    let (from, into) = (records.to_str().expect("text"), table.to_str().expect("text"));
    let import = ["import", "prompts", "--project", "tea", from];
    let good = "{\"prompt\": \"Which tea?\"}\n";
    let bad = "{\"prompt\": [{\"role\": \"king\", \"content\": \"Why?\"}]}\nnothing\n";
    fs::write(&records, format!("{good}{bad}")).expect("a file");
    let said = wrong(data, &import);
    assert!(said.contains("nothing was imported"), "{said}");
    assert!(said.contains("\nline 2: prompt") && said.contains("\nline 3: "), "{said}");
    // Nor is the good one of them here already.
    fs::write(&records, format!("{good}{{\"prompt\": \"How warm?\"}}\n")).expect("a file");
    let said = done(data, &import);
    assert!(said.starts_with("2 records: 2 new, 0 here already;"), "{said}");
    let export = ["export", "prompts", "--project", "tea", "--format", "csv", "--out", into];
    assert_eq!(done(data, &export), "", "what goes into a file is not printed too");
    assert_eq!(fs::read_to_string(&table).expect("a file").lines().count(), 3, "a header and two prompts");
    let nowhere = ["export", "prompts", "--project", "tea", "--out", data.to_str().expect("text")];
    assert!(wrong(data, &nowhere).contains("is a directory"));
}

#[test]
fn a_token_stands_alone_on_a_line() {
    let data = directory();
    let token = done(data.path(), &["token", "add", "--name", "worker", "--role", "trainer"]);
    assert!(token.starts_with("laurel_") && token.ends_with('\n') && token.lines().count() == 1, "{token}");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_nothing_needs_are_pruned_while_a_server_runs_and_while_none_does() {
    let (data, elsewhere) = (directory(), directory());
    let data = data.path();
    done(data, &["project", "add", "tea", "--name", "Tea"]);
    let source = model_directory(elsewhere.path());
    let source = source.to_str().expect("text");
    for name in ["old", "new"] {
        done(data, &["model", "add", "--project", "tea", "--path", source, "--name", name]);
    }
    with_pool(data, async |pool| {
        for (round, name) in [(1, "sft-1"), (2, "sft-2"), (3, "sft-3")] {
            sqlx::query(
                "INSERT INTO models (id, project_id, name, stage, round, digest, files, complete)
                 SELECT $1, id, $2, 'sft', $3, 'd', $4, true FROM projects",
            )
            .bind(Uuid::now_v7())
            .bind(name)
            .bind(round)
            .bind(json!([{ "name": "model.safetensors", "bytes": 7, "sha256": "a".repeat(64) }]))
            .execute(pool)
            .await
            .expect("a model");
        }
    })
    .await;
    let states = || {
        let list = done(data, &["models", "list", "--project", "tea"]);
        let fields = |line: &str| {
            line.split('\t')
                .enumerate()
                .filter(|(at, _)| [0, 3, 4].contains(at))
                .map(|(_, field)| field.to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        list.lines().map(fields).collect::<Vec<_>>()
    };
    let prune = |keep: &str| done(data, &["models", "prune", "--project", "tea", "--keep", keep]);
    let whole = ["sft-3 complete 7", "sft-2 complete 7", "sft-1 complete 7", "new complete 11", "old complete 11"];
    assert_eq!(states(), whole);
    assert_eq!(
        done(data, &["models", "prune", "--project", "tea", "--keep", "1", "--dry-run"]),
        "sft-2\t7\nsft-1\t7\n"
    );
    assert_eq!(states(), whole, "nothing was removed");
    assert_eq!(prune("2"), "sft-1\t7\n");
    let server = Serving::start(data);
    assert_eq!(prune("1"), "sft-2\t7\n");
    assert_eq!(done(data, &["model", "remove", "--project", "tea", "old"]), "");
    server.stop();
    assert_eq!(
        states(),
        ["sft-3 complete 7", "sft-2 removed 0", "sft-1 removed 0", "new complete 11", "old removed 0"]
    );
    assert_eq!(models(data).len(), 3, "the files of one base model");
    assert!(wrong(data, &["model", "remove", "--project", "tea", "new"]).contains("training starts from it"));
    assert!(wrong(data, &["model", "promote", "--project", "tea", "old"]).contains("were removed"));
    assert!(wrong(data, &["model", "prune", "--project", "tea", "--keep=-1"]).contains("--keep"));
}
