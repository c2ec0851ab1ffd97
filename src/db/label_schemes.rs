//! What a project asks people to say of each answer.

use serde_json::json;
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::audit::{self, Actor};
use crate::domain::label_scheme::LabelScheme;

/// The scheme of a project.
pub async fn of_project(pool: &PgPool, project: Uuid) -> sqlx::Result<LabelScheme> {
    let row = sqlx::query!(
        r#"SELECT label_scheme AS "label_scheme: Json<LabelScheme>" FROM projects WHERE id = $1"#,
        project
    )
    .fetch_one(pool)
    .await?;
    Ok(row.label_scheme.0)
}

/// Changes it and notes who did. Labels that are there stay as they are.
pub async fn save(
    pool: &PgPool,
    actor: &Actor,
    (project, slug): (Uuid, &str),
    scheme: &LabelScheme,
) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query!("UPDATE projects SET label_scheme = $2 WHERE id = $1", project, Json(scheme) as Json<&LabelScheme>)
        .execute(&mut *tx)
        .await?;
    audit::record(&mut *tx, actor, "project.label_scheme", &format!("project/{slug}"), json!(scheme)).await?;
    tx.commit().await
}
