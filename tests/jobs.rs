//! Jobs: claimed once, given back by silent workers, promoted by rule, put once a day; nothing is done twice.

mod support;

use futures_util::StreamExt;
use laurel::{
    db::{
        audit::Actor,
        job_list, job_metrics,
        job_queue::{self, EnqueueError},
        jobs::{self, JobError},
        models::{self, NewBase},
        projects::{self, Project, ProjectSettings, PromotionRule},
        promotions::{self, PromoteError, Promoted},
        sampling, schedules,
    },
    domain::{role::Role, schedule::DailyTime},
    jobs::clock,
};
use laurel_records::{
    ClaimedJob, FinishRequest, JobKind, JobOutcome, JobReport, LogLevel, LogLine, MetricRecord, ModelFile, ModelRecord,
    Progress, PromptRecord, RegisterModel, ResponseRecord, ResponsesRecord, Stage,
};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

fn admin() -> Actor {
    Actor::program("test")
}

async fn project(pool: &PgPool, settings: ProjectSettings) -> Project {
    let slug = format!("p{}", Uuid::now_v7().simple());
    let settings = ProjectSettings { name: "Test".to_owned(), ..settings };
    projects::create(pool, &admin(), &slug, &settings, false).await.expect("a project")
}

/// A project with a base model, `prompts` prompts and a demonstration of each.
async fn ready_project(pool: &PgPool, settings: ProjectSettings, prompts: usize) -> Project {
    let project = project(pool, settings).await;
    for index in 0..prompts {
        let id = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO prompts (id, project_id, conversation, split, content_hash) VALUES ($1, $2, $3, 'train', $4)",
        )
        .bind(id)
        .bind(project.id)
        .bind(json!([{ "role": "user", "content": format!("Question {index}") }]))
        .bind(id.as_bytes().to_vec())
        .execute(pool)
        .await
        .expect("a prompt");
        sqlx::query("INSERT INTO demonstrations (id, prompt_id, completion) VALUES ($1, $2, 'An answer')")
            .bind(Uuid::now_v7())
            .bind(id)
            .execute(pool)
            .await
            .expect("a demonstration");
    }
    base_model(pool, &project).await;
    project
}

async fn base_model(pool: &PgPool, project: &Project) -> ModelRecord {
    let base = NewBase { name: "base".to_owned(), digest: "0".repeat(64), files: vec![file()], lineage: json!({}) };
    let record = models::register_base(pool, &admin(), project.id, &base).await.expect("a base model");
    models::complete_base(pool, record.id).await.expect("complete")
}

fn file() -> ModelFile {
    ModelFile { name: "model.safetensors".to_owned(), bytes: 3, sha256: "a".repeat(64) }
}

fn of_stage(lease: Uuid, stage: Stage, digest: &str) -> RegisterModel {
    RegisterModel {
        lease,
        stage,
        parent: None,
        digest: digest.repeat(64),
        files: vec![file()],
        metrics: [("eval/nll".to_owned(), 1.5)].into(),
        lineage: json!({ "stage": "test" }),
    }
}

/// A registered and complete model of a job.
async fn made(pool: &PgPool, job: &ClaimedJob, stage: Stage) -> ModelRecord {
    let record = models::register(pool, job.id, &of_stage(job.lease, stage, "b")).await.expect("registered");
    models::complete(pool, record.id, job.lease).await.expect("complete")
}

async fn claim(pool: &PgPool) -> ClaimedJob {
    jobs::claim(pool, "worker").await.expect("an answer").expect("a job")
}

/// The worker of a job falls silent for longer than its lease.
async fn fall_silent(pool: &PgPool, job: Uuid) {
    sqlx::query("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE id = $1")
        .bind(job)
        .execute(pool)
        .await
        .expect("an older lease");
}

fn finished(job: &ClaimedJob, better: Option<bool>) -> FinishRequest {
    let mut summary = Map::new();
    summary.insert("win_rate".to_owned(), json!(0.62));
    FinishRequest { lease: job.lease, outcome: JobOutcome::Done, error: None, summary, policy_is_better: better }
}

/// How many jobs one look of the clock puts.
async fn put_at(pool: &PgPool, now: OffsetDateTime) -> usize {
    schedules::put_due_jobs(pool, now).await.expect("a look").len()
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(pool).await.expect("a number")
}

#[tokio::test]
async fn a_run_starts_only_with_a_base_model_and_labels_and_one_at_a_time() {
    let server = support::server().await;
    let pool = server.pool();
    let empty = project(pool, ProjectSettings::default()).await;
    let Err(EnqueueError::NotReady(missing)) = job_queue::enqueue_nightly(pool, &admin(), empty.id).await else {
        panic!("a run with nothing to train from");
    };
    assert!(!missing.has_base && !missing.has_labels());

    let ready = ready_project(pool, ProjectSettings::default(), 4).await;
    let job = job_queue::enqueue_nightly(pool, &admin(), ready.id).await.expect("queued");
    let again = job_queue::enqueue_nightly(pool, &admin(), ready.id).await;
    assert!(matches!(again, Err(EnqueueError::UnderWay(under_way)) if under_way == job));
}

#[tokio::test]
async fn eight_workers_who_ask_at_once_get_one_job_between_them() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let claims = (0..8).map(|index| {
        let pool = pool.clone();
        tokio::spawn(async move { jobs::claim(&pool, &format!("worker {index}")).await.expect("an answer") })
    });
    let mut won = 0;
    for claimed in claims.collect::<Vec<_>>() {
        won += usize::from(claimed.await.expect("no panic").is_some());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_claimed_job_knows_its_models_and_settings() {
    let server = support::server().await;
    let pool = server.pool();
    let mut settings = ProjectSettings { answers_per_prompt: 5, ..ProjectSettings::default() };
    settings.training.insert("sft".to_owned(), json!({ "epochs": 2 }));
    let project = ready_project(pool, settings, 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    assert_eq!(
        (job.kind, job.project.as_str(), job.attempt, job.answers_per_prompt),
        (JobKind::Nightly, project.slug.as_str(), 0, 5)
    );
    assert_eq!(job.config["sft"]["epochs"], 2);
    assert_eq!(job.base.as_ref().map(|base| base.name.as_str()), Some("base"));
    assert_eq!(
        job.policy.map(|policy| policy.name),
        Some("base".to_owned()),
        "before a promotion, the base model answers"
    );
    assert!(jobs::claim(pool, "another").await.expect("an answer").is_none());
}

#[tokio::test]
async fn a_silent_worker_loses_the_job_and_the_next_one_goes_on_after_its_finished_models() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let first = claim(pool).await;
    let sft = made(pool, &first, Stage::Sft).await;
    models::register(pool, first.id, &of_stage(first.lease, Stage::Reward, "c"))
        .await
        .expect("registered, no files yet");
    fall_silent(pool, first.id).await;
    let ticked = clock::tick(pool, OffsetDateTime::now_utc()).await.expect("a tick");
    assert_eq!(ticked.expired.given_back, 1);

    assert!(matches!(jobs::heartbeat(pool, first.id, first.lease).await, Err(JobError::LeaseLost)));
    let report = JobReport { lease: first.lease, progress: None, metrics: vec![], log: vec![] };
    assert!(matches!(job_metrics::report(pool, first.id, &report).await, Err(JobError::LeaseLost)));
    assert!(matches!(jobs::finish(pool, first.id, &finished(&first, None)).await, Err(JobError::LeaseLost)));
    assert!(matches!(models::complete(pool, sft.id, first.lease).await, Err(JobError::LeaseLost)));

    let second = claim(pool).await;
    assert_eq!((second.id, second.attempt), (first.id, 1));
    assert_eq!(second.completed.iter().map(|model| model.id).collect::<Vec<_>>(), [sft.id]);
    let unfinished =
        models::register(pool, second.id, &of_stage(second.lease, Stage::Reward, "d")).await.expect("again");
    assert_eq!(unfinished.digest, "d".repeat(64), "what never became complete takes the new content");
    let again = models::register(pool, second.id, &of_stage(second.lease, Stage::Sft, "e")).await.expect("again");
    assert_eq!((again.id, again.digest), (sft.id, sft.digest), "one model a job and stage");
}

#[tokio::test]
async fn an_expired_lease_is_claimed_even_before_the_clock_has_looked() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let first = claim(pool).await;
    fall_silent(pool, first.id).await;
    let second = claim(pool).await;
    assert_eq!(second.id, first.id);
    assert!(matches!(jobs::heartbeat(pool, first.id, first.lease).await, Err(JobError::LeaseLost)));
    assert!(!jobs::heartbeat(pool, second.id, second.lease).await.expect("held").stop);
}

#[tokio::test]
async fn after_three_silent_workers_a_job_has_failed() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    let id = job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    for _ in 0..jobs::MAX_ATTEMPTS {
        let job = claim(pool).await;
        fall_silent(pool, job.id).await;
        clock::tick(pool, OffsetDateTime::now_utc()).await.expect("a tick");
    }
    assert!(jobs::claim(pool, "another").await.expect("an answer").is_none());
    let job = job_list::by_id(pool, id).await.expect("the job");
    assert_eq!(job.state, "failed");
    assert!(job.error.is_some_and(|error| error.contains('3')));
}

#[tokio::test]
async fn stop_cancels_what_waits_and_tells_what_runs() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    let waiting = job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    assert!(job_queue::stop(pool, &admin(), waiting).await.expect("stopped"));
    assert_eq!(job_list::by_id(pool, waiting).await.expect("the job").state, "cancelled");
    assert!(!job_queue::stop(pool, &admin(), waiting).await.expect("an answer"), "it has ended");

    let running = job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    assert!(job_queue::stop(pool, &admin(), running).await.expect("asked"));
    assert!(jobs::heartbeat(pool, job.id, job.lease).await.expect("held").stop);
    fall_silent(pool, job.id).await;
    assert!(jobs::claim(pool, "another").await.expect("an answer").is_none(), "nobody takes up what was stopped");
    let ticked = clock::tick(pool, OffsetDateTime::now_utc()).await.expect("a tick");
    assert_eq!(ticked.expired.cancelled, 1);
}

fn report(lease: Uuid) -> JobReport {
    JobReport {
        lease,
        progress: Some(Progress { stage: Stage::Sft, step: 7, total: 20 }),
        metrics: vec![
            MetricRecord { stage: Stage::Sft, step: 7, name: "train/loss".to_owned(), value: 1.25 },
            MetricRecord { stage: Stage::Sft, step: 7, name: "train/loss".to_owned(), value: 1.5 },
        ],
        log: vec![LogLine {
            sequence: 0,
            at: datetime!(2026-11-24 02:00 UTC),
            level: LogLevel::Info,
            text: "a line\0 with a null".to_owned(),
        }],
    }
}

#[tokio::test]
async fn a_report_that_is_sent_again_changes_nothing() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    for _ in 0..2 {
        job_metrics::report(pool, job.id, &report(job.lease)).await.expect("stored");
    }
    let (metrics, newest) = job_metrics::metrics_after(pool, job.id, None).await.expect("metrics");
    assert_eq!(
        metrics.iter().map(|metric| metric.value).collect::<Vec<_>>(),
        [1.5],
        "the last word of a report counts"
    );
    let (later, _) = job_metrics::metrics_after(pool, job.id, newest).await.expect("metrics");
    assert!(later.is_empty());
    assert_eq!(job_metrics::log_after(pool, job.id, (0, -1), 10).await.expect("the log").len(), 1);
    let job = job_list::by_id(pool, job.id).await.expect("the job");
    assert_eq!((job.stage.as_deref(), job.step, job.total_steps), (Some("sft"), Some(7), Some(20)));
}

#[tokio::test]
async fn a_better_policy_is_promoted_by_rule_once_however_often_the_end_is_told() {
    let server = support::server().await;
    let pool = server.pool();
    let settings = ProjectSettings { promotion: PromotionRule::IfBetter, ..ProjectSettings::default() };
    let project = ready_project(pool, settings, 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    made(pool, &job, Stage::Sft).await;
    made(pool, &job, Stage::Reward).await;
    let ppo = made(pool, &job, Stage::Ppo).await;
    for _ in 0..2 {
        jobs::finish(pool, job.id, &finished(&job, Some(true))).await.expect("finished");
    }
    let promoted = promotions::of_project(pool, project.id).await.expect("promotions");
    assert_eq!(promoted.iter().map(|promotion| promotion.model_id).collect::<Vec<_>>(), [ppo.id]);
    assert!(promoted[0].reason.contains("win_rate 0.620"), "{}", promoted[0].reason);
    let sample = claim(pool).await;
    assert_eq!((sample.kind, sample.policy.map(|policy| policy.id)), (JobKind::Sample, Some(ppo.id)));
    assert_eq!(count(pool, "SELECT count(*) FROM jobs WHERE kind = 'sample'").await, 1);
}

#[tokio::test]
async fn no_rule_and_no_better_policy_promote_nothing() {
    let server = support::server().await;
    let pool = server.pool();
    for (promotion, better) in
        [(PromotionRule::ByHand, Some(true)), (PromotionRule::IfBetter, Some(false)), (PromotionRule::IfBetter, None)]
    {
        let project = ready_project(pool, ProjectSettings { promotion, ..ProjectSettings::default() }, 4).await;
        job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
        let job = claim(pool).await;
        made(pool, &job, Stage::Ppo).await;
        jobs::finish(pool, job.id, &finished(&job, better)).await.expect("finished");
        assert_eq!(promotions::current(pool, project.id).await.expect("an answer"), None, "{promotion:?} {better:?}");
    }
}

#[tokio::test]
async fn promoting_twice_makes_one_round_and_another_promotion_replaces_what_nobody_began() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    let sft = made(pool, &job, Stage::Sft).await;
    let reward = made(pool, &job, Stage::Reward).await;
    let ppo = models::register(pool, job.id, &of_stage(job.lease, Stage::Ppo, "f")).await.expect("registered");
    let actor = admin();
    let first = promotions::promote(pool, &actor, project.id, sft.id, "by hand").await.expect("promoted");
    let Promoted::Now { sample_job } = first else { panic!("it did not answer before") };
    let again = promotions::promote(pool, &actor, project.id, sft.id, "by hand").await.expect("an answer");
    assert_eq!(again, Promoted::Already);

    let refused = promotions::promote(pool, &actor, project.id, reward.id, "by hand").await;
    assert!(matches!(refused, Err(PromoteError::NotAPolicy)));
    let refused = promotions::promote(pool, &actor, project.id, ppo.id, "by hand").await;
    assert!(matches!(refused, Err(PromoteError::Incomplete)));

    models::complete(pool, ppo.id, job.lease).await.expect("complete");
    promotions::promote(pool, &actor, project.id, ppo.id, "by hand").await.expect("promoted");
    assert_eq!(job_list::by_id(pool, sample_job).await.expect("the job").state, "cancelled");
    promotions::promote(pool, &actor, project.id, sft.id, "going back").await.expect("promoted");
    assert_eq!(promotions::current(pool, project.id).await.expect("an answer"), Some(sft.id));
}

fn answers(prompt: &PromptRecord, number: usize) -> ResponsesRecord {
    let responses = (0..number)
        .map(|index| ResponseRecord {
            id: None,
            content: format!("Answer {index}"),
            model: None,
            sampling: Some(json!({ "seed": index })),
        })
        .collect();
    ResponsesRecord { prompt_id: Some(prompt.id.clone()), prompt: prompt.prompt.clone(), responses, extra: Map::new() }
}

#[tokio::test]
async fn sampled_answers_become_ranking_tasks_once_and_a_round_has_its_size() {
    let server = support::server().await;
    let pool = server.pool();
    let settings = ProjectSettings { prompts_per_round: 5, ranking_overlap: 2, ..ProjectSettings::default() };
    let project = ready_project(pool, settings, 8).await;
    let base = models::base(pool, project.id).await.expect("an answer").expect("a base model");
    promotions::promote(pool, &admin(), project.id, base.record.id, "by hand").await.expect("promoted");
    let job = claim(pool).await;
    let prompts = sampling::prompts_needing_answers(pool, job.id).await.expect("prompts");
    assert_eq!(prompts.len(), 5);

    let mut wrong = vec![answers(&prompts[0], 4), answers(&prompts[1], 1)];
    let refused = sampling::store_responses(pool, job.id, job.lease, &wrong).await;
    assert!(matches!(refused, Err(JobError::Invalid(reason)) if reason.starts_with("line 2: responses")));
    assert_eq!(count(pool, "SELECT count(*) FROM responses").await, 0, "all or nothing");
    wrong[1].prompt_id = Some(Uuid::now_v7().to_string());
    assert!(sampling::store_responses(pool, job.id, job.lease, &wrong).await.is_err());

    let chunk = [answers(&prompts[0], 4), answers(&prompts[1], 4)];
    let stored = sampling::store_responses(pool, job.id, job.lease, &chunk).await.expect("stored");
    assert_eq!((stored.stored, stored.already_there), (2, 0));
    let again = [answers(&prompts[1], 4), answers(&prompts[2], 4)];
    let stored = sampling::store_responses(pool, job.id, job.lease, &again).await.expect("stored");
    assert_eq!((stored.stored, stored.already_there), (1, 1));

    let left = sampling::prompts_needing_answers(pool, job.id).await.expect("prompts");
    assert_eq!(left.iter().map(|prompt| &prompt.id).collect::<Vec<_>>(), [&prompts[3].id, &prompts[4].id]);
    assert_eq!(count(pool, "SELECT count(*) FROM responses WHERE model = 'base' AND model_id IS NOT NULL").await, 12);
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE kind = 'ranking' AND overlap = 2").await, 3);
    assert_eq!(count(pool, "SELECT count(*) FROM task_responses").await, 12);
}

#[tokio::test]
async fn a_day_gets_one_job_however_often_the_clock_looks() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    let daily = DailyTime::new(120, "Asia/Shanghai").expect("a zone");
    let of = (project.id, project.slug.as_str());
    schedules::set(pool, &admin(), of, true, &daily, datetime!(2026-11-23 12:00 UTC)).await.expect("a schedule");

    // 02:00 in Shanghai is 18:00 UTC of the day before.
    assert_eq!(put_at(pool, datetime!(2026-11-23 17:59:59 UTC)).await, 0);
    let looks = (0..6).map(|_| {
        let pool = pool.clone();
        tokio::spawn(
            async move { schedules::put_due_jobs(&pool, datetime!(2026-11-23 18:00 UTC)).await.expect("a look") },
        )
    });
    let mut put = Vec::new();
    for look in looks.collect::<Vec<_>>() {
        put.extend(look.await.expect("no panic"));
    }
    assert_eq!(put.len(), 1, "six servers, one job");
    let job = claim(pool).await;
    jobs::finish(pool, job.id, &finished(&job, None)).await.expect("finished");
    assert_eq!(put_at(pool, datetime!(2026-11-24 17:59 UTC)).await, 0);
    assert_eq!(put_at(pool, datetime!(2026-11-27 03:00 UTC)).await, 1, "days that nobody looked are not made up for");
}

#[tokio::test]
async fn changing_clocks_neither_double_nor_lose_a_night() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    // 01:30 in New York comes twice on 2026-11-01, at 05:30 and 06:30 UTC.
    let daily = DailyTime::new(90, "America/New_York").expect("a zone");
    let of = (project.id, project.slug.as_str());
    schedules::set(pool, &admin(), of, true, &daily, datetime!(2026-10-31 12:00 UTC)).await.expect("a schedule");
    let mut put = 0;
    let mut now = datetime!(2026-11-01 00:00 UTC);
    while now < datetime!(2026-11-02 00:00 UTC) {
        for _ in schedules::put_due_jobs(pool, now).await.expect("a look") {
            put += 1;
            let job = claim(pool).await;
            jobs::finish(pool, job.id, &finished(&job, None)).await.expect("finished");
        }
        now += time::Duration::minutes(10);
    }
    assert_eq!(put, 1);
}

#[tokio::test]
async fn saving_a_schedule_after_its_time_starts_nothing_today_and_a_project_without_labels_is_passed_over() {
    let server = support::server().await;
    let pool = server.pool();
    let daily = DailyTime::new(120, "UTC").expect("a zone");
    let ready = ready_project(pool, ProjectSettings::default(), 4).await;
    let of = (ready.id, ready.slug.as_str());
    schedules::set(pool, &admin(), of, true, &daily, datetime!(2026-11-24 14:00 UTC)).await.expect("a schedule");
    assert_eq!(put_at(pool, datetime!(2026-11-24 14:01 UTC)).await, 0);
    schedules::set(pool, &admin(), of, false, &daily, datetime!(2026-11-24 15:00 UTC)).await.expect("switched off");
    assert_eq!(put_at(pool, datetime!(2026-11-25 03:00 UTC)).await, 0);

    let empty = project(pool, ProjectSettings::default()).await;
    let of = (empty.id, empty.slug.as_str());
    schedules::set(pool, &admin(), of, true, &daily, datetime!(2026-11-24 01:00 UTC)).await.expect("a schedule");
    for _ in 0..2 {
        assert_eq!(put_at(pool, datetime!(2026-11-24 02:00 UTC)).await, 0);
    }
    let notes = count(pool, "SELECT count(*) FROM audit_log WHERE action = 'job.passed_over'").await;
    assert_eq!(notes, 1, "it is noted once a day, not at every look");
}

#[tokio::test]
async fn the_clock_forgets_sessions_that_have_ended() {
    let server = support::server().await;
    let pool = server.pool();
    let person = server.account("Ada", Role::Admin).await;
    for ends in ["now() - interval '1 hour'", "now() + interval '1 hour'"] {
        let sql = format!(
            "INSERT INTO sessions (token_hash, user_id, csrf_token, expires_at) VALUES (sha256($1), $2, 'x', {ends})"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(ends.as_bytes())
            .bind(person)
            .execute(pool)
            .await
            .expect("a session");
    }
    assert_eq!(clock::tick(pool, OffsetDateTime::now_utc()).await.expect("a tick").pruned, 1);
    assert_eq!(count(pool, "SELECT count(*) FROM sessions").await, 1);
}

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
