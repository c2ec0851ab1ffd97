//! The dashboard over HTTP: what every form says to wrong input, who may see what, and the way from a new project to its
//! models.

#[path = "../support/mod.rs"]
mod support;

mod people;
mod settings;
mod training;

use laurel::db::{
    audit::Actor,
    projects::{self, Project, ProjectSettings},
};
use serde_json::json;
use sqlx::PgPool;
use support::Server;
use uuid::Uuid;

async fn project(server: &Server, slug: &str) -> Project {
    let settings = ProjectSettings { name: "Assistant".to_owned(), ..ProjectSettings::default() };
    projects::create(server.pool(), &Actor::program("test"), slug, &settings, false).await.expect("a project")
}

/// Prompts with a demonstration each.
async fn demonstrations(pool: &PgPool, project: &Project, number: usize) {
    for index in 0..number {
        let id = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO prompts (id, project_id, conversation, language, tags, split, content_hash)
             VALUES ($1, $2, $3, 'en', '{daily}', 'train', $4)",
        )
        .bind(id)
        .bind(project.id)
        .bind(json!([{ "role": "user", "content": format!("Why is question {index} blue?") }]))
        .bind(id.as_bytes().to_vec())
        .execute(pool)
        .await
        .expect("a prompt");
        sqlx::query("INSERT INTO demonstrations (id, prompt_id, completion) VALUES ($1, $2, 'An **answer**')")
            .bind(Uuid::now_v7())
            .bind(id)
            .execute(pool)
            .await
            .expect("a demonstration");
    }
}
