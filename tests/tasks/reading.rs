//! Reading: two answers side by side, code and formulas on the page, and how fast long answers are there.

use std::time::{Duration, Instant};

use fantoccini::Locator;
use laurel::domain::role::Role;
use serde_json::json;

use super::{pictures::Gallery, take_next};
use crate::support::{
    Browser, PASSWORD, Server,
    seed::{self, Seed, assignment_in},
    server,
};

/// Time within which the page of nine answers of 50,000 characters comes, also where nothing is optimised.
const NINE_LONG_ANSWERS: Duration = Duration::from_millis(1_500);
/// How often it is asked for at most: a machine that does other things at that moment only makes it later.
const TRIES: usize = 5;

/// An answer of which the page has only the beginning is whole once it is unfolded, and the others are as they were.
async fn unfolds(server: &Server, path: &str) {
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    browser.goto(&format!("{}{path}", server.address)).await.expect("the task");
    let begun = "return document.querySelectorAll('[data-full]').length";
    assert_eq!(browser.execute(begun, Vec::new()).await.expect("read").as_u64(), Some(9));
    // While the server is away, what is unfolded says that it is only the beginning.
    let away = "window.real = window.fetch; window.fetch = () => Promise.reject(new TypeError('away'))";
    browser.execute(away, Vec::new()).await.expect("away");
    browser.find(Locator::Css("article [data-fold]")).await.expect("a button").click().await.expect("pressed");
    browser.wait().for_element(Locator::Css("article [data-cut]")).await.expect("told");
    browser.execute("window.fetch = window.real", Vec::new()).await.expect("back");
    for _ in ["folded", "unfolded"] {
        browser.find(Locator::Css("article [data-fold]")).await.expect("a button").click().await.expect("pressed");
    }
    let whole = "//article[1]//div[contains(., 'The very last word.') and not(@data-full)]";
    browser.wait().for_element(Locator::XPath(whole)).await.expect("the whole answer");
    assert_eq!(browser.execute(begun, Vec::new()).await.expect("read").as_u64(), Some(8));
    assert_eq!(
        browser.execute("return document.querySelector('article [data-cut]')", Vec::new()).await.expect("read"),
        json!(null)
    );
    browser.close().await;
}

#[tokio::test]
async fn two_answers_stand_side_by_side_with_their_differences() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { demonstration_overlap: 0, ..Seed::default() }).await;
    let answers = ["Bees make <b>sweet</b> honey.", "Bees make <b>good</b> honey.", "蜜蜂采集花蜜。"];
    seed::ranking_task(&server.state, project, "Which?", &answers).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let assignment = assignment_in(ada.post("/queue/next", &[]).await.leads_to());
    let letters = ["A", "B", "C"];
    let mut marked = 0;
    for left in letters {
        for right in letters {
            let page = ada.get(&format!("/tasks/{assignment}/beside?left={left}&right={right}")).await.assert(200);
            assert!(!page.text.contains("<b>sweet"), "markup of an answer is in the page");
            let only = page.text.contains("<del>sweet</del>") && page.text.contains("<ins>good</ins>");
            marked += usize::from(only);
            assert_eq!(page.text.contains("the same text"), left == right);
        }
    }
    assert_eq!(marked, 1, "one pair, in one order");
    ada.get(&format!("/tasks/{assignment}/beside?left=Z")).await.assert(404);
    let bob = server.user("Bob", Role::Admin).await;
    bob.get(&format!("/tasks/{assignment}/beside")).await.assert(404);

    // On one key, over the task.
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &browser).await;
    browser.wait().for_element(Locator::Css(".chip")).await.expect("drawn");
    browser.press("cav").await;
    let shown = browser.wait().for_element(Locator::Css("#beside:popover-open .beside-text")).await.expect("shown");
    assert!(!shown.text().await.expect("read").is_empty());
    let sides = "return [...document.querySelectorAll('#beside select')].map((side) => side.value).join('')";
    assert_eq!(browser.execute(sides, Vec::new()).await.expect("read").as_str(), Some("CA"));
    browser.close().await;
}

#[tokio::test]
async fn long_answers_code_formulas_and_other_scripts_are_drawn() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { demonstration_overlap: 0, ..Seed::default() }).await;
    let paragraph = "Some **bold** text with `code`, $a^2 + b^2$ and a [link](https://example.org). 你好 🌿\n\n";
    let long = paragraph.repeat(50_000 / paragraph.chars().count() + 1) + "The very last word.";
    let answers: Vec<&str> = (0..9).map(|_| long.as_str()).collect();
    seed::ranking_task(&server.state, project, "Nine long answers", &answers).await;
    let ada = server.user("Ada", Role::Annotator).await;
    let path = ada.post("/queue/next", &[]).await.leads_to().to_owned();
    let mut taken: Vec<Duration> = Vec::new();
    while taken.len() < TRIES && !taken.iter().any(|time| *time < NINE_LONG_ANSWERS) {
        let begun = Instant::now();
        let page = ada.get(&path).await.assert(200);
        taken.push(begun.elapsed());
        println!("nine answers of 50,000 characters: {taken:?}, {} bytes", page.text.len());
    }
    assert!(taken.iter().any(|time| *time < NINE_LONG_ANSWERS), "{taken:?}");
    let begun = Instant::now();
    ada.get(&format!("{path}/answers/0")).await.assert(200).assert_contains("The very last word.");
    println!("one of them in full: {:?}", begun.elapsed());
    let begun = Instant::now();
    ada.get(&format!("{path}/beside")).await.assert(200);
    println!("two of them side by side: {:?}", begun.elapsed());
    unfolds(&server, &path).await;
    let ranks: Vec<(String, String)> = (0..9).map(|position| (format!("rank_{position}"), "1".to_owned())).collect();
    let form: Vec<(&str, &str)> = ranks.iter().map(|(name, rank)| (name.as_str(), rank.as_str())).collect();
    ada.post(&format!("{path}/submit"), &form).await.assert(303);

    let answers = [
        "The formula is \\[ x = \\frac{-b \\pm \\sqrt{b^2-4ac}}{2a} \\] and inline \\(e^{i\\pi} = -1\\).\n\n```python\ndef root(a, b, c):  # the larger one\n    return (-b + sqrt(b**2 - 4*a*c)) / (2*a)\n```",
        "النحل يصنع العسل من رحيق الأزهار. ويقول: honey is عسل.\n\n| خطوة | من |\n|---|---|\n| جمع | النحل |",
        "蜜蜂从花朵中采集花蜜，带回蜂巢。🐝🍯\n\n```sql\nSELECT name, 12 FROM bees WHERE hive = 'north'; -- 全部\n```",
    ];
    seed::ranking_task(&server.state, project, "Show *everything* that there is: $\\int_0^1 x\\,dx$", &answers).await;
    let path = ada.post("/queue/next", &[]).await.leads_to().to_owned();
    let gallery = Gallery::open(&server, "ada@example.org").await;
    gallery
        .picture(&path, "reading", async |browser| {
            browser.wait().for_element(Locator::Css(".chip")).await.expect("drawn");
            let math =
                browser.execute("return document.querySelector('math').getBoundingClientRect().width", vec![]).await;
            assert!(math.expect("read").as_f64() > Some(0.0), "no formula is drawn");
        })
        .await;
    gallery.picture(&format!("{path}/beside"), "beside", async |_| {}).await;
    gallery.close().await;
}

/// Runs in the page: of each table of the first answer whether it scrolls, and the lines of its first cell; whether the page
/// scrolls, and how `~~` is drawn.
const DRAWN: &str = "const answer = document.querySelector('article.answer');
    const tables = [...answer.querySelectorAll('table')].map((table) => {
        const text = table.querySelector('td').firstChild;
        const lines = new Set([...text.textContent].map((_, at) => {
            const letter = document.createRange();
            letter.setStart(text, at);
            letter.setEnd(text, at + 1);
            return letter.getBoundingClientRect().top;
        }));
        return [table.scrollWidth > table.clientWidth, lines.size];
    });
    const page = document.documentElement;
    return [tables, page.scrollWidth > page.clientWidth, getComputedStyle(answer.querySelector('del')).textDecorationLine];";

#[tokio::test]
async fn a_wide_table_scrolls_with_its_words_whole_and_what_is_struck_out_looks_so() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { demonstration_overlap: 0, ..Seed::default() }).await;
    let row = |cell: &str| format!("|{}|\n", [cell; 12].join("|"));
    // Chinese may break between any two signs.
    let tables = ["Nectar", "采集花蜜"].map(|cell| [row("Head"), row("-"), row(cell)].concat());
    let answer = format!("{}\nBees ~~never~~ sleep.", tables.join("\n"));
    seed::ranking_task(&server.state, project, "How do bees live?", &[answer.as_str(); 2]).await;
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &browser).await;
    let drawn = browser.execute(DRAWN, Vec::new()).await.expect("drawn");
    assert_eq!(drawn, json!([[[true, 1], [true, 1]], false, "line-through"]));
    browser.close().await;
}

#[tokio::test]
async fn an_answer_in_another_language_is_noticed_while_it_is_written() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed::default()).await;
    seed::demonstration_task(&server.state, project, "Say how bees make honey.").await;
    let ada = server.user("Ada", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    take_next(&server, &browser).await;
    let said = async || {
        let script = "const place = document.querySelector('[data-other-script]');
                      return place.hidden ? '' : place.textContent";
        browser.execute(script, Vec::new()).await.expect("read").as_str().unwrap_or_default().to_owned()
    };
    browser.fill("#completion", "Bees collect nectar and dry it in the comb.").await;
    assert_eq!(said().await, "");
    browser.find(Locator::Id("completion")).await.expect("a field").clear().await.expect("empty");
    browser.fill("#completion", "蜜蜂从花朵中采集花蜜，带回蜂巢。").await;
    assert_eq!(said().await, "This looks like Chinese; the task is in English.");
    browser.find(Locator::Id("completion")).await.expect("a field").clear().await.expect("empty");
    browser
        .fill("#completion", "Les abeilles sont dans les fleurs et font le miel pour la ruche avec les autres.")
        .await;
    assert_eq!(said().await, "This looks like French; the task is in English.");
    // Tags as imported files have them; a script that is not known says nothing, and one that is known fits.
    let guess = "const told = arguments[2];
                 import(document.getElementById('task').dataset.script.replace(/demonstration.js.*/, 'script.js'))
                     .then(({ known, otherLanguage }) => told(otherLanguage(arguments[0], known(arguments[1]))));";
    for (text, tag, expected) in [
        ("Пчеле сакупљају нектар и праве мед.", "sr", json!(null)),
        ("मौरीले फूलबाट रस जम्मा गर्छन् र मह बनाउँछन्।", "ne", json!(null)),
        ("Bees make honey from the nectar of flowers.", "ka", json!(null)),
        ("Bees make honey from the nectar of flowers.", "zh_CN", json!("en")),
    ] {
        let guessed = browser.execute_async(guess, vec![json!(text), json!(tag)]).await.expect("guessed");
        assert_eq!(guessed, expected, "{tag}");
    }
    // It is a word, not a wall; and a prompt that can't be answered is given back with a reason that leads see.
    let url = browser.current_url().await.expect("an address");
    browser.close().await;
    let task = url.path().to_owned();
    ada.post(&format!("{task}/skip"), &[("reason", "unanswerable")]).await.assert(422);
    let words = [("reason", "unanswerable"), ("detail", "It asks for a picture."), ("then", "queue")];
    ada.post(&format!("{task}/skip"), &words).await.assert(303);
    let prompt: uuid::Uuid = sqlx::query_scalar("SELECT id FROM prompts").fetch_one(server.pool()).await.expect("it");
    let cy = server.user("Cy", Role::Admin).await;
    let page = cy.get(&format!("/admin/projects/test/prompts/{prompt}")).await.assert(200);
    page.assert_contains("can&#39;t be answered").assert_contains("It asks for a picture.");
}
