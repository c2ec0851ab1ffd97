//! What somebody has typed in a conversation and not yet said, and which answer they are about to choose in the place of another.

use sqlx::{PgPool, Postgres, Transaction};
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

/// Keeps a message that came too late for its turn, as if it had been a draft for the last one: it is given back once the person
/// can speak again. Whose conversation it is has been checked by whoever refused the message.
pub async fn keep_unsaid(pool: &PgPool, chat: Uuid, body: &str) -> sqlx::Result<()> {
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

/// The choice of a turn that somebody is about to make in the place of the one that stands, as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct ChoiceDraft {
    pub position: i32,
    pub updated_at: OffsetDateTime,
}

/// Saves the answer of a turn that is about to take the place of a choice. Whose conversation it is, and that the choice stands, has
/// been checked in the same transaction.
pub(super) async fn save_choice(
    tx: &mut Transaction<'_, Postgres>,
    (chat, number): (Uuid, i32),
    position: i32,
    replaces: Uuid,
) -> sqlx::Result<OffsetDateTime> {
    sqlx::query_scalar!(
        r#"
        INSERT INTO chat_choice_drafts (chat_id, number, position, replaces)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (chat_id, number) DO UPDATE
        SET position = excluded.position, replaces = excluded.replaces, updated_at = now()
        RETURNING updated_at
        "#,
        chat,
        number,
        position,
        replaces
    )
    .fetch_one(&mut **tx)
    .await
}

/// The turn's choice stands as it should, or is corrected: nobody is about to choose anything.
pub(super) async fn forget_choice(tx: &mut Transaction<'_, Postgres>, chat: Uuid, number: i32) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM chat_choice_drafts WHERE chat_id = $1 AND number = $2", chat, number)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The answer that is about to take the place of this choice. Whose conversation it is has been checked by whoever shows it.
pub async fn find_choice(pool: &PgPool, chat: Uuid, number: i32, replaces: Uuid) -> sqlx::Result<Option<ChoiceDraft>> {
    sqlx::query_as!(
        ChoiceDraft,
        r#"
        SELECT position, updated_at
        FROM chat_choice_drafts
        WHERE chat_id = $1 AND number = $2 AND replaces = $3
        "#,
        chat,
        number,
        replaces
    )
    .fetch_optional(pool)
    .await
}
