//! What a person does with one task, over real HTTP and in a real browser, and what is stored and exported of it.

#[path = "../support/mod.rs"]
mod support;

mod chinese;
mod corrections;
mod displaced;
mod every_order;
mod head_to_head;
mod kept;
mod label_scheme;
mod own_scheme;
mod people;
mod pictures;
mod reading;
mod reports;
mod reviewed_texts;
mod reviewing;
mod writing;

use futures_util::TryStreamExt;
use laurel::{
    db::projects::{self, Project},
    export::{self, Format, Kind, Selection},
};
use serde_json::Value;
use sqlx::PgPool;
use support::{Browser, Server, seed};
use uuid::Uuid;

/// Enter as WebDriver names it.
const ENTER: &str = "\u{E007}";

/// The project that [`seed::project`] made.
async fn only_project(pool: &PgPool) -> Project {
    projects::by_slug(pool, "test").await.expect("the project")
}

/// What the project exports of a kind.
async fn exported(server: &Server, kind: Kind) -> Vec<Value> {
    selected(server, kind, Selection::default()).await
}

/// What the project exports of a kind with some options.
async fn selected(server: &Server, kind: Kind, selection: Selection) -> Vec<Value> {
    let project = only_project(server.pool()).await;
    let pieces: Vec<bytes::Bytes> = export::stream(server.state.pool.clone(), &project, kind, Format::Jsonl, selection)
        .try_collect()
        .await
        .expect("an export");
    let text = String::from_utf8(pieces.concat()).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A project whose answers are judged head to head.
async fn compared(pool: &PgPool) -> Uuid {
    let project = seed::project(pool, seed::Seed::default()).await;
    sqlx::query("UPDATE projects SET judgement = 'comparison', answers_per_prompt = 2")
        .execute(pool)
        .await
        .expect("set");
    project
}

/// Presses the queue's button and waits for the task.
async fn take_next(server: &Server, browser: &Browser) {
    browser.goto(&format!("{}/queue", server.address)).await.expect("the queue");
    browser.press("n").await;
    browser.wait().for_element(fantoccini::Locator::Css("form#task")).await.expect("a task");
}

async fn left_the_task(browser: &Browser) {
    browser.wait().for_element(fantoccini::Locator::Css(".queue-head")).await.expect("the queue again");
}
