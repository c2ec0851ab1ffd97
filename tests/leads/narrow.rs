//! A lead's tables on a phone: words and numbers stay whole, and no name makes a page wider than its window.

use laurel::{
    db::{job_queue, projects::ProjectSettings},
    domain::role::Role,
};
use laurel_records::Stage;
use serde_json::json;
use uuid::Uuid;

use crate::support::{
    Browser, PASSWORD, seed, server,
    training::{admin, claim, made, ready_project},
};

/// Words of Chinese, dates and figures that are broken over lines, of what stands in tables and lists of figures.
const BROKEN: &str = r#"
    const broken = [];
    for (const part of document.querySelectorAll(".table-scroll :is(td, th), .metric-list dd")) {
      const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
      while (texts.nextNode()) {
        const text = texts.currentNode;
        if (text.parentElement.closest("[dir=auto], .visually-hidden, option")) continue;
        for (const word of text.data.matchAll(/\p{Script=Han}+|\d+-\d+-\d+|\d+\.\d+/gu)) {
          const range = document.createRange();
          range.setStart(text, word.index);
          range.setEnd(text, word.index + word[0].length);
          if (range.getClientRects().length > 1) broken.push(word[0]);
        }
      }
    }
    return [broken, Math.max(document.documentElement.scrollWidth - innerWidth, 0)];
"#;

#[tokio::test]
async fn on_a_phone_the_words_of_tables_stay_whole_in_chinese_and_no_name_widens_a_page() {
    let server = server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    let model = made(pool, &job, Stage::Reward).await;
    sqlx::query("UPDATE models SET metrics = $2 WHERE id = $1")
        .bind(model.id)
        .bind(json!({ "eval/accuracy_where_several_judged_before": 0.4533 }))
        .execute(pool)
        .await
        .expect("figures");
    let (task, _) = seed::ranking_task(&server.state, project.id, "Which?", &["One", "Two"]).await;
    let prompt: Uuid = sqlx::query_scalar("SELECT prompt_id FROM tasks WHERE id = $1")
        .bind(task)
        .fetch_one(pool)
        .await
        .expect("its prompt");
    sqlx::query("UPDATE responses SET model = repeat('M', 120) WHERE prompt_id = $1")
        .bind(prompt)
        .execute(pool)
        .await
        .expect("a long name");
    server.account("Ada", Role::Admin).await;
    server.account("Bob", Role::Annotator).await;

    // No window is opened as narrow as a phone; one can be made so.
    let browser = Browser::open_sized(500, 844).await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    browser.dress(&server.address, "zh", "light").await;
    browser.set_window_size(390, 844).await.expect("a phone");
    let of_project = |page: &str| format!("/admin/projects/{}/{page}", project.slug);
    for page in [
        "/admin/people".to_owned(),
        of_project("training"),
        of_project("models"),
        of_project(&format!("prompts/{prompt}")),
        format!("/admin/jobs/{}", job.id),
    ] {
        browser.goto(&format!("{}{page}", server.address)).await.expect("the page");
        let found = browser.execute(BROKEN, Vec::new()).await.expect("read");
        assert_eq!(found, json!([[], 0]), "{page}");
    }
    browser.close().await;
}
