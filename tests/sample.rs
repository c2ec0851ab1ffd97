//! The sample task from outside: simulated annotators log in, rank and write over real HTTP, and their labels agree with the
//! gold reward as much as their stated noise says.

mod support;

use laurel::{
    db::{
        audit::Actor,
        projects::{self, ProjectSettings},
        tasks::{self, NewRankingTask},
        users::{self, NewUser},
    },
    domain::role::Role,
    sample::{
        annotators::{Annotator, KnownAnswers, Login},
        gold,
    },
};
use laurel_records::{Message, ResponsesRecord};
use serde_json::{Value, json};
use sqlx::PgPool;
use support::PASSWORD;
use uuid::Uuid;

/// A project whose ranking tasks are the first records of sample/responses.jsonl.
async fn project_with_tasks(pool: &PgPool, tasks: usize) {
    let actor = Actor::program("test");
    let settings = ProjectSettings { name: "Sample".to_owned(), ..ProjectSettings::default() };
    let project = projects::create(pool, &actor, "sample", &settings, true).await.expect("a project");
    let responses = include_str!("../sample/responses.jsonl");
    let mut connection = pool.acquire().await.expect("a connection");
    for line in responses.lines().take(tasks) {
        let record: ResponsesRecord = serde_json::from_str(line).expect("a record");
        let prompt = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO prompts (id, project_id, conversation, split, content_hash) VALUES ($1, $2, $3, 'train', $4)",
        )
        .bind(prompt)
        .bind(project.id)
        .bind(json!(record.prompt))
        .bind(prompt.as_bytes().to_vec())
        .execute(&mut *connection)
        .await
        .expect("a prompt");
        let mut answers = Vec::new();
        for response in &record.responses {
            let id = Uuid::now_v7();
            sqlx::query("INSERT INTO responses (id, prompt_id, content) VALUES ($1, $2, $3)")
                .bind(id)
                .bind(prompt)
                .bind(&response.content)
                .execute(&mut *connection)
                .await
                .expect("an answer");
            answers.push(id);
        }
        let task =
            NewRankingTask { project: project.id, prompt, responses: &answers, round: 0, priority: 0, job: None };
        tasks::create_ranking_task(&mut connection, task).await.expect("a task");
    }
}

async fn account(pool: &PgPool, name: &str, simulated: bool) -> Login {
    let email = format!("{name}@laurel.example");
    let user = NewUser {
        email: email.clone(),
        name: name.to_owned(),
        role: Role::Annotator,
        language: "en".to_owned(),
        simulated,
    };
    users::create(pool, &user, PASSWORD).await.expect("an account");
    Login { email, password: PASSWORD.to_owned() }
}

/// Every pair of the stored rankings: the gold reward of the chosen answer less that of the rejected one.
async fn margins(pool: &PgPool) -> Vec<f64> {
    let rows: Vec<(Value, String, String)> = sqlx::query_as(
        r#"
        SELECT p.conversation, chosen.content, rejected.content
        FROM comparisons c
        JOIN prompts p ON p.id = c.prompt_id
        JOIN responses chosen ON chosen.id = c.chosen_id
        JOIN responses rejected ON rejected.id = c.rejected_id
        "#,
    )
    .fetch_all(pool)
    .await
    .expect("comparisons");
    rows.into_iter()
        .map(|(prompt, chosen, rejected)| {
            let prompt: Vec<Message> = serde_json::from_value(prompt).expect("a conversation");
            gold::judge(&prompt, &chosen).reward - gold::judge(&prompt, &rejected).reward
        })
        .collect()
}

/// Φ by Abramowitz and Stegun 26.2.17, to 7.5e-8.
fn normal_cdf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series =
        t * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt() * series;
    if x > 0.0 { 1.0 - tail } else { tail }
}

#[tokio::test]
async fn without_noise_every_pair_is_the_gold_rewards() {
    let server = support::server().await;
    project_with_tasks(server.pool(), 12).await;
    let login = account(server.pool(), "sim", true).await;
    let annotator = Annotator::log_in(&server.address, &login, 0.0, 1).await.expect("logged in");
    let done = annotator.work(100, &KnownAnswers::default()).await.expect("worked");
    assert_eq!((done.rankings, done.demonstrations), (12, 0));
    let margins = margins(server.pool()).await;
    assert!(margins.len() > 60, "{} pairs", margins.len());
    assert!(margins.iter().all(|margin| *margin > 0.0), "{margins:?}");
}

#[tokio::test]
async fn noise_errs_as_often_as_it_says() {
    const NOISE: f64 = 1.5;
    let server = support::server().await;
    project_with_tasks(server.pool(), 80).await;
    let login = account(server.pool(), "sim", true).await;
    let annotator = Annotator::log_in(&server.address, &login, NOISE, 3).await.expect("logged in");
    assert_eq!(annotator.work(80, &KnownAnswers::default()).await.expect("worked").rankings, 80);
    let margins = margins(server.pool()).await;
    let right = margins.iter().filter(|margin| **margin > 0.0).count() as f64 / margins.len() as f64;
    let expected =
        margins.iter().map(|margin| normal_cdf(margin.abs() / (NOISE * std::f64::consts::SQRT_2))).sum::<f64>()
            / margins.len() as f64;
    // About 470 pairs in 80 independent tasks: a standard error of some 0.025.
    assert!((right - expected).abs() < 0.07, "agreement {right:.3}, stated noise says {expected:.3}");
    assert!(right < 0.95, "noise must be seen: {right:.3}");
}

#[tokio::test]
async fn a_program_does_not_work_under_a_persons_name() {
    let server = support::server().await;
    let login = account(server.pool(), "bea", false).await;
    let refused = Annotator::log_in(&server.address, &login, 0.0, 1).await.err().expect("refused");
    assert!(refused.to_string().contains("not marked as simulated"), "{refused}");
}
