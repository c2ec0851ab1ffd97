//! What somebody has typed in a conversation and not yet said.

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// A draft as it is stored.
#[derive(Debug, Clone)]
pub struct ChatDraft {
    pub body: String,
    pub updated_at: OffsetDateTime,
}

/// Saves what is typed for the conversation's next turn over what was saved before. `None` where the conversation has ended or is
/// further than `number`: a draft that comes late brings nothing back.
///
/// # Errors
/// `RowNotFound` where the conversation is not this person's.
pub async fn save(
    pool: &PgPool,
    user: Uuid,
    chat: Uuid,
    number: i32,
    body: &str,
) -> sqlx::Result<Option<OffsetDateTime>> {
    let mut tx = pool.begin().await?;
    // Saying something locks the conversation too: the draft is stored before it or not at all.
    let open = sqlx::query_scalar!(
        r#"SELECT finished_at IS NULL AS "open!" FROM chats WHERE id = $1 AND user_id = $2 FOR UPDATE"#,
        chat,
        user
    )
    .fetch_one(&mut *tx)
    .await?;
    let turns = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM chat_turns WHERE chat_id = $1"#, chat)
        .fetch_one(&mut *tx)
        .await?;
    if !open || turns != i64::from(number) {
        return Ok(None);
    }
    let at = sqlx::query_scalar!(
        r#"
        INSERT INTO chat_drafts (chat_id, number, body)
        VALUES ($1, $2, $3)
        ON CONFLICT (chat_id) DO UPDATE
        SET number = excluded.number, body = excluded.body, updated_at = now()
        RETURNING updated_at
        "#,
        chat,
        number,
        body
    )
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(Some(at))
}

/// The draft of a conversation's next turn. Whose it is has been checked by whoever shows the conversation.
pub async fn find(pool: &PgPool, chat: Uuid, number: i32) -> sqlx::Result<Option<ChatDraft>> {
    sqlx::query_as!(
        ChatDraft,
        "SELECT body, updated_at FROM chat_drafts WHERE chat_id = $1 AND number = $2",
        chat,
        number
    )
    .fetch_optional(pool)
    .await
}
