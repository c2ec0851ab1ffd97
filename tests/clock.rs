//! The clock: one nightly job a project and local day, whatever the clocks of the world do; and what it forgets.

mod support;

use laurel::{
    db::{
        drawn::DrawnWith,
        guidelines, job_queue,
        jobs::{self, Expired},
        projects::ProjectSettings,
        promotions, schedules,
    },
    domain::{role::Role, schedule::DailyTime},
    jobs::clock,
};
use sqlx::PgPool;
use support::training::{admin, claim, count, fall_silent, finished, look, project, ready_project};
use time::{OffsetDateTime, macros::datetime};

/// How many jobs one look of the clock puts.
async fn put_at(pool: &PgPool, now: OffsetDateTime) -> usize {
    schedules::put_due_jobs(pool, now).await.expect("a look").len()
}

#[tokio::test]
async fn a_day_gets_one_job_however_often_the_clock_looks() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    let daily = DailyTime::new(120, "Asia/Shanghai").expect("a zone");
    let of = (project.id, project.slug.as_str());
    schedules::set(pool, &admin(), of, &DrawnWith::default(), true, &daily, datetime!(2026-11-23 12:00 UTC))
        .await
        .expect("a schedule");

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
    schedules::set(pool, &admin(), of, &DrawnWith::default(), true, &daily, datetime!(2026-10-31 12:00 UTC))
        .await
        .expect("a schedule");
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
    schedules::set(pool, &admin(), of, &DrawnWith::default(), true, &daily, datetime!(2026-11-24 14:00 UTC))
        .await
        .expect("a schedule");
    assert_eq!(put_at(pool, datetime!(2026-11-24 14:01 UTC)).await, 0);
    schedules::set(pool, &admin(), of, &DrawnWith::default(), false, &daily, datetime!(2026-11-24 15:00 UTC))
        .await
        .expect("switched off");
    assert_eq!(put_at(pool, datetime!(2026-11-25 03:00 UTC)).await, 0);

    let empty = project(pool, ProjectSettings::default()).await;
    let of = (empty.id, empty.slug.as_str());
    schedules::set(pool, &admin(), of, &DrawnWith::default(), true, &daily, datetime!(2026-11-24 01:00 UTC))
        .await
        .expect("a schedule");
    for _ in 0..2 {
        assert_eq!(put_at(pool, datetime!(2026-11-24 02:00 UTC)).await, 0);
    }
    let notes = count(pool, "SELECT count(*) FROM audit_log WHERE action = 'job.passed_over'").await;
    assert_eq!(notes, 1, "it is noted once a day, not at every look");
}

/// An import holds the key of the project that its prompts belong to until it is over, which takes an hour for a large file.
#[tokio::test]
async fn an_import_under_way_keeps_neither_the_night_waiting_nor_a_promotion_nor_guidelines() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    let daily = DailyTime::new(120, "UTC").expect("a zone");
    let of = (project.id, project.slug.as_str());
    schedules::set(pool, &admin(), of, &DrawnWith::default(), true, &daily, datetime!(2026-11-24 01:00 UTC))
        .await
        .expect("a schedule");
    let mut import = pool.begin().await.expect("a transaction");
    sqlx::query(
        r#"INSERT INTO prompts (id, project_id, conversation, language, split, content_hash)
           VALUES ($1, $2, '[{"role": "user", "content": "new"}]', 'en', 'train', sha256('new'))"#,
    )
    .bind(uuid::Uuid::now_v7())
    .bind(project.id)
    .execute(&mut *import)
    .await
    .expect("a prompt");

    let patience = std::time::Duration::from_secs(10);
    let put = tokio::time::timeout(patience, put_at(pool, datetime!(2026-11-24 02:00 UTC))).await;
    assert_eq!(put.ok(), Some(1), "the night waits for the import");
    let base = claim(pool).await.base.expect("a base model").id;
    let by = admin();
    let promoted = promotions::promote(pool, &by, project.id, base, "by hand");
    let promoted = tokio::time::timeout(patience, promoted).await;
    assert!(matches!(promoted, Ok(Ok(_))), "a promotion waits for the import");
    let drawn = DrawnWith::default();
    let saved = guidelines::save(pool, &by, of, &drawn, "Be kind.");
    let saved = tokio::time::timeout(patience, saved).await;
    assert!(matches!(saved, Ok(Ok(_))), "guidelines wait for the import");
    import.rollback().await.expect("given up");
}

#[tokio::test]
async fn another_time_zone_neither_doubles_nor_loses_a_night() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    let of = (project.id, project.slug.as_str());
    for (minute, zone, now) in [
        (120, "UTC", datetime!(2026-11-24 14:00 UTC)),
        (22 * 60, "America/Los_Angeles", datetime!(2026-11-24 14:05 UTC)),
    ] {
        let daily = DailyTime::new(minute, zone).expect("a zone");
        schedules::set(pool, &admin(), of, &DrawnWith::default(), true, &daily, now).await.expect("a schedule");
    }
    // 22:00 in Los Angeles is 06:00 UTC of the day after.
    assert_eq!(put_at(pool, datetime!(2026-11-25 05:59 UTC)).await, 0);
    assert_eq!(put_at(pool, datetime!(2026-11-25 06:00 UTC)).await, 1, "this very evening");
    let job = claim(pool).await;
    jobs::finish(pool, job.id, &finished(&job, None)).await.expect("finished");

    // That was at 14:00 of the 25th in Shanghai: this day has had its run.
    let daily = DailyTime::new(15 * 60, "Asia/Shanghai").expect("a zone");
    schedules::set(pool, &admin(), of, &DrawnWith::default(), true, &daily, datetime!(2026-11-25 06:10 UTC))
        .await
        .expect("a schedule");
    assert_eq!(put_at(pool, datetime!(2026-11-25 07:00 UTC)).await, 0);
    assert_eq!(put_at(pool, datetime!(2026-11-26 07:00 UTC)).await, 1);
}

#[tokio::test]
async fn a_server_that_was_away_takes_no_job_from_workers_who_could_not_be_heard() {
    let server = support::server().await;
    let pool = server.pool();
    let project = ready_project(pool, ProjectSettings::default(), 4).await;
    job_queue::enqueue_nightly(pool, &admin(), project.id).await.expect("queued");
    let job = claim(pool).await;
    let now = OffsetDateTime::now_utc();
    let hour = time::Duration::hours(1);
    // It was started anew, its machine slept for an hour, or its time was set back by one.
    for mut last_look in [None, Some(now - hour), Some(now + hour)] {
        fall_silent(pool, job.id).await;
        let ticked = clock::tick(pool, now, &mut last_look).await.expect("a look");
        assert_eq!((ticked.expired, last_look), (Expired::default(), Some(now)));
        assert!(jobs::claim(pool, "another").await.expect("an answer").is_none());
        jobs::heartbeat(pool, job.id, job.lease).await.expect("the job is this worker's");
    }
    fall_silent(pool, job.id).await;
    assert_eq!(look(pool).await.expired.given_back, 1, "this one has died");
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
    assert_eq!(look(pool).await.pruned, 1);
    assert_eq!(count(pool, "SELECT count(*) FROM sessions").await, 1);
}
