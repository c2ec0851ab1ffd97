//! What is ranked by keyboard is what is stored and exported: every order of three, and 24 orders of five with ties.

use std::collections::BTreeMap;

use fantoccini::Locator;
use laurel::{domain::role::Role, export::Kind};
use serde_json::{Value, json};

use super::{ENTER, exported};
use crate::support::{
    Browser, PASSWORD,
    seed::{self, Seed, count},
    server,
};

/// Runs in the page: the assignment, the prompt and the answers by letter, once another task than the given one is drawn.
const NEXT: &str = "const form = document.getElementById('task');
    const seenAhead = document.querySelector('#content[data-under-way]');
    if (!form?.querySelector('.pool .chip') || seenAhead || form.dataset.assignment === arguments[0]) return null;
    const text = (part) => part.querySelector('[data-source]').textContent.trim();
    return [form.dataset.assignment, text(document.querySelector('[data-role]')),
        [...document.querySelectorAll('article.answer')].map((card) => [card.dataset.letter, text(card)])];";

/// Every order of three letters.
fn orders_of_three() -> Vec<String> {
    ["ABC", "ACB", "BAC", "BCA", "CAB", "CBA"].map(str::to_owned).into()
}

/// 24 orders of five with ties: every order of A to D, with E put in at a place of its own or tied, and more ties by turns.
fn orders_of_five() -> Vec<String> {
    let mut orders = Vec::new();
    for first in "ABCD".chars() {
        for second in "ABCD".chars().filter(|letter| *letter != first) {
            for third in "ABCD".chars().filter(|letter| *letter != first && *letter != second) {
                let fourth = "ABCD".chars().find(|letter| ![first, second, third].contains(letter)).expect("one left");
                let mut letters = vec![first, second, third, fourth];
                letters.insert(orders.len() % 5, 'E');
                // Each of the four gaps is a tie or not, never none of them: 15 patterns, by turns.
                let ties = orders.len() % 15 + 1;
                let gap = |place: usize| if place > 0 && ties >> (place - 1) & 1 == 1 { "=" } else { "" };
                let order = letters.iter().enumerate().map(|(place, letter)| format!("{}{letter}", gap(place)));
                orders.push(order.collect());
            }
        }
    }
    orders
}

/// The rank of each letter, by competition ranking (1, 2, 2, 4).
fn ranks(order: &str) -> BTreeMap<char, i64> {
    let (mut ranks, mut rank, mut placed, mut tied) = (BTreeMap::new(), 0, 0, false);
    for sign in order.chars() {
        if sign == '=' {
            tied = true;
            continue;
        }
        placed += 1;
        if !tied {
            rank = placed;
        }
        tied = false;
        ranks.insert(sign, rank);
    }
    ranks
}

#[test]
fn the_orders_are_all_different() {
    let mut orders = orders_of_five();
    assert_eq!(orders.len(), 24);
    assert!(orders.iter().all(|order| order.contains('=')));
    orders.sort();
    orders.dedup();
    assert_eq!(orders.len(), 24);
    assert_eq!(ranks("A=BC=D=E").into_values().collect::<Vec<_>>(), [1, 1, 3, 3, 3]);
}

#[tokio::test]
async fn what_is_ranked_by_keyboard_is_what_is_stored_and_exported() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { demonstration_overlap: 0, ..Seed::default() }).await;
    for number in 0..6 {
        seed::ranking_task(&server.state, project, &format!("Three {number}"), &["one", "two", "three"]).await;
    }
    for number in 0..24 {
        let answers = ["one", "two", "three", "four", "five"];
        seed::ranking_task(&server.state, project, &format!("Five {number}"), &answers).await;
    }
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    super::take_next(&server, &browser).await;
    let (mut three, mut five) = (orders_of_three(), orders_of_five());
    let mut wanted: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    let mut before = String::new();
    for number in 1..=30 {
        let next = browser.until(NEXT, vec![json!(before)]).await;
        let (assignment, prompt, texts): (String, String, Vec<(String, String)>) =
            serde_json::from_value(next).expect("a task");
        before = assignment;
        let order = if texts.len() == 3 { three.pop() } else { five.pop() }.expect("an order is left");
        let by_letter = ranks(&order);
        let by_text =
            texts.into_iter().map(|(letter, text)| (text, by_letter[&letter.chars().next().expect("a letter")]));
        wanted.insert(prompt, by_text.collect());
        let presses = if number % 3 == 0 {
            // The answer to a submit is lost and it is sent again: a double press.
            format!("{order}{ENTER}{ENTER}")
        } else {
            format!("{order}{ENTER}")
        };
        browser.press(&presses).await;
    }
    browser.wait().for_element(Locator::Css(".queue-head")).await.expect("all done");
    browser.close().await;
    assert!(three.is_empty() && five.is_empty());
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 30);
    let stored: Vec<(String, String, i32)> = sqlx::query_as(
        "SELECT p.conversation -> 0 ->> 'content', a.content, place.rank
         FROM ranking_responses place
         JOIN rankings r ON r.id = place.ranking_id
         JOIN prompts p ON p.id = r.prompt_id
         JOIN responses a ON a.id = place.response_id",
    )
    .fetch_all(server.pool())
    .await
    .expect("ranks");
    let mut found: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for (prompt, text, rank) in stored {
        found.entry(prompt).or_default().insert(text, rank.into());
    }
    assert_eq!(found, wanted, "stored");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let exported: BTreeMap<String, BTreeMap<String, i64>> = exported(&server, Kind::Rankings)
        .await
        .iter()
        .map(|record| {
            let answers =
                record["responses"].as_array().expect("answers").iter().map(|answer| text(&answer["content"]));
            let ranks = record["ranks"].as_array().expect("ranks").iter().map(|rank| rank.as_i64().expect("a rank"));
            (text(&record["prompt"][0]["content"]), answers.zip(ranks).collect())
        })
        .collect();
    assert_eq!(exported, wanted, "exported");
}

#[tokio::test]
async fn a_double_click_submits_once() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { demonstration_overlap: 0, ..Seed::default() }).await;
    for number in 0..2 {
        seed::ranking_task(&server.state, project, &format!("Two {number}"), &["one", "two"]).await;
    }
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    super::take_next(&server, &browser).await;
    let first = browser.until(NEXT, vec![json!("")]).await[0].clone();
    browser.press("ba").await;
    let twice = "const button = document.querySelector('[data-submit]'); button.click(); button.click()";
    browser.execute(twice, Vec::new()).await.expect("pressed twice");
    browser.until(NEXT, vec![first]).await;
    assert_eq!(count(server.pool(), "SELECT count(*) FROM rankings").await, 1);
    assert_eq!(count(server.pool(), "SELECT count(*) FROM assignments WHERE state = 'submitted'").await, 1);
    browser.close().await;
}

/// Runs in the page: the letter of the picked answer, if it is in the part of the order that one sees, and how far the page is scrolled.
const PICKED_IN_SIGHT: &str = "const chip = document.querySelector('.tiers .chip[aria-pressed=true]');
    const { top, bottom } = chip.getBoundingClientRect();
    const board = document.querySelector('.board').getBoundingClientRect();
    const seen = top >= board.top && bottom <= Math.min(board.bottom, innerHeight);
    return [seen && chip.querySelector('strong').textContent, scrollY];";

#[tokio::test]
async fn an_order_that_is_longer_than_the_window_scrolls_to_the_answer_that_is_picked() {
    let server = server().await;
    let project = seed::project(server.pool(), Seed { demonstration_overlap: 0, ..Seed::default() }).await;
    seed::ranking_task(&server.state, project, "Nine", &["the same words"; 9]).await;
    server.account("Ada", Role::Annotator).await;
    let browser = Browser::open_sized(1280, 640).await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    super::take_next(&server, &browser).await;
    browser.until(NEXT, vec![json!("")]).await;
    browser.press("abcdefghi").await;
    assert_eq!(browser.execute(PICKED_IN_SIGHT, Vec::new()).await.expect("read"), json!(["I", 0]));
    browser.press("a").await;
    assert_eq!(browser.execute(PICKED_IN_SIGHT, Vec::new()).await.expect("read"), json!(["A", 0]));
    browser.close().await;
}
