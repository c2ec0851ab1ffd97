//! What rounds leave and bring, and where it stands among what comes next.

use laurel::{
    db::{
        job_queue, jobs, projects::ProjectSettings, promotions, prompt_order, sampling, task_control, tokens::TokenRole,
    },
    domain::role::Role,
};
use laurel_records::{ClaimedJob, ModelRecord, ResponseRecord, ResponsesRecord, Stage};
use serde_json::{Map, json};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    next_question, send_scores,
    support::{
        Server,
        seed::{self, Seed},
        server, training,
    },
};

/// A task of each of two rounds, as sampling jobs make them while the oldest come first; their prompts.
async fn prompts_of_rounds(server: &Server, project: Uuid) -> Vec<Uuid> {
    let mut prompts = Vec::new();
    for round in 1_i32..=2 {
        let prompt = seed::demonstration_task(&server.state, project, &format!("Write number {round}.")).await;
        sqlx::query("UPDATE tasks SET round = $2, priority = $2 WHERE prompt_id = $1")
            .bind(prompt)
            .bind(round)
            .execute(server.pool())
            .await
            .expect("a task of a round");
        prompts.push(prompt);
    }
    prompts
}

#[tokio::test]
async fn another_order_moves_what_rounds_have_left_and_not_what_somebody_has_put_first() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    let mut prompts = Vec::new();
    for number in 1..=3 {
        prompts.push(seed::demonstration_task(&server.state, project, &format!("Write number {number}.")).await);
    }
    // As a sampling job of round 2 makes them while the oldest come first.
    sqlx::query("UPDATE tasks SET round = 2, priority = 2").execute(pool).await.expect("tasks of a round");
    let ada = server.user("Ada", Role::Admin).await;
    let task: Uuid = sqlx::query_scalar("SELECT id FROM tasks WHERE prompt_id = $1")
        .bind(prompts[1])
        .fetch_one(pool)
        .await
        .expect("a task");
    for priority in ["0", "2"] {
        ada.post(&format!("/admin/projects/test/tasks/{task}/priority"), &[("priority", priority)]).await.leads_to();
    }
    // What nobody gave by hand is not shown as a priority. An earlier version noted what is given alone.
    for noted in ["[0, 2]", "2"] {
        let note = "UPDATE audit_log SET detail = jsonb_build_object('priority', $1::jsonb)
                    WHERE action = 'task.priority'";
        sqlx::query(note).bind(noted).execute(pool).await.expect("noted");
        let next = prompt_order::next(pool, project, 9).await.expect("the queue");
        let by_hand: Vec<_> = next.iter().filter_map(|task| Some((task.prompt_id, task.priority?))).collect();
        assert_eq!(by_hand, [(prompts[1], 2)]);
    }
    let token = server.token(TokenRole::Trainer).await;
    let scores = json!({ "model": "reward-2", "scores": [{ "prompt_id": prompts[2], "uncertainty": 1.7 }] });
    assert_eq!(send_scores(&server, &token, &scores).await.status(), 200);
    ada.post("/admin/projects/test/next", &[("order", "uncertain"), ("percent", "80")]).await.leads_to();
    let bob = server.user("Bob", Role::Annotator).await;
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(next_question(&bob).await);
    }
    assert_eq!(asked, ["2", "3", "1"]);
}

#[tokio::test]
async fn what_answers_now_is_ranked_first_again_once_the_oldest_come_first_again() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    prompts_of_rounds(&server, project).await;
    let ada = server.user("Ada", Role::Admin).await;
    for order in ["random", "as_made"] {
        ada.post("/admin/projects/test/next", &[("order", order), ("percent", "80")]).await.leads_to();
    }
    let bob = server.user("Bob", Role::Annotator).await;
    assert_eq!([next_question(&bob).await, next_question(&bob).await], ["2", "1"]);
}

/// Makes a model the one that answers; gives the job that samples its answers, as its worker has it.
async fn promoted(pool: &PgPool, project: Uuid, model: &ModelRecord) -> ClaimedJob {
    promotions::promote(pool, &training::admin(), project, model.id, "by hand").await.expect("promoted");
    training::claim(pool).await
}

/// What a job brings to the first prompt that it is to answer; gives the prompt.
async fn answered(pool: &PgPool, job: &ClaimedJob) -> Uuid {
    let prompts = sampling::prompts_needing_answers(pool, job.id).await.expect("prompts");
    let first = prompts.into_iter().next().expect("a prompt");
    let prompt = Uuid::parse_str(&first.id).expect("an id");
    let answer = |content: &str| ResponseRecord { id: None, content: content.to_owned(), model: None, sampling: None };
    let responses = ["One.", "Two."].map(answer).into();
    let record = ResponsesRecord { prompt_id: Some(first.id), prompt: first.prompt, responses, extra: Map::new() };
    sampling::store_responses(pool, job.id, job.lease, &[(1, record)]).await.expect("stored");
    prompt
}

#[tokio::test]
async fn after_going_back_what_later_rounds_have_left_or_bring_comes_last() {
    let server = server().await;
    let pool = server.pool();
    let settings = ProjectSettings { prompts_per_round: 1, ..ProjectSettings::default() };
    let project = training::ready_project(pool, settings, 4).await;
    let mut models = Vec::new();
    for _ in 0..2 {
        job_queue::enqueue_nightly(pool, &training::admin(), project.id).await.expect("queued");
        let job = training::claim(pool).await;
        models.push(training::made(pool, &job, Stage::Sft).await);
        jobs::finish(pool, job.id, &training::finished(&job, None)).await.expect("finished");
    }
    let asked = async || {
        let next = prompt_order::next(pool, project.id, 9).await.expect("the queue");
        assert!(next.iter().all(|task| task.priority.is_none()), "nobody gave one by hand");
        next.iter().map(|task| task.prompt_id).collect::<Vec<_>>()
    };
    let later = answered(pool, &promoted(pool, project.id, &models[1]).await).await;
    let back = answered(pool, &promoted(pool, project.id, &models[0]).await).await;
    assert_eq!(asked().await, [back, later]);
    // Saved as it is, the order stays.
    let order = prompt_order::settings(pool, project.id).await.expect("settings");
    let of = (project.id, project.slug.as_str());
    prompt_order::set(pool, &training::admin(), of, &order.drawn_with(), &order).await.expect("saved");
    assert_eq!(asked().await, [back, later]);

    // The job of the later model is under way when somebody goes back, and brings an answer first.
    let under_way = promoted(pool, project.id, &models[1]).await;
    let now = promoted(pool, project.id, &models[0]).await;
    let late = answered(pool, &under_way).await;
    let newest = answered(pool, &now).await;
    let queue = asked().await;
    assert_eq!((queue[0], queue[3]), (newest, late), "{queue:?}");
    // Also what is of the same round stays behind: a night makes several models of one.
    prompt_order::set(pool, &training::admin(), of, &order.drawn_with(), &order).await.expect("saved");
    assert_eq!(asked().await, queue);

    let give = async |prompt: Uuid, priority: i32| {
        let task: Uuid = sqlx::query_scalar("SELECT id FROM tasks WHERE prompt_id = $1 AND labels < overlap")
            .bind(prompt)
            .fetch_one(pool)
            .await
            .expect("a task");
        task_control::set_priority(pool, &training::admin(), project.id, task, priority).await.expect("given");
    };
    // It has no priority by hand, and saving that leaves it there.
    give(late, 0).await;
    assert_eq!(asked().await, queue);
    // One that is taken back leaves what is of a later round behind again.
    sqlx::query("UPDATE tasks SET round = 9 WHERE prompt_id = $1").bind(late).execute(pool).await.expect("later");
    for priority in [7, 0] {
        give(late, priority).await;
    }
    assert_eq!(asked().await, queue);
    // Nor does it keep a task first once somebody goes back again.
    for priority in [7, 0] {
        give(newest, priority).await;
    }
    assert_eq!(asked().await, queue);
    for model in [&models[1], &models[0]] {
        promotions::promote(pool, &training::admin(), project.id, model.id, "by hand").await.expect("promoted");
    }
    assert_eq!(asked().await.last(), Some(&newest));
}

#[tokio::test]
async fn a_priority_that_is_taken_back_leaves_the_task_in_its_round() {
    let server = server().await;
    let pool = server.pool();
    let project = seed::project(pool, Seed::default()).await;
    let prompts = prompts_of_rounds(&server, project).await;
    let ada = server.user("Ada", Role::Admin).await;
    let page = format!("/admin/projects/test/prompts/{}", prompts[1]);
    let none_by_hand = "name=\"priority\" value=\"0\"";
    ada.get(&page).await.assert(200).assert_contains(none_by_hand);
    let task: Uuid = sqlx::query_scalar("SELECT id FROM tasks WHERE prompt_id = $1")
        .bind(prompts[1])
        .fetch_one(pool)
        .await
        .expect("a task");
    for priority in ["7", "0"] {
        ada.post(&format!("/admin/projects/test/tasks/{task}/priority"), &[("priority", priority)]).await.leads_to();
    }
    ada.get(&page).await.assert(200).assert_contains(none_by_hand);
    let next = prompt_order::next(pool, project, 9).await.expect("the queue");
    let queue: Vec<_> = next.iter().map(|task| (task.prompt_id, task.priority)).collect();
    assert_eq!(queue, [(prompts[1], None), (prompts[0], None)]);
    // It follows the project's order to others and back.
    for order in ["random", "as_made"] {
        ada.post("/admin/projects/test/next", &[("order", order), ("percent", "80")]).await.leads_to();
    }
    let bob = server.user("Bob", Role::Annotator).await;
    assert_eq!([next_question(&bob).await, next_question(&bob).await], ["2", "1"]);
}
