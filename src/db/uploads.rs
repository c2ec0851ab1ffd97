//! Files that were sent for a look before they are imported.

use sqlx::PgPool;
use uuid::Uuid;

/// Hours after which a file that nobody imported goes.
pub const KEPT_HOURS: i32 = 24;

/// A file that waits.
#[derive(Debug, Clone)]
pub struct Upload {
    pub id: Uuid,
    pub kind: String,
    pub name: String,
    pub bytes: i64,
}

/// Notes a file that lies under its id.
pub async fn create(pool: &PgPool, project: Uuid, user: Uuid, upload: &Upload) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO uploads (id, project_id, created_by, kind, name, bytes) VALUES ($1, $2, $3, $4, $5, $6)",
        upload.id,
        project,
        user,
        upload.kind,
        upload.name,
        upload.bytes
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// A file of a project; `RowNotFound` where it has none of this id.
pub async fn find(pool: &PgPool, project: Uuid, id: Uuid) -> Result<Upload, sqlx::Error> {
    sqlx::query_as!(Upload, "SELECT id, kind, name, bytes FROM uploads WHERE id = $1 AND project_id = $2", id, project)
        .fetch_one(pool)
        .await
}

/// Forgets a file.
pub async fn remove(pool: &PgPool, id: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query!("DELETE FROM uploads WHERE id = $1", id).execute(pool).await?;
    Ok(())
}

/// Forgets the files that nobody imported in time, and gives their ids.
pub async fn remove_old(pool: &PgPool) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "DELETE FROM uploads WHERE created_at < now() - make_interval(hours => $1) RETURNING id",
        KEPT_HOURS
    )
    .fetch_all(pool)
    .await
}
