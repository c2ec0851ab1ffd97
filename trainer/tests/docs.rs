//! What docs/rlhf.md says is where it says, and the commands that pages show are understood.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

const KINDS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "const", "static", "macro_rules"];

/// Whether a source file defines this: an item, or a variant of an enum.
fn defines(source: &str, name: &str) -> bool {
    source.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).any(|line| {
        let words: Vec<&str> =
            line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
        let is_item = words.windows(2).any(|pair| KINDS.contains(&pair[0]) && pair[1] == name);
        is_item || (name.starts_with(char::is_uppercase) && words.first() == Some(&name))
    })
}

/// Each source file that a line of the page names in backticks, with the names that directly follow it: `a.rs` `b`, `c::d`.
fn places(line: &str) -> Vec<(&str, Vec<&str>)> {
    let mut places: Vec<(&str, Vec<&str>)> = vec![];
    // What stands between backticks has an odd number.
    let parts: Vec<&str> = line.split('`').collect();
    let mut follows = false;
    for at in (1..parts.len()).step_by(2) {
        let (between, code) = (parts[at - 1], parts[at]);
        let goes_on = follows && (between == " " || between == ", ");
        if code.ends_with(".rs") {
            places.push((code, vec![]));
            follows = true;
        } else if goes_on && let Some((_, names)) = places.last_mut() {
            names.push(code);
        } else {
            follows = false;
        }
    }
    places
}

#[test]
fn every_file_and_every_name_in_it_that_the_page_on_rlhf_speaks_of_exists() {
    let trainer = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(trainer.join("../docs/rlhf.md")).expect("the page");
    let (mut files, mut names_found, mut wrong) = (0, 0, vec![]);
    for (file, names) in page.lines().flat_map(places) {
        files += 1;
        let Ok(source) = fs::read_to_string(trainer.join("src").join(file)) else {
            wrong.push(format!("there is no {file}"));
            continue;
        };
        for name in names {
            names_found += 1;
            wrong.extend(
                name.split("::")
                    .filter(|part| !defines(&source, part))
                    .map(|part| format!("{file} has no {part} ({name})")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(files > 30 && names_found > 25, "{files} files and {names_found} names were found");
}

/// The commands that a page shows, in words. What a backslash breaks is one; what is said or piped after it is left out.
fn commands(page: &str) -> Vec<Vec<String>> {
    let whole = page.replace("\\\n", " ");
    let shown = whole.lines().filter_map(|line| line.trim().strip_prefix("laurel-trainer "));
    let words = |line: &str| -> Vec<String> {
        let words = line.split_whitespace().take_while(|word| !word.starts_with(['#', '|']));
        words.map(|word| word.trim_matches(['[', ']']).to_owned()).collect()
    };
    shown.map(words).collect()
}

#[test]
fn every_option_that_a_page_shows_is_one_of_its_command() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let pages = fs::read_dir(root.join("docs")).expect("the pages").map(|entry| entry.expect("a page").path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let mut helps: BTreeMap<String, String> = BTreeMap::new();
    let (mut options, mut wrong) = (0, vec![]);
    for path in pages.chain([root.join("README.md")]) {
        for command in commands(&fs::read_to_string(&path).expect("a page")) {
            let help = helps.entry(command[0].clone()).or_insert_with(|| {
                let program = env!("CARGO_BIN_EXE_laurel-trainer");
                let output = Command::new(program).args([command[0].as_str(), "--help"]).output().expect("the program");
                String::from_utf8(output.stdout).expect("text")
            });
            for option in command.iter().filter(|word| word.starts_with("--")) {
                options += 1;
                let mut words = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
                if !words.any(|word| word == option) {
                    wrong.push(format!("{}: {} has no {option}", path.display(), command[0]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(options > 60, "{options} options were found");
}
