//! `laurel import`, `laurel export` and `laurel token`, as scripts use them: exit codes, and what stands where.

use std::fs;

use crate::backup::{directory, done, wrong};

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
