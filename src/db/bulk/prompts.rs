//! Prompts of an import.

use sqlx::PgConnection;
use uuid::Uuid;

use super::Names;

/// A prompt that is here.
pub struct Known {
    pub id: Uuid,
    pub external_id: Option<String>,
    pub content_hash: Vec<u8>,
    pub split: String,
}

/// The prompts of a project that have one of the hashes or one of the names.
pub async fn known(
    connection: &mut PgConnection,
    project: Uuid,
    hashes: &[Vec<u8>],
    names: &Names,
) -> sqlx::Result<Vec<Known>> {
    sqlx::query_as!(
        Known,
        r#"
        SELECT id AS "id!", external_id, content_hash AS "content_hash!", split AS "split!"
        FROM prompts
        WHERE project_id = $1 AND content_hash = ANY ($2)
        UNION
        SELECT id, external_id, content_hash, split
        FROM prompts
        WHERE project_id = $1 AND external_id = ANY ($3)
        UNION
        SELECT id, external_id, content_hash, split
        FROM prompts
        WHERE project_id = $1 AND id = ANY ($4)
        "#,
        project,
        hashes,
        &names.external,
        &names.ids
    )
    .fetch_all(connection)
    .await
}

/// New prompts, column by column. JSON is written out.
#[derive(Default)]
pub struct New {
    pub ids: Vec<Uuid>,
    pub external_ids: Vec<Option<String>>,
    pub conversations: Vec<String>,
    pub languages: Vec<Option<String>>,
    pub tags: Vec<String>,
    pub splits: Vec<String>,
    pub content_hashes: Vec<Vec<u8>>,
    pub extras: Vec<String>,
}

pub async fn insert(connection: &mut PgConnection, project: Uuid, new: &New) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        INSERT INTO prompts (id, project_id, external_id, conversation, language, tags, split, content_hash, extra)
        SELECT
            id,
            $1,
            external_id,
            conversation::jsonb,
            language,
            CASE tags WHEN '[]' THEN '{}' ELSE ARRAY(SELECT jsonb_array_elements_text(tags::jsonb)) END,
            split,
            content_hash,
            extra::jsonb
        FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::text[])
            AS new (id, external_id, conversation, language, tags, split, content_hash, extra)
        "#,
        project,
        &new.ids,
        &new.external_ids as &[Option<String>],
        &new.conversations,
        &new.languages as &[Option<String>],
        &new.tags,
        &new.splits,
        &new.content_hashes,
        &new.extras
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Which of the prompts have a demonstration that stands.
pub async fn with_demonstration(connection: &mut PgConnection, prompts: &[Uuid]) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"SELECT DISTINCT prompt_id AS "prompt!" FROM standing_demonstrations WHERE prompt_id = ANY ($1)"#,
        prompts
    )
    .fetch_all(connection)
    .await
}
