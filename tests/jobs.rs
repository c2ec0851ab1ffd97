//! Jobs: claimed once, given back by silent workers, promoted by rule; nothing is done twice.

mod support;

use laurel::db::{
    job_list, job_metrics,
    job_queue::{self, EnqueueError},
    job_samples,
    jobs::{self, JobError},
    models::{self, NewBase},
    projects::{ProjectSettings, PromotionRule},
    promotions::{self, PromoteError, Promoted},
    sampling,
};
use laurel_records::{
    JobKind, JobReport, LogLevel, LogLine, PromptRecord, RegisterModel, ResponseRecord, ResponsesRecord, Stage,
};
use serde_json::{Map, json};
use support::training::{
    admin, claim, count, fall_silent, file, finished, look, made, of_stage, project, ready_project, report,
};
use time::OffsetDateTime;
use uuid::Uuid;

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
    assert_eq!(look(pool).await.expired.given_back, 1);

    assert!(matches!(jobs::heartbeat(pool, first.id, first.lease).await, Err(JobError::LeaseLost)));
    let report = JobReport { lease: first.lease, progress: None, metrics: vec![], log: vec![], samples: vec![] };
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
async fn a_job_goes_on_with_the_base_model_that_its_finished_models_came_of() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let bring = |name: &str, digest: &str| NewBase {
        name: name.to_owned(),
        digest: digest.repeat(64),
        files: vec![file()],
        lineage: json!({}),
    };
    let first = claim(pool).await;
    let old = first.base.as_ref().expect("a base model").id;
    let brought = models::register_base(pool, &admin(), project.id, &bring("new", "1")).await.expect("a base model");
    models::complete_base(pool, brought.id).await.expect("complete");
    fall_silent(pool, first.id).await;
    look(pool).await;
    let second = claim(pool).await;
    assert_eq!(second.base.map(|base| base.id), Some(brought.id), "nothing has come of the old one");

    let of_old = RegisterModel { parent: Some(old), ..of_stage(second.lease, Stage::Sft, "b") };
    let sft = models::register(pool, second.id, &of_old).await.expect("registered");
    models::complete(pool, sft.id, second.lease).await.expect("complete");
    fall_silent(pool, second.id).await;
    look(pool).await;
    let third = claim(pool).await;
    assert_eq!(third.base.map(|base| base.id), Some(old));
}

#[tokio::test]
async fn an_expired_lease_is_given_on_only_by_the_clock_which_knows_whether_its_worker_could_be_heard() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let first = claim(pool).await;
    fall_silent(pool, first.id).await;
    assert!(jobs::claim(pool, "another").await.expect("an answer").is_none());
    jobs::heartbeat(pool, first.id, first.lease).await.expect("its machine slept as long as the server's");
    fall_silent(pool, first.id).await;
    look(pool).await;
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
        look(pool).await;
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
    assert_eq!(look(pool).await.expired.cancelled, 1);
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
    let steps = job_samples::steps(pool, job.id).await.expect("steps");
    let samples = job_samples::of_step(pool, job.id, &steps[0]).await.expect("samples");
    assert_eq!((steps.len(), samples.len()), (1, 3));
    assert_eq!((samples[1].policy_reward, samples[1].policy.contains('\0')), (None, false));
    let job = job_list::by_id(pool, job.id).await.expect("the job");
    assert_eq!((job.stage.as_deref(), job.step, job.total_steps), (Some("sft"), Some(7), Some(20)));
}

#[tokio::test]
async fn whoever_follows_a_log_misses_no_line_of_it() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    let line = |sequence| LogLine {
        sequence,
        at: OffsetDateTime::now_utc(),
        level: LogLevel::Info,
        text: format!("line {sequence}"),
    };
    let report = JobReport { log: (0..5).map(line).collect(), ..report(job.lease) };
    job_metrics::report(pool, job.id, &report).await.expect("stored");
    let (mut place, mut read) = ((0, -1), Vec::new());
    loop {
        let lines = job_metrics::log_next(pool, job.id, place, 2).await.expect("lines");
        let Some(last) = lines.last() else { break };
        place = (last.attempt, last.sequence);
        read.extend(lines.iter().map(|line| line.sequence));
    }
    assert_eq!(read, [0, 1, 2, 3, 4]);
    let newest = job_metrics::log_after(pool, job.id, (0, -1), 2).await.expect("lines");
    assert_eq!(newest.iter().map(|line| line.sequence).collect::<Vec<_>>(), [3, 4], "a page shows the newest");
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
    // Nor a policy that is better than what answered when the job was claimed, where a person has promoted another since.
    let settings = ProjectSettings { promotion: PromotionRule::IfBetter, ..ProjectSettings::default() };
    let project = ready_project(pool, settings, 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    let (sft, _) = (made(pool, &job, Stage::Sft).await, made(pool, &job, Stage::Ppo).await);
    promotions::promote(pool, &admin(), project.id, sft.id, "by hand").await.expect("promoted");
    jobs::finish(pool, job.id, &finished(&job, Some(true))).await.expect("finished");
    assert_eq!(promotions::current(pool, project.id).await.expect("an answer"), Some(sft.id));
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

    let mut wrong = vec![(1, answers(&prompts[0], 4)), (2, answers(&prompts[1], 1))];
    let refused = sampling::store_responses(pool, job.id, job.lease, &wrong).await;
    assert!(matches!(refused, Err(JobError::Invalid(reason)) if reason.starts_with("line 2: responses")));
    assert_eq!(count(pool, "SELECT count(*) FROM responses").await, 0, "all or nothing");
    wrong[1].1.prompt_id = Some(Uuid::now_v7().to_string());
    assert!(sampling::store_responses(pool, job.id, job.lease, &wrong).await.is_err());

    let chunk = [(1, answers(&prompts[0], 4)), (2, answers(&prompts[1], 4))];
    let stored = sampling::store_responses(pool, job.id, job.lease, &chunk).await.expect("stored");
    assert_eq!((stored.stored, stored.already_there), (2, 0));
    let again = [(1, answers(&prompts[1], 4)), (2, answers(&prompts[2], 4))];
    let stored = sampling::store_responses(pool, job.id, job.lease, &again).await.expect("stored");
    assert_eq!((stored.stored, stored.already_there), (1, 1));

    let left = sampling::prompts_needing_answers(pool, job.id).await.expect("prompts");
    assert_eq!(left.iter().map(|prompt| &prompt.id).collect::<Vec<_>>(), [&prompts[3].id, &prompts[4].id]);
    assert_eq!(count(pool, "SELECT count(*) FROM responses WHERE model = 'base' AND model_id IS NOT NULL").await, 12);
    assert_eq!(count(pool, "SELECT count(*) FROM tasks WHERE kind = 'ranking' AND overlap = 2").await, 3);
    assert_eq!(count(pool, "SELECT count(*) FROM task_responses").await, 12);
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
async fn a_run_finds_another_name_where_somebody_has_brought_a_model_of_its_own() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    let files = vec![support::training::file()];
    let brought = models::NewBase { name: "sft-1".to_owned(), digest: "1".repeat(64), files, lineage: json!({}) };
    models::register_base(pool, &admin(), project.id, &brought).await.expect("a base model");
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    let model = made(pool, &job, Stage::Sft).await;
    assert_eq!(model.name, "sft-1-2");
    let again = models::register(pool, job.id, &of_stage(job.lease, Stage::Sft, "c")).await.expect("registered");
    assert_eq!((again.id, again.name.as_str()), (model.id, "sft-1-2"));
    assert_eq!(made(pool, &job, Stage::Reward).await.name, "reward-1");
}

#[tokio::test]
async fn the_name_of_a_base_model_is_as_long_in_every_script() {
    let server = support::server().await;
    let project = project(server.pool(), ProjectSettings::default()).await;
    let named = |name: String| {
        let files = vec![support::training::file()];
        models::NewBase { name, digest: "1".repeat(64), files, lineage: json!({}) }
    };
    let register = async |name| models::register_base(server.pool(), &admin(), project.id, &named(name)).await;
    assert!(register("模".repeat(100)).await.is_ok());
    assert!(register("模".repeat(101)).await.is_err());
}
