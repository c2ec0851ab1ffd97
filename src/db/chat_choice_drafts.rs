//! Choices of a conversation that somebody has marked and not yet confirmed: the first one of a turn, or one in the place of another.

use sqlx::{PgPool, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    chat_choices::{self, Choice},
    chat_corrections,
    chat_turns::{self, ChatError},
};

/// A marked choice as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct ChoiceDraft {
    /// Position of the answer.
    pub position: i32,
    /// Seconds of work on it until it was saved, where the page measured them.
    pub seconds: Option<f64>,
    pub updated_at: OffsetDateTime,
}

impl ChoiceDraft {
    /// When it was saved, in milliseconds since 1970.
    pub fn saved_at(&self) -> i128 {
        self.updated_at.unix_timestamp_nanos() / 1_000_000
    }

    /// The seconds as a form has them; empty where there are none.
    pub fn seconds_in_form(&self) -> String {
        self.seconds.map(|seconds| format!("{seconds:.1}")).unwrap_or_default()
    }
}

/// What has become of a choice that is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// Saved as a draft.
    Kept(OffsetDateTime),
    /// It is the choice that stands: there is nothing to keep.
    Unchanged,
    /// Another choice stands, or it may not be corrected any more.
    Late,
}

/// Saves which answer of a turn is marked, over what was saved before; it is found again on another computer. `replaces` is the choice
/// that it would take the place of; `None` where it would be the first one. A first one is kept as what is typed is, whether or not it
/// can be confirmed at the moment.
///
/// # Errors
/// The conversation is not this person's, or has no such answer.
pub async fn save(
    pool: &PgPool,
    user: Uuid,
    chat: Uuid,
    replaces: Option<Uuid>,
    choice: Choice,
) -> Result<Marked, ChatError> {
    let mut tx = pool.begin().await?;
    // Choosing locks the conversation too: the draft is stored before it or not at all.
    let held = chat_turns::hold(&mut tx, user, chat).await?;
    let turn = chat_choices::turn(&mut tx, chat, choice).await?;
    if !turn.there {
        return Err(ChatError::NoSuchAnswer);
    }
    let stands = match turn.ranking {
        Some(standing) => chat_choices::chosen(&mut tx, chat, choice.turn, standing).await? == choice.position,
        None => false,
    };
    if turn.ranking != replaces {
        // A first choice that was confirmed meanwhile, as it is marked here, waits for nothing.
        return Ok(if replaces.is_none() && stands { Marked::Unchanged } else { Marked::Late });
    }
    if let Some(standing) = replaces
        && !(held.may_go_on && chat_corrections::may_be_corrected(&mut tx, standing).await?)
    {
        return Ok(Marked::Late);
    }
    let marked = if stands {
        forget(&mut tx, chat, choice.turn).await?;
        Marked::Unchanged
    } else {
        Marked::Kept(put(&mut tx, chat, replaces, choice).await?)
    };
    tx.commit().await?;
    Ok(marked)
}

async fn put(
    tx: &mut Transaction<'_, Postgres>,
    chat: Uuid,
    replaces: Option<Uuid>,
    choice: Choice,
) -> sqlx::Result<OffsetDateTime> {
    sqlx::query_scalar!(
        r#"
        INSERT INTO chat_choice_drafts (chat_id, number, position, seconds, replaces)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (chat_id, number) DO UPDATE
        SET
            position = excluded.position,
            seconds = excluded.seconds,
            replaces = excluded.replaces,
            updated_at = now()
        RETURNING updated_at
        "#,
        chat,
        choice.turn,
        choice.position,
        choice.seconds,
        replaces
    )
    .fetch_one(&mut **tx)
    .await
}

/// The turn's choice is confirmed, or stands as it should: nobody is about to choose anything.
pub(super) async fn forget(tx: &mut Transaction<'_, Postgres>, chat: Uuid, number: i32) -> sqlx::Result<()> {
    sqlx::query!("DELETE FROM chat_choice_drafts WHERE chat_id = $1 AND number = $2", chat, number)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// The answer that is marked to take the place of this choice; of none, to be the first one. Whose conversation it is has been checked
/// by whoever shows it.
pub async fn find(pool: &PgPool, chat: Uuid, number: i32, replaces: Option<Uuid>) -> sqlx::Result<Option<ChoiceDraft>> {
    sqlx::query_as!(
        ChoiceDraft,
        r#"
        SELECT position, seconds, updated_at
        FROM chat_choice_drafts
        WHERE chat_id = $1 AND number = $2 AND replaces IS NOT DISTINCT FROM $3
        "#,
        chat,
        number,
        replaces
    )
    .fetch_optional(pool)
    .await
}
