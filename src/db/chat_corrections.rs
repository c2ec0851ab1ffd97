//! Correcting a choice in a conversation: a new version of the comparison. The conversation stays as it went on.

use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{
    chat_choice_drafts,
    chat_choices::{self, Choice, Chosen},
    chat_turns::{self, ChatError, Held},
};

/// Stores a new version of the choice of a turn; `false` where another version has taken the place of `replaces`. The same choice
/// again is the version that stands. While nothing was said after it, the conversation goes on with the answer that is chosen now.
///
/// # Errors
/// [`ChatError::Reviewed`] once a reviewer has judged it.
pub async fn correct(pool: &PgPool, user: Uuid, chat: Uuid, replaces: Uuid, choice: Choice) -> Result<bool, ChatError> {
    let mut tx = pool.begin().await?;
    let (held, turn, standing) = corrected(&mut tx, user, chat, choice).await?;
    if chat_choices::chosen(&mut tx, chat, choice.turn, standing).await? == choice.position {
        chat_choice_drafts::forget(&mut tx, chat, choice.turn).await?;
        tx.commit().await?;
        return Ok(true);
    }
    if standing != replaces {
        return Ok(false);
    }
    if !held.may_go_on {
        return Err(ChatError::Closed);
    }
    if !may_be_corrected(&mut tx, standing).await? {
        return Err(ChatError::Reviewed);
    }
    chat_choices::store(&mut tx, (user, &held), (chat, turn.prompt), choice, Some(standing)).await?;
    chat_choice_drafts::forget(&mut tx, chat, choice.turn).await?;
    tx.commit().await?;
    Ok(true)
}

/// The conversation, held; the turn whose choice is corrected; and the version of it that stands.
async fn corrected(
    tx: &mut Transaction<'_, Postgres>,
    user: Uuid,
    chat: Uuid,
    choice: Choice,
) -> Result<(Held, Chosen, Uuid), ChatError> {
    let held = chat_turns::hold(tx, user, chat).await?;
    let turn = chat_choices::turn(tx, chat, choice).await?;
    let standing = turn.ranking.ok_or(ChatError::NoAnswers)?;
    if !turn.there {
        return Err(ChatError::NoSuchAnswer);
    }
    Ok((held, turn, standing))
}

/// Whether nobody has judged the choice yet.
pub(super) async fn may_be_corrected(tx: &mut Transaction<'_, Postgres>, ranking: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"SELECT may_be_corrected($1) AS "may!""#, ranking).fetch_one(&mut **tx).await
}
