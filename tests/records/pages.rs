//! Files that are no lines of text, and the pages that take and give files.

use super::*;

#[tokio::test]
async fn a_parquet_file_begins_and_ends_as_one_and_says_its_columns() {
    let server = support::server().await;
    let project = project(server.pool(), "p").await;
    good(bring(server.pool(), &project, Kind::Responses, include_str!("../../sample/responses.jsonl")).await);
    good(bring(server.pool(), &project, Kind::Demonstrations, include_str!("../../sample/demonstrations.jsonl")).await);
    for kind in export::Kind::ALL {
        let file = bytes(server.pool(), &project, kind, Format::Parquet, None).await;
        assert!(file.starts_with(b"PAR1") && file.ends_with(b"PAR1"), "{kind:?}");
        let rows = parquet::file::metadata::ParquetMetaDataReader::new()
            .parse_and_finish(&bytes::Bytes::from(file))
            .expect("a footer");
        let lines = super::file(server.pool(), &project, kind).await.lines().count();
        assert_eq!(rows.file_metadata().num_rows(), i64::try_from(lines).expect("fits"), "{kind:?}");
    }
}

/// Processes of the database that have streamed prompts out, or do.
async fn exporting(pool: &PgPool) -> i64 {
    let sql = r#"
        SELECT count(*)
        FROM pg_stat_activity
        WHERE datname = current_database()
            AND pid <> pg_backend_pid()
            AND query LIKE '%coalesce(external_id, id::text) AS "id!"%'
            -- Those that have asked this very question.
            AND query NOT LIKE '%pg_stat_activity%'
    "#;
    count(pool, sql).await
}

#[tokio::test]
async fn an_export_that_nobody_reads_to_its_end_does_not_go_on_in_the_database() {
    let server = support::server().await;
    let pool = server.pool();
    let project = project(pool, "p").await;
    good(bring(pool, &project, Kind::Responses, include_str!("../../sample/responses.jsonl")).await);
    let selection = export::Selection::default();
    let mut read = export::stream(pool.clone(), &project, export::Kind::Prompts, Format::Jsonl, selection);
    read.try_next().await.expect("an export").expect("its beginning");
    assert_eq!(exporting(pool).await, 1);
    drop(read);
    let begun = std::time::Instant::now();
    while exporting(pool).await > 0 {
        assert!(begun.elapsed().as_secs() < 60, "its connection goes on");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
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

/// The hidden fields and the places of a preview's form to import what was seen.
async fn previewed(ada: &support::Client, kind: &str, name: &str, content: &str) -> String {
    let token = ada.csrf().await;
    let request = ada.request(reqwest::Method::POST, "/admin/projects/p/import/preview");
    let sent = ada.send(request.multipart(upload(&token, kind, name, content))).await;
    sent.leads_to().to_owned()
}

#[tokio::test]
async fn a_file_with_other_names_is_looked_at_mapped_and_imported_as_seen() {
    let server = support::server().await;
    project(server.pool(), "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let table = "nr,question,good,bad,remark\n1,Why is the sky blue?,Light scatters.,It is paint.,ok\n2,\"Who, me?\",Yes.,No.,\n";
    let place = previewed(&ada, "comparisons", "votes.csv", table).await;
    // Unnamed, the columns say nothing; the preview shows them and changes nothing.
    let bare = ada.get(&place).await.assert(422);
    bare.assert_contains("votes.csv").assert_contains("Table (CSV)").assert_contains("<code>question</code>");
    let names = [("nr", "id"), ("question", "prompt"), ("good", "chosen"), ("bad", "rejected"), ("remark", "-")];
    let mut chosen = vec![("kind", "comparisons")];
    chosen.extend(names.iter().flat_map(|(column, target)| [("column", *column), ("target", *target)]));
    let query = serde_html_form::to_string(&chosen).expect("a query");
    let seen = ada.get(&format!("{place}?{query}")).await.assert(200);
    seen.assert_contains("Who, me?").assert_contains("Light scatters.").assert_contains("Import it like this");
    nothing_is_here(server.pool()).await;
    // Pressed twice: one imports it, the other says that it has gone in.
    let (first, second) = tokio::join!(ada.post(&place, &chosen), ada.post(&place, &chosen));
    let (done, late) = if first.location.is_some() { (first, second) } else { (second, first) };
    ada.get(done.leads_to()).await.assert(200).assert_contains("Imported.");
    late.assert(409).assert_contains("imported already");
    assert_eq!(count(server.pool(), "SELECT count(*) FROM comparisons").await, 2);
    let prompts: Vec<String> = sqlx::query_scalar("SELECT conversation -> -1 ->> 'content' FROM prompts ORDER BY id")
        .fetch_all(server.pool())
        .await
        .expect("prompts");
    assert_eq!(prompts, ["Why is the sky blue?", "Who, me?"]);
    // The file has gone with its import: a second press finds nothing to import again.
    ada.post(&place, &chosen).await.assert(409).assert_contains("imported already");
    ada.get(&place).await.assert(404);
}

#[tokio::test]
async fn every_bad_line_is_in_the_report_and_none_is_imported() {
    let server = support::server().await;
    project(server.pool(), "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    // 40 lines, each second one without a prompt: more than a page names.
    let lines: Vec<String> = (1..=40)
        .map(|line| match line % 2 {
            0 => format!("{{\"prompt\": \"Question {line}\"}}"),
            _ => "{\"prompt\": \"\"}".to_owned(),
        })
        .chain((0..10).map(|_| "no json".to_owned()))
        .collect();
    let place = previewed(&ada, "prompts", "p.jsonl", &lines.join("\n")).await;
    let page = ada.get(&place).await.assert(422);
    let report = support::client::link_with(&page.text, "report.csv");
    let file = ada.get(&report).await.assert(200);
    let named: Vec<u64> = file
        .text
        .lines()
        .skip(1)
        .map(|row| row.split(',').next().expect("a line").parse().expect("a number"))
        .collect();
    let wrong: Vec<u64> = (1..=40).filter(|line| line % 2 == 1).chain(41..=50).collect();
    assert_eq!(named, wrong);
    ada.post(&place, &[("kind", "prompts")]).await.assert(422);
    nothing_is_here(server.pool()).await;
}

#[tokio::test]
async fn a_file_too_large_to_be_rehearsed_says_what_is_wrong_when_it_does_not_go_in() {
    let server = support::server().await;
    project(server.pool(), "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    let padding = "x".repeat(100_000);
    let mut lines: Vec<String> =
        (1..=340).map(|line| format!("{{\"prompt\": \"Question {line}\", \"padding\": \"{padding}\"}}")).collect();
    lines[300] = "{\"prompt\": \"\"}".to_owned();
    let place = previewed(&ada, "prompts", "large.jsonl", &lines.join("\n")).await;
    ada.get(&place).await.assert(200);
    let page = ada.post(&place, &[("kind", "prompts")]).await.assert(422);
    assert!(!support::client::link_with(&page.text, "report.csv").is_empty());
    page.assert_contains("301");
    nothing_is_here(server.pool()).await;
}

/// Words in Latin letters besides what is quoted.
fn latin(reason: &str) -> Vec<&str> {
    let own = reason.split(['“', '”', '"']).step_by(2);
    own.flat_map(|part| part.split(|sign: char| !sign.is_ascii_alphabetic())).filter(|word| word.len() > 1).collect()
}

#[tokio::test]
async fn who_reads_chinese_reads_in_chinese_what_is_wrong_and_programs_read_english() {
    let server = support::server().await;
    let project = project(server.pool(), "p").await;
    let ada = server.user("Ada", Role::Admin).await;
    ada.post("/preferences", &[("language", "zh"), ("next", "/")]).await.leads_to();
    let two = json!(["a", "b"]);
    let wrong = [
        (json!({ "prompt": asked("A"), "responses": two, "ranks": [1, 3] }), "回答 1 的名次 3 造成空缺：接下来应为 2"),
        (json!({ "prompt": asked("A"), "responses": two, "ranks": [1] }), "有 1 个名次，但有 2 个回答"),
        (json!({ "prompt": asked("A"), "responses": two, "ranks": [1, "b"] }), "应为从 1 开始的整数，这里却是：文本"),
        (json!({ "responses": two, "ranks": [1, 2] }), "缺少此字段"),
        (json!({ "prompt": 5, "responses": two, "ranks": [1, 2] }), "应为消息列表，这里却是数字"),
        (
            json!({ "prompt": asked("A"), "responses": two, "ranks": [1, 2], "created_at": "yesterday" }),
            "“yesterday”不是形如 2026-11-24T14:05:00Z 的时间",
        ),
        (
            json!({ "prompt": asked("A"), "responses": two, "ranks": [1, 2], "split": "holdout" }),
            "\"holdout\" 不是 train、validation、test 之一",
        ),
        (
            json!({ "prompt": asked("A"), "responses": two, "ranks": [1, 2], "rating_scale": { "lowest": 2, "highest": 7 } }),
            "评分分制应从 0 或 1 开始",
        ),
        (
            json!({ "prompt_id": "nowhere", "responses": two, "ranks": [1, 2] }),
            "这里没有提示“nowhere”，记录中也没有给出提示",
        ),
    ];
    let file = format!("{}[1]\nno json\n", wrong.iter().map(|(record, _)| format!("{record}\n")).collect::<String>());
    let place = previewed(&ada, "rankings", "r.jsonl", &file).await;
    let page = ada.get(&place).await.assert(422);
    page.assert_contains("缺少此字段")
        .assert_contains("这里没有提示“nowhere”")
        .assert_contains(">提示（prompt）</option>");
    let report = ada.get(&support::client::link_with(&page.text, "report.csv")).await.assert(200);
    let mut rows = csv::Reader::from_reader(report.text.as_bytes());
    let reasons: Vec<String> = rows.records().map(|row| row.expect("a row")[2].to_owned()).collect();
    let mut expected: Vec<&str> = wrong.iter().map(|(_, reason)| *reason).collect();
    expected.push("一条记录应为一个对象 {…}，这里却是列表");
    // What a parser said stays as it said it.
    let (parser, ours) = reasons.split_last().expect("reasons");
    assert!(parser.starts_with("这不是 JSON：expected"), "{parser}");
    assert_eq!(ours, expected);
    for reason in ours {
        let names = ["train", "validation", "test"];
        assert!(latin(reason).iter().all(|word| names.contains(word)), "{reason}");
    }
    // At once, without a preview.
    let request = ada.request(reqwest::Method::POST, "/admin/projects/p/import");
    let token = ada.csrf().await;
    let page = ada.send(request.multipart(upload(&token, "rankings", "r.jsonl", &file))).await.assert(422);
    page.assert_contains("评分分制应从 0 或 1 开始").assert_contains("天空为什么是蓝色的？");
    // A command and a program get English.
    let bad = refused(bring(server.pool(), &project, Kind::Rankings, &file).await);
    let english: Vec<String> = bad.iter().map(|record| record.reason.to_string()).collect();
    assert_eq!(english[0], "rank 3 of answer 1 leaves a gap: 2 would come next");
    assert_eq!(english[2], "is a text, but a whole number from 1 is wanted");
    assert_eq!(english[4], "is a number, but a list of messages is wanted");
    assert_eq!(english[6], "\"holdout\" is none of train, validation, test");
    assert_eq!(english[9], "a record is an object {…}, this is a list");
    nothing_is_here(server.pool()).await;
}
