//! The page of a run while it goes on: its events, what a browser draws from them, and what it says while the server is away.

mod support;

use fantoccini::Locator;
use futures_util::StreamExt;
use laurel::{
    db::{job_metrics, job_queue, jobs, projects::ProjectSettings, tokens::TokenRole},
    domain::role::Role,
};
use laurel_records::{JobReport, MetricRecord, Stage};
use serde_json::{Value, json};
use support::{
    Browser, PASSWORD, Server,
    line::Line,
    seed::{self, Seed},
    training::{admin, claim, fall_silent, finished, look, ready_project, report, samples},
};

/// One server-sent event: its name and data.
async fn next_event(
    body: &mut (impl futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin),
    left: &mut String,
) -> (String, Value) {
    loop {
        if let Some((event, rest)) = left.clone().split_once("\n\n") {
            *left = rest.to_owned();
            let field =
                |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(|text| text.trim().to_owned());
            if let (Some(name), Some(data)) = (field("event:"), field("data:")) {
                return (name, serde_json::from_str(&data).expect("JSON"));
            }
            continue;
        }
        let chunk = body.next().await.expect("the stream goes on").expect("bytes");
        left.push_str(std::str::from_utf8(&chunk).expect("text"));
    }
}

#[tokio::test]
async fn the_page_of_a_run_hears_of_a_metric_while_the_run_goes_on() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    let ada = server.user("Ada", Role::Admin).await;
    let answer =
        ada.request(reqwest::Method::GET, &format!("/admin/jobs/{}/events", job.id)).send().await.expect("a stream");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut body = Box::pin(answer.bytes_stream());
    let mut left = String::new();
    let (name, data) = next_event(&mut body, &mut left).await;
    assert_eq!((name.as_str(), data["state"].as_str()), ("state", Some("running")));

    job_metrics::report(pool, job.id, &report(job.lease)).await.expect("stored");
    let mut seen = Vec::new();
    while !(seen.contains(&"metrics".to_owned()) && seen.contains(&"log".to_owned())) {
        let (name, data) = next_event(&mut body, &mut left).await;
        match name.as_str() {
            "metrics" => assert_eq!(data, json!([{ "stage": "sft", "step": 7, "name": "train/loss", "value": 1.5 }])),
            "log" => assert_eq!(data[0]["text"], "a line with a null"),
            _ => {}
        }
        seen.push(name);
    }
    jobs::finish(pool, job.id, &finished(&job, None)).await.expect("finished");
    loop {
        let (name, data) = next_event(&mut body, &mut left).await;
        if name == "end" {
            assert_eq!(data["state"], "done");
            break;
        }
    }
}

#[tokio::test]
async fn a_browser_draws_the_curve_and_the_log_of_a_run_as_they_come() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    // It is the second try.
    fall_silent(pool, claim(pool).await.id).await;
    look(pool).await;
    let job = claim(pool).await;
    server.account("Ada", Role::Admin).await;
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    browser.goto(&format!("{}/admin/jobs/{}", server.address, job.id)).await.expect("the page");
    browser.find(Locator::Css("[data-run-plots] .empty")).await.expect("no curve yet");

    job_metrics::report(pool, job.id, &report(job.lease)).await.expect("stored");
    let drawn = Locator::Css("section[data-stage=sft] .plot:has(.plot-dot)");
    let plot = browser.wait().for_element(drawn).await.expect("a plot");
    assert!(plot.text().await.expect("text").contains("1.5 (step 7)"));
    browser.wait().for_element(Locator::Css("[data-run-log] .log-info")).await.expect("a line");
    let table = plot.find(Locator::Css("summary")).await.expect("a table behind it");
    table.click().await.expect("opened");
    let cell = browser.wait().for_element(Locator::Css(".plot tbody td")).await.expect("a cell");
    assert_eq!(cell.text().await.expect("text"), "1.5");
    // Values that are the same but for rounding are a flat line, at which the browser does not count for ever.
    let metric = |name: &str, step, value| MetricRecord { stage: Stage::Sft, step, name: name.to_owned(), value };
    let same = [metric("train/share", 1, 1.0), metric("train/share", 2, 1.0_f64.next_down())];
    let wide = [metric("train/wide", 1, 0.1), metric("train/wide", 2, 0.9)];
    let metrics = [same, wide].concat();
    job_metrics::report(pool, job.id, &JobReport { metrics, ..report(job.lease) }).await.expect("stored");
    let flat = Locator::XPath("//figure[h4 = 'share']//*[name() = 'polyline']");
    browser.wait().for_element(flat).await.expect("a flat line");
    // An axis has two numbers at least: one alone is no scale.
    let second = Locator::XPath("(//figure[h4 = 'wide']//*[name() = 'text'][@text-anchor = 'end'])[2]");
    browser.wait().for_element(second).await.expect("a second number");
    // The curve and the progress are told apart; the progress may be the later one.
    let steps = Locator::XPath("//*[@data-run-steps][normalize-space() = '7 / 20']");
    browser.wait().for_element(steps).await.expect("the progress");
    // Which try it is stays beside its worker.
    let beside = browser.find(Locator::XPath("//dd[*[@data-run-worker]]")).await.expect("its worker");
    assert_eq!(beside.text().await.expect("text"), "worker · attempt 2");
    // The stage that it is in is told to screen readers too: without a value they would take it for none.
    let stage = browser.find(Locator::Css("[data-run-stage=sft]")).await.expect("its stage");
    assert_eq!(stage.attr("aria-current").await.expect("read").as_deref(), Some("step"));

    // The end reloads the page: what the run found is there.
    jobs::finish(pool, job.id, &finished(&job, None)).await.expect("finished");
    let found = browser.wait().for_element(Locator::Css(".figures")).await.expect("what it found");
    assert!(found.text().await.expect("text").contains("0.62"));
    browser.close().await;
}

#[tokio::test]
async fn a_worker_tells_of_samples_and_the_page_shows_those_of_the_newest_step_until_another_is_chosen() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    server.account("Ada", Role::Admin).await;
    let token = server.token(TokenRole::Trainer).await;
    let http = reqwest::Client::new();
    let calls = format!("{}/api/v1/jobs/{}", server.address, job.id);
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    browser.goto(&format!("{}/admin/jobs/{}", server.address, job.id)).await.expect("the page");
    browser.find(Locator::Css("[data-run-samples] .empty")).await.expect("no sample yet");

    // As the trainer says it, twice the same.
    let said = async |step: u64| {
        for _ in 0..2 {
            let told = json!({ "lease": job.lease, "samples": samples(step) });
            let answer = http.post(format!("{calls}/report")).bearer_auth(&token).json(&told).send().await;
            assert_eq!(answer.expect("an answer").status(), 204);
        }
    };
    let shows = async |step: u64| {
        let place = format!("//*[@data-run-samples]//*[contains(text(), '第 {step} 步')]");
        browser.wait().for_element(Locator::XPath(&place)).await.expect("the samples of the step");
    };
    said(0).await;
    shows(0).await;
    let articles = browser.find_all(Locator::Css("[data-run-samples] article")).await.expect("samples");
    assert_eq!(articles.len(), 3);
    let first = articles[0].text().await.expect("text");
    for part in ["蜜蜂怎样酿蜜？", "1.5", "它们采集花蜜。", "0.25"] {
        assert!(first.contains(part), "{part} is not in {first}");
    }
    let direction = "return getComputedStyle(document.querySelectorAll('[data-run-samples] .prose')[3]).direction";
    assert_eq!(browser.execute(direction, vec![]).await.expect("read"), "rtl", "Arabic runs from the right");

    // The next step takes its place by itself.
    said(20).await;
    shows(20).await;
    // Whoever has chosen a step stays there, and is offered the new one.
    let choice = browser.find(Locator::Css("[data-run-sample-step]")).await.expect("a choice");
    choice.select_by_value("ppo.0").await.expect("chosen");
    shows(0).await;
    said(40).await;
    browser.wait().for_element(Locator::Css("[data-run-sample-step] option[value='ppo.40']")).await.expect("offered");
    shows(0).await;
    browser.close().await;

    let asked = async |query: &str| {
        let answer = http.get(format!("{calls}/samples{query}")).bearer_auth(&token).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    assert_eq!(asked("").await, (200, json!(without_nulls(40))));
    assert_eq!(asked("?at=ppo.20").await, (200, json!(without_nulls(20))));
    assert_eq!(asked("?at=later").await.0, 422);
}

#[tokio::test]
async fn two_runs_stand_in_one_plot_with_a_line_and_a_column_each() {
    let server = server_with_two_runs().await;
    server.account("Ada", Role::Admin).await;
    let slug: String = sqlx::query_scalar("SELECT slug FROM projects").fetch_one(server.pool()).await.expect("it");
    let browser = Browser::open().await;
    browser.log_in(&server.address, "ada@example.org", PASSWORD).await;
    browser.goto(&format!("{}/admin/projects/{slug}/compare", server.address)).await.expect("the page");
    browser.wait().for_element(Locator::Css("[data-compare] .plot-line-2")).await.expect("a second line");
    let lines = browser.find_all(Locator::Css("[data-compare] .plot polyline")).await.expect("lines");
    assert_eq!(lines.len(), 2, "one metric, two runs");
    let named = browser.find_all(Locator::Css("[data-compare] figcaption .key")).await.expect("names");
    let mut names = Vec::new();
    for name in named {
        names.push(name.text().await.expect("text"));
    }
    names.sort();
    assert!(names.len() == 2 && names[0].contains("Round 1") && names[1].contains("Round 2"), "{names:?}");
    browser.find(Locator::Css(".plot summary")).await.expect("a table").click().await.expect("opened");
    let row = browser.wait().for_element(Locator::XPath("//figure//tr[th = '20']")).await.expect("a row");
    let cells = row.find_all(Locator::Css("td")).await.expect("cells");
    assert_eq!(cells.len(), 2);
    browser.close().await;
}

/// Ada's browser on a line that can be cut.
async fn on_a_line(server: &Server) -> (Line, Browser) {
    server.account("Ada", Role::Admin).await;
    let line = Line::to(&server.address).await;
    let browser = Browser::open().await;
    browser.log_in(&line.address, "ada@example.org", PASSWORD).await;
    (line, browser)
}

/// Waits until the page says that the server is away.
async fn told_that_it_is_away(browser: &Browser) {
    let notice = browser.wait().for_element(Locator::Css("[data-connection]:not([hidden])")).await.expect("told");
    assert!(notice.text().await.expect("text").contains("The server does not answer"));
}

/// Waits until it says so no more.
async fn told_nothing(browser: &Browser) {
    browser.wait().for_element(Locator::Css("[data-connection][hidden]")).await.expect("no word of it");
}

/// As the browser does when the network is there again: nobody waits for the next try.
const ONLINE: &str = "window.dispatchEvent(new Event('online'))";

#[tokio::test]
async fn a_run_is_followed_from_where_it_was_when_the_server_is_back() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    let (line, browser) = on_a_line(&server).await;
    browser.goto(&format!("{}/admin/jobs/{}", line.address, job.id)).await.expect("the page");
    job_metrics::report(pool, job.id, &report(job.lease)).await.expect("stored");
    browser.wait().for_element(Locator::Css("[data-run-log] .log-info")).await.expect("a line");
    told_nothing(&browser).await;
    line.cut();
    told_that_it_is_away(&browser).await;
    let mut more = report(job.lease);
    more.metrics[0].step = 9;
    job_metrics::report(pool, job.id, &more).await.expect("stored");
    line.mend();
    let newest = Locator::XPath("//*[contains(@class, 'plot-readout')][contains(., '(step 9)')]");
    browser.wait().for_element(newest).await.expect("what came meanwhile");
    told_nothing(&browser).await;

    // Whoever is logged out meanwhile is told that, with the way back.
    sqlx::query("DELETE FROM sessions").execute(pool).await.expect("ended");
    line.cut();
    told_that_it_is_away(&browser).await;
    line.mend();
    let link = browser.wait().for_element(Locator::Css("[data-connection] a")).await.expect("a link");
    assert_eq!(link.text().await.expect("text"), "Log in and go on");
    browser.close().await;
}

#[tokio::test]
async fn two_runs_are_drawn_once_their_numbers_can_be_fetched() {
    let server = server_with_two_runs().await;
    let slug: String = sqlx::query_scalar("SELECT slug FROM projects").fetch_one(server.pool()).await.expect("it");
    let (line, browser) = on_a_line(&server).await;
    line.cut_requests("/metrics.json");
    browser.goto(&format!("{}/admin/projects/{slug}/compare", line.address)).await.expect("the page");
    told_that_it_is_away(&browser).await;
    line.mend();
    browser.execute(ONLINE, Vec::new()).await.expect("told");
    browser.wait().for_element(Locator::Css("[data-compare] .plot-line-2")).await.expect("both lines");
    told_nothing(&browser).await;
    browser.close().await;
}

#[tokio::test]
async fn figures_that_are_under_way_are_waited_for_though_the_server_was_away() {
    let server = support::server().await;
    seed::project(server.pool(), Seed::default()).await;
    let (line, browser) = on_a_line(&server).await;
    let mut held = server.pool().begin().await.expect("a transaction");
    sqlx::query("LOCK TABLE ranking_responses IN ACCESS EXCLUSIVE MODE").execute(&mut *held).await.expect("held");
    browser.goto(&format!("{}/admin/projects/test/leaderboard", line.address)).await.expect("the page");
    browser.find(Locator::Css("[data-under-way]")).await.expect("under way");
    line.cut();
    told_that_it_is_away(&browser).await;
    held.rollback().await.expect("let go");
    line.mend();
    browser.execute(ONLINE, Vec::new()).await.expect("told");
    let board = Locator::XPath("//main[contains(., 'Nothing to compare yet')]");
    browser.wait().for_element(board).await.expect("the figures");
    browser.close().await;
}

/// A project with two runs that have ended, with three values of one metric each.
async fn server_with_two_runs() -> Server {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    for run in [1.0, 2.0] {
        job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
        let job = claim(pool).await;
        let metric = |step: u64| MetricRecord {
            stage: Stage::Ppo,
            step,
            name: "objective/kl".to_owned(),
            value: run * step as f64,
        };
        let told = JobReport { metrics: vec![metric(0), metric(10), metric(20)], ..report(job.lease) };
        job_metrics::report(pool, job.id, &JobReport { log: Vec::new(), ..told }).await.expect("stored");
        jobs::finish(pool, job.id, &finished(&job, None)).await.expect("finished");
    }
    server
}

/// The samples of a step as they are stored.
fn without_nulls(step: u64) -> Vec<laurel_records::SampleRecord> {
    let mut samples = samples(step);
    for sample in &mut samples {
        sample.policy.retain(|sign| sign != '\0');
    }
    samples
}
