//! An annotator who works in Chinese: ranks and writes through an input method, and finds no English on the way.

use std::collections::BTreeSet;

use fantoccini::Locator;
use laurel::{
    db::users::{self, NewUser},
    domain::role::Role,
    export::Kind,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ENTER, exported, left_the_task, take_next};
use crate::support::{
    Browser, PASSWORD, Server,
    seed::{self, Seed, assignment_in},
    server,
};

/// What stands in Latin letters on a Chinese page: names, keys, and the way to English.
const AS_THEY_ARE: [&str; 8] = ["Laurel", "English", "Ctrl", "Enter", "Ctrl Enter", "Delete", "Esc", "mei@example.org"];

/// What Mei writes.
const ANSWER: &str = "蜜蜂采集花蜜，酿成蜂蜜。";

/// The page's language, and every text of it, shown or waiting to be: words, labels, hints, and what scripts will say.
const TEXTS: &str = "
    const found = new Set([document.title]);
    const walker = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) if (!walker.currentNode.parentElement.closest('script, style, title')) found.add(walker.currentNode.data);
    for (const part of document.querySelectorAll('*')) {
        for (const name of ['aria-label', 'title', 'placeholder', 'alt']) found.add(part.getAttribute(name) ?? '');
    }
    for (const words of document.querySelectorAll('#words, [data-connection]')) Object.values(words.dataset).forEach((word) => found.add(word));
    return [document.documentElement.lang, [...found].map((text) => text.trim().replace(/\\s+/g, ' ')).filter(Boolean)];";

/// Keys of the catalogue, and its English messages of some words that have no places to fill in.
fn english() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(format!("{}/locales/en", env!("CARGO_MANIFEST_DIR"))).expect("the catalogue") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("readable");
        for (key, message) in text.lines().filter_map(|line| line.split_once(" = ")) {
            found.extend(key.contains('-').then(|| key.to_owned()));
            let plain = message.len() >= 10 && message.contains(' ') && !message.contains(['{', '`']);
            found.extend(plain.then(|| message.to_owned()));
        }
    }
    found
}

/// Whether a text has a word in Latin letters and none in Chinese.
fn is_left_over(text: &str) -> bool {
    let letters: Vec<char> = text.chars().collect();
    letters.windows(2).any(|two| two.iter().all(char::is_ascii_alphabetic))
        && !letters.iter().any(|letter| ('\u{4e00}'..='\u{9fff}').contains(letter))
}

/// The page is in Chinese, and nothing on it is not.
async fn all_is_chinese(browser: &Browser) {
    let address = browser.current_url().await.expect("an address");
    let page = browser.execute(TEXTS, Vec::new()).await.expect("read");
    let (tongue, texts): (String, Vec<String>) = serde_json::from_value(page).expect("a language and texts");
    assert_eq!(tongue, "zh", "{address}");
    assert!(texts.len() > 10, "{address} has hardly a word");
    let english = english();
    let left: Vec<&String> = texts
        .iter()
        .filter(|text| !AS_THEY_ARE.contains(&text.as_str()) && !text.ends_with(" UTC"))
        .filter(|text| is_left_over(text) || english.iter().any(|message| text.contains(message.as_str())))
        .collect();
    assert!(left.is_empty(), "{address} has English: {left:#?}");
}

/// A key as the browser tells it while an input method for Chinese has it.
async fn press_through_input_method(browser: &Browser, letter: char) {
    let code = format!("Key{letter}");
    for kind in ["rawKeyDown", "keyUp"] {
        let key = json!({ "type": kind, "key": "Process", "code": code, "windowsVirtualKeyCode": 229 });
        browser.devtools("Input.dispatchKeyEvent", key).await;
    }
}

/// The words under the writing place: how long the text is.
async fn length(browser: &Browser) -> String {
    browser.find(Locator::Css("[data-length]")).await.expect("a length").text().await.expect("read")
}

async fn written(browser: &Browser) -> String {
    let field = browser.wait().for_element(Locator::Id("completion")).await.expect("the field");
    field.prop("value").await.expect("read").unwrap_or_default()
}

/// A project in Chinese with four answers to rank and a prompt to answer, and Mei, whose interface is Chinese, at a browser.
async fn opened() -> (Server, Browser) {
    let server = server().await;
    let pool = server.pool();
    let guidelines = Some("# 准则\n\n先有帮助，再求简洁。");
    let project = seed::project(pool, Seed { guidelines, ..Seed::default() }).await;
    sqlx::query("UPDATE projects SET name = '蜜蜂', description = '关于蜜蜂的问题。'")
        .execute(pool)
        .await
        .expect("named");
    seed::ranking_task(&server.state, project, "蜜蜂怎样酿蜜？", &["甲答", "乙答", "丙答", "丁答"]).await;
    seed::demonstration_task(&server.state, project, "给孩子讲讲蜜蜂。").await;
    for sql in ["UPDATE prompts SET language = 'zh'", "UPDATE tasks SET language = 'zh'"] {
        sqlx::query(sql).execute(pool).await.expect(sql);
    }
    let mei = NewUser {
        email: "mei@example.org".to_owned(),
        name: "美".to_owned(),
        role: Role::Annotator,
        language: "zh".to_owned(),
        simulated: false,
    };
    users::create(pool, &mei, PASSWORD).await.expect("an account");
    seed::everyone_has_read(pool).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "mei@example.org", PASSWORD).await;
    (server, browser)
}

/// Where the answer of a rank stands in a ranking without ties.
fn position_of(ranking: &Value, rank: usize) -> usize {
    let ranks = ranking["ranks"].as_array().expect("ranks");
    ranks.iter().position(|one| *one == json!(rank)).expect("a rank")
}

/// Ranks the four answers by letters that come through an input method; gives the task.
async fn ranks(server: &Server, browser: &Browser) -> Uuid {
    browser.wait().for_element(Locator::Css(".chip")).await.expect("drawn");
    all_is_chinese(browser).await;
    let ranking = assignment_in(browser.current_url().await.expect("an address").path());
    let text = browser.answers_by_letter().await;
    for letter in "DBCA".chars() {
        press_through_input_method(browser, letter).await;
    }
    let said = browser.find(Locator::Css("[data-said]")).await.expect("a word").text().await.expect("read");
    assert!(said.contains("所有回答均已排序"), "{said}");
    browser.press(ENTER).await;
    // While it is only seen ahead, the ranking is on its way.
    let next = "#content:not([data-under-way]) form#task[data-kind=demonstration]";
    browser.wait().for_element(Locator::Css(next)).await.expect("the next task");
    let ranked = &exported(server, Kind::Rankings).await[0];
    let by_rank = |place: usize| &ranked["responses"][position_of(ranked, place)]["content"];
    let wanted: Vec<&str> = "DBCA".chars().map(|letter| text[&letter].as_str()).collect();
    assert_eq!([1, 2, 3, 4].map(by_rank).to_vec(), wanted);
    ranking
}

/// Writes [`ANSWER`], a word of it put together from sounds.
async fn writes(server: &Server, browser: &Browser) {
    let field = browser.find(Locator::Id("completion")).await.expect("the field");
    field.click().await.expect("there");
    browser.devtools("Input.insertText", json!({ "text": "蜜蜂采集" })).await;
    let composed = json!({ "text": "hua mi", "selectionStart": 6, "selectionEnd": 6 });
    browser.devtools("Input.imeSetComposition", composed).await;
    assert_eq!(written(browser).await, "蜜蜂采集hua mi");
    // Neither Enter nor Ctrl+Enter takes what is still being put together for a whole answer.
    for modifiers in [0, 2] {
        let enter = json!({
            "type": "rawKeyDown", "key": "Enter", "code": "Enter", "modifiers": modifiers, "windowsVirtualKeyCode": 229,
        });
        browser.devtools("Input.dispatchKeyEvent", enter).await;
    }
    browser.devtools("Input.insertText", json!({ "text": "花蜜，酿成蜂蜜。" })).await;
    assert_eq!(written(browser).await, ANSWER);
    // Words of one or two signs, as a dictionary cuts them: neither one long word nor one a sign.
    let said = length(browser).await;
    let words: Option<u32> = said.strip_suffix(" 词 · 12 个字符").and_then(|words| words.parse().ok());
    assert!(words.is_some_and(|words| (4..=8).contains(&words)), "{said}");
    let other = browser.find(Locator::Css("[data-other-script]")).await.expect("a place");
    assert!(!other.is_displayed().await.expect("read"), "Chinese is taken for another language");
    browser.saved().await;
    assert_eq!(seed::count(server.pool(), "SELECT count(*) FROM demonstrations").await, 0);
}

/// Presses the button of a language in the bar at the top, in the middle of writing: the text stays.
async fn turn_to(browser: &Browser, tag: &str, heading: &str) {
    let button = format!(".preferences button[name=language][value={tag}]");
    browser.find(Locator::Css(&button)).await.expect("a button").click().await.expect("pressed");
    let heading = format!("//h1[. = \"{heading}\"]");
    browser.wait().for_element(Locator::XPath(&heading)).await.expect("in the other language");
    assert_eq!(written(browser).await, ANSWER);
}

#[tokio::test]
async fn who_works_in_chinese_ranks_and_writes_through_an_input_method_and_meets_no_english() {
    let (server, browser) = opened().await;
    browser.goto(&format!("{}/queue", server.address)).await.expect("the queue");
    all_is_chinese(&browser).await;
    take_next(&server, &browser).await;
    let ranking = ranks(&server, &browser).await;
    all_is_chinese(&browser).await;
    writes(&server, &browser).await;
    turn_to(&browser, "en", "Write the assistant's answer").await;
    assert!(length(&browser).await.ends_with(" words · 12 characters"));
    turn_to(&browser, "zh", "撰写助手的回答").await;
    all_is_chinese(&browser).await;
    browser.fill("#completion", "\u{E009}\u{E007}").await;
    left_the_task(&browser).await;
    all_is_chinese(&browser).await;
    let texts = exported(&server, Kind::Demonstrations).await;
    assert_eq!(texts[0]["completion"][0]["content"], ANSWER);

    let own = ["/me", "/account", "/projects/test/guidelines", "/nowhere"].map(str::to_owned);
    let done = ["", "/correct", "/beside"].map(|page| format!("/tasks/{ranking}{page}"));
    for path in own.into_iter().chain(done) {
        browser.goto(&format!("{}{path}", server.address)).await.expect("a page");
        all_is_chinese(&browser).await;
    }
    browser.close().await;
}
