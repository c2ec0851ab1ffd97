//! What somebody has typed in a conversation and not yet said.

use sqlx::PgPool;
use time::OffsetDateTime;
use uuid::Uuid;

/// A draft as it is stored.
#[derive(Debug, Clone)]
pub struct ChatDraft {
    /// The turn that it would begin.
    pub number: i32,
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

/// What is about to be said takes the place of the draft for its turn that its page had, saved at `base`, in milliseconds since 1970:
/// once it is said, so is the draft, however that was changed on the way. One that was saved elsewhere since stays.
pub async fn become_said(
    pool: &PgPool,
    user: Uuid,
    chat: Uuid,
    (number, base): (i32, i64),
    body: &str,
) -> sqlx::Result<()> {
    let Some(draft) = find(pool, chat).await? else { return Ok(()) };
    let saved_at = draft.updated_at.unix_timestamp_nanos() / 1_000_000;
    if draft.number == number && saved_at <= i128::from(base) {
        save(pool, user, chat, number, body).await?;
    }
    Ok(())
}

/// Keeps a message that came too late for its turn, as if it had been a draft for the last one: it is given back once the person
/// can speak again. A blank one takes no draft's place. Whose conversation it is has been checked by whoever refused the message.
pub async fn keep_unsaid(pool: &PgPool, chat: Uuid, body: &str) -> sqlx::Result<()> {
    if body.trim().is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r#"
        INSERT INTO chat_drafts (chat_id, number, body)
        SELECT $1, max(number), $2
        FROM chat_turns
        WHERE chat_id = $1
        HAVING count(*) > 0
        ON CONFLICT (chat_id) DO UPDATE
        SET number = excluded.number, body = excluded.body, updated_at = now()
        "#,
        chat,
        body
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The last draft of a conversation, for its next turn or for an earlier one. Whose it is has been checked by whoever shows the
/// conversation.
pub async fn find(pool: &PgPool, chat: Uuid) -> sqlx::Result<Option<ChatDraft>> {
    sqlx::query_as!(ChatDraft, "SELECT number, body, updated_at FROM chat_drafts WHERE chat_id = $1", chat)
        .fetch_optional(pool)
        .await
}
