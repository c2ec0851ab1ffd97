//! Projects, prompts, answers and tasks for tests, made by the functions that imports and jobs use.

use laurel::{
    db::tasks::{self, NewRankingTask},
    web::AppState,
};
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

/// A project to be seeded; fields that a test does not name have a default.
pub struct Seed<'a> {
    pub slug: &'a str,
    pub open_to_everyone: bool,
    pub demonstration_overlap: i32,
    pub ranking_overlap: i32,
    /// A first version, which people have to read before their first task.
    pub guidelines: Option<&'a str>,
}

impl Default for Seed<'_> {
    fn default() -> Self {
        Seed { slug: "test", open_to_everyone: true, demonstration_overlap: 1, ranking_overlap: 1, guidelines: None }
    }
}

/// Makes the project.
pub async fn project(pool: &PgPool, seed: Seed<'_>) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO projects (id, slug, name, description, open_to_everyone, demonstration_overlap, ranking_overlap)
         VALUES ($1, $2, $3, 'A project for tests.', $4, $5, $6)",
    )
    .bind(id)
    .bind(seed.slug)
    .bind(format!("Project {}", seed.slug))
    .bind(seed.open_to_everyone)
    .bind(seed.demonstration_overlap)
    .bind(seed.ranking_overlap)
    .execute(pool)
    .await
    .expect("a project");
    if let Some(body) = seed.guidelines {
        sqlx::query("INSERT INTO guidelines (id, project_id, version, body) VALUES ($1, $2, 1, $3)")
            .bind(Uuid::now_v7())
            .bind(id)
            .bind(body)
            .execute(pool)
            .await
            .expect("guidelines");
    }
    id
}

/// Notes that everybody has read the newest guidelines of every project.
pub async fn everyone_has_read(pool: &PgPool) {
    sqlx::query(
        "INSERT INTO guideline_readings (project_id, version, user_id)
         SELECT g.project_id, g.version, u.id FROM guidelines g CROSS JOIN users u ON CONFLICT DO NOTHING",
    )
    .execute(pool)
    .await
    .expect("read");
}

/// Makes a prompt of one message by the user.
pub async fn prompt(pool: &PgPool, project: Uuid, text: &str) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO prompts (id, project_id, conversation, language, split, content_hash)
         VALUES ($1, $2, $3, 'en', 'train', sha256(convert_to($4, 'UTF8')))",
    )
    .bind(id)
    .bind(project)
    .bind(json!([{ "role": "user", "content": text }]))
    .bind(text)
    .execute(pool)
    .await
    .expect("a prompt");
    id
}

/// Makes an answer to a prompt.
pub async fn response(pool: &PgPool, prompt: Uuid, content: &str, model: &str) -> Uuid {
    let id = Uuid::now_v7();
    sqlx::query("INSERT INTO responses (id, prompt_id, content, model) VALUES ($1, $2, $3, $4)")
        .bind(id)
        .bind(prompt)
        .bind(content)
        .bind(model)
        .execute(pool)
        .await
        .expect("a response");
    id
}

/// Makes a task to write an answer to a new prompt.
pub async fn demonstration_task(state: &AppState, project: Uuid, text: &str) -> Uuid {
    let prompt = prompt(&state.pool, project, text).await;
    let mut tx = state.pool.begin().await.expect("a transaction");
    assert!(
        tasks::create_demonstration_task(&mut tx, project, prompt).await.expect("a task"),
        "the project asks for none"
    );
    tx.commit().await.expect("stored");
    prompt
}

/// Makes a task to rank these answers to a new prompt; returns the task and the responses by position.
pub async fn ranking_task(state: &AppState, project: Uuid, text: &str, answers: &[&str]) -> (Uuid, Vec<Uuid>) {
    let prompt = prompt(&state.pool, project, text).await;
    let mut responses = Vec::new();
    for (position, answer) in answers.iter().enumerate() {
        responses.push(response(&state.pool, prompt, answer, &format!("secret-model-{position}")).await);
    }
    let mut tx = state.pool.begin().await.expect("a transaction");
    let new = NewRankingTask { project, prompt, responses: &responses, round: 0, priority: 0, job: None };
    let task = tasks::create_ranking_task(&mut tx, new).await.expect("a task").expect("a new task");
    tx.commit().await.expect("stored");
    (task, responses)
}

/// Makes a person a member of a project.
pub async fn member(pool: &PgPool, project: Uuid, user: Uuid) {
    sqlx::query("INSERT INTO memberships (project_id, user_id) VALUES ($1, $2)")
        .bind(project)
        .bind(user)
        .execute(pool)
        .await
        .expect("a membership");
}

/// Ends the lease of an assignment, as time would.
pub async fn end_lease(pool: &PgPool, assignment: Uuid) {
    sqlx::query("UPDATE assignments SET lease_until = now() - interval '1 second' WHERE id = $1")
        .bind(assignment)
        .execute(pool)
        .await
        .expect("ended");
}

/// The assignment in a task's address: `/tasks/{assignment}?after=…`.
pub fn assignment_in(address: &str) -> Uuid {
    let rest = address.strip_prefix("/tasks/").unwrap_or_else(|| panic!("{address} is no task"));
    rest.split('?').next().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("{address} has no assignment"))
}

/// Waits until somebody else waits for a lock.
pub async fn until_somebody_waits(pool: &PgPool) {
    until_they_wait(pool, 1).await;
}

/// Waits until so many others wait for a lock.
pub async fn until_they_wait(pool: &PgPool, others: i64) {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..3000 {
        if count(pool, waiting).await >= others {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nobody waits");
}

/// One number from the database.
pub async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.expect("a number")
}
