//! The whole circle, twice around: people write and rank over HTTP, a worker trains on it at night, the new policy's answers
//! come up for ranking, a person ranks them in a browser. Real server, real Postgres, real workers; one of them is killed.
//!
//! Needs the trainer's program: `cargo build -p laurel-trainer`.

#[path = "../support/mod.rs"]
mod support;

mod processes;
mod project;

use fantoccini::Locator;
use laurel_records::RankingRecord;
use processes::{Laurel, Worker, tiny_model, until};
use project::{Project, comparisons, demonstrations, models, number, rankings};
use sqlx::PgPool;
use support::{Browser, PASSWORD};

/// Enter as WebDriver names it.
const ENTER: &str = "\u{E007}";

#[tokio::test(flavor = "multi_thread")]
async fn the_circle_turns_twice_and_the_export_says_what_the_person_said() {
    let laurel = Laurel::start();
    let base = laurel.directory("models-to-import").join("tiny");
    tiny_model(&base);
    let project = Project::make(&laurel, &base).await;
    let database = laurel.database().await;
    let pool = &database.pool;

    // People write and rank.
    let first = project.annotate(&laurel).await;
    assert_eq!((first.rankings, first.demonstrations), (24, 40));
    assert_eq!((demonstrations(&laurel), rankings(&laurel).len()), (40, 24));

    // The first night, and its policy's answers.
    project.run_now().await;
    Worker::once(&laurel, &project.token, "worker-1");
    assert_eq!(models(pool).await, ["ppo-1", "reward-1", "sft-1", "tiny"]);
    evaluated(pool, 1).await;
    assert_eq!(
        number(pool, "SELECT count(DISTINCT step) FROM job_samples WHERE stage = 'ppo'").await,
        3,
        "steps with samples"
    );
    project.promote(pool, "ppo-1").await;
    Worker::once(&laurel, &project.token, "worker-1");
    assert_eq!(waiting_answers(pool, "ppo-1").await, 24, "four answers to each of six prompts");
    let scored = "SELECT count(*) FROM prompt_scores WHERE model = 'reward-1' AND uncertainty > 0";
    assert_eq!(number(pool, scored).await, 6, "how unsure the reward model is of each of them");

    // They are ranked; the second night loses one worker in the middle of PPO by a power cut, and the next by SIGTERM.
    assert_eq!(project.annotate(&laurel).await.rankings, 6);
    project.run_now().await;
    worker_in_ppo(&laurel, &project, "worker-doomed").await.kill_hard();
    end_lease(pool).await;
    let status = worker_in_ppo(&laurel, &project, "worker-2").await.end();
    assert!(status.success(), "SIGTERM is no failure: {status}");
    end_lease(pool).await;
    Worker::once(&laurel, &project.token, "worker-2");
    assert_eq!(models(pool).await, ["ppo-1", "ppo-2", "reward-1", "reward-2", "sft-1", "sft-2", "tiny"]);
    taken_up_without_doing_anything_twice(pool).await;
    evaluated(pool, 2).await;

    // Nobody has said anything since: another run would make the same models, says so and makes none.
    project.run_now().await;
    Worker::once(&laurel, &project.token, "worker-2");
    let idle = "SELECT count(*) FROM jobs WHERE round = 3 AND state = 'done' AND summary['nothing_new'] = 'true'";
    assert_eq!((number(pool, idle).await, models(pool).await.len()), (1, 7));

    // The second generation's answers are ranked by a person in a browser.
    project.promote(pool, "ppo-2").await;
    Worker::once(&laurel, &project.token, "worker-2");
    assert_eq!(waiting_answers(pool, "ppo-2").await, 24);
    let browser = Browser::open().await;
    browser.log_in(&laurel.address, "bea@example.org", PASSWORD).await;
    let strict = rank_in_browser(&laurel, pool, &browser, "CADB", &[('C', 1), ('A', 2), ('D', 3), ('B', 4)]).await;
    assert_eq!(strict, 6, "four answers in strict order make six pairs");
    let tied = rank_in_browser(&laurel, pool, &browser, "D=BAC", &[('D', 1), ('B', 1), ('A', 3), ('C', 4)]).await;
    assert_eq!(tied, 5, "a tie makes no pair");
    browser.close().await;
    database.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_survives_a_restart_of_the_server_and_is_submitted_from_the_same_page() {
    let mut laurel = Laurel::start();
    laurel.command(&["user", "add", "bea@example.org", "--role", "annotator", "--password-stdin"], PASSWORD);
    laurel.command(&["project", "add", "poems", "--name", "Poems"], "");
    laurel.command(&["import", "prompts", "--project", "poems", "-"], "{\"prompt\": \"Write a poem.\"}\n");
    let browser = Browser::open().await;
    browser.log_in(&laurel.address, "bea@example.org", PASSWORD).await;
    browser.goto(&format!("{}/queue", laurel.address)).await.expect("the queue");
    browser.press("n").await;
    browser.fill("#completion", "Roses are red").await;
    browser.saved().await;
    laurel.restart();
    // The page was open all the while: what is typed on is saved, and what is sent arrives once.
    browser.fill("#completion", ", violets").await;
    browser.saved().await;
    browser.refresh().await.expect("again");
    let field = browser.wait().for_element(Locator::Id("completion")).await.expect("the task");
    assert_eq!(field.prop("value").await.expect("read").as_deref(), Some("Roses are red, violets"));
    browser.fill("#completion", " are blue\u{E009}\u{E007}").await;
    browser.wait().for_element(Locator::Css(".queue-head")).await.expect("the queue again");
    let exported = laurel.command(&["export", "demonstrations", "--project", "poems"], "");
    assert_eq!(exported.matches("Roses are red, violets are blue").count(), 1, "{exported}");
    browser.close().await;
}

/// The night of a round ended well, with the numbers of its evaluation.
async fn evaluated(pool: &PgPool, round: i32) {
    let (state, error, summary): (String, Option<String>, serde_json::Value) =
        sqlx::query_as("SELECT state, error, summary FROM jobs WHERE kind = 'nightly' AND round = $1")
            .bind(round)
            .fetch_one(pool)
            .await
            .expect("the night");
    assert_eq!((state.as_str(), error), ("done", None));
    for name in ["nll_before", "nll_after", "reward_accuracy", "win_rate", "win_rate_low", "kl", "policy_is_better"] {
        assert!(!summary[name].is_null(), "{name} is not in {summary}");
    }
    let (before, after) = (&summary["nll_before"], &summary["nll_after"]);
    assert!(after.as_f64() < before.as_f64(), "SFT made held-out answers less likely: {before} → {after}");
}

/// Answers of a model in ranking tasks that nobody has done.
async fn waiting_answers(pool: &PgPool, model: &str) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*)
         FROM task_responses place
         JOIN responses r ON r.id = place.response_id
         JOIN tasks t ON t.id = place.task_id
         WHERE r.model = $1 AND t.labels = 0 AND t.withdrawn_at IS NULL",
    )
    .bind(model)
    .fetch_one(pool)
    .await
    .expect("a number")
}

/// A worker that stands in the middle of PPO: it has written a checkpoint and goes on.
async fn worker_in_ppo(laurel: &Laurel, project: &Project, name: &str) -> Worker {
    let worker = Worker::start(laurel, &project.token, name, &[]);
    let jobs = laurel.directory(name).join("jobs");
    until("a checkpoint of PPO", async || {
        let job = std::fs::read_dir(&jobs).ok()?.next()?.ok()?.path();
        let mut folders = std::fs::read_dir(job).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        let checkpoints = folders.find(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            name.starts_with("ppo-") && name.ends_with(".checkpoints")
        })?;
        std::fs::read_dir(checkpoints).ok()?.next().map(drop)
    })
    .await;
    worker
}

/// The lease of the second night ends, and the server takes the job from its worker, as time would have it.
async fn end_lease(pool: &PgPool) {
    let ended = sqlx::query(
        "UPDATE jobs SET state = 'queued', lease = NULL, lease_until = NULL
        WHERE kind = 'nightly' AND round = 2 AND state = 'running'",
    )
    .execute(pool)
    .await
    .expect("the lease ends");
    assert_eq!(ended.rows_affected(), 1, "the night was over before its worker could be lost");
}

async fn taken_up_without_doing_anything_twice(pool: &PgPool) {
    let (attempts, state): (i32, String) =
        sqlx::query_as("SELECT attempts, state FROM jobs WHERE kind = 'nightly' AND round = 2")
            .fetch_one(pool)
            .await
            .expect("the night");
    assert_eq!((attempts, state.as_str()), (3, "done"));
    assert_eq!(number(pool, "SELECT count(*) FROM models WHERE round = 2").await, 3, "one model a stage");
    let earlier = ["sft-2 is there from an earlier attempt", "reward-2 is there from an earlier attempt"];
    said(pool, 2, &[earlier[0], earlier[1], "The worker was stopped"]).await;
    said(pool, 3, &[earlier[0], earlier[1], "going on from the checkpoint at step"]).await;
}

/// The log of an attempt at the second night has these.
async fn said(pool: &PgPool, attempt: i32, wanted: &[&str]) {
    let log: Vec<String> = sqlx::query_scalar(
        "SELECT l.text FROM job_logs l JOIN jobs j ON j.id = l.job_id
         WHERE j.kind = 'nightly' AND j.round = 2 AND l.attempt = $1 ORDER BY l.sequence",
    )
    .bind(attempt)
    .fetch_all(pool)
    .await
    .expect("the log");
    for text in wanted {
        assert!(log.iter().any(|line| line.contains(text)), "“{text}” is not in {log:#?}");
    }
}

/// Bea takes the next task and presses `keys`; the export has one new ranking with `ranks`, and of it exactly the pairs that
/// they say. Returns how many pairs.
async fn rank_in_browser(
    laurel: &Laurel,
    pool: &PgPool,
    browser: &Browser,
    keys: &str,
    ranks: &[(char, u32)],
) -> usize {
    let before: Vec<String> = rankings(laurel).into_iter().map(|ranking| ranking.id).collect();
    browser.goto(&format!("{}/queue", laurel.address)).await.expect("the queue");
    browser.press("n").await;
    browser.wait().for_element(Locator::Css(".chip")).await.expect("the order is drawn");
    let text = browser.answers_by_letter().await;
    browser.press(&format!("{keys}{ENTER}")).await;
    // The page goes on to the next task.
    let stored = async || (number(pool, "SELECT count(*) FROM rankings").await > before.len() as i64).then_some(());
    until("the ranking", stored).await;

    let new: Vec<RankingRecord> =
        rankings(laurel).into_iter().filter(|ranking| !before.contains(&ranking.id)).collect();
    let [ranking] = new.as_slice() else { panic!("one new ranking, not {}", new.len()) };
    assert!(ranking.responses.iter().all(|response| response.model.as_deref() == Some("ppo-2")), "{ranking:?}");
    // In a page every line ends alike, whatever the model wrote.
    let shown = |content: &str| content.replace("\r\n", "\n").replace('\r', "\n");
    let mut found: Vec<(String, u32)> =
        ranking.responses.iter().map(|response| shown(&response.content)).zip(ranking.ranks.iter().copied()).collect();
    let mut given: Vec<(String, u32)> = ranks.iter().map(|(letter, rank)| (text[letter].clone(), *rank)).collect();
    found.sort();
    given.sort();
    assert_eq!(found, given);

    let mut pairs: Vec<(String, String, f64)> = comparisons(laurel)
        .into_iter()
        .filter(|pair| pair.ranking_id.as_deref() == Some(ranking.id.as_str()))
        .map(|pair| (shown(&pair.chosen[0].content), shown(&pair.rejected[0].content), pair.margin.unwrap_or_default()))
        .collect();
    let mut expected: Vec<(String, String, f64)> = given
        .iter()
        .flat_map(|better| given.iter().map(move |worse| (better, worse)))
        .filter(|(better, worse)| better.1 < worse.1)
        .map(|(better, worse)| (better.0.clone(), worse.0.clone(), f64::from(worse.1 - better.1)))
        .collect();
    pairs.sort_by(|left, right| left.partial_cmp(right).expect("numbers"));
    expected.sort_by(|left, right| left.partial_cmp(right).expect("numbers"));
    assert_eq!(pairs, expected);
    pairs.len()
}
