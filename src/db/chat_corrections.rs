//! Correcting a choice in a conversation: a new version of the comparison. The conversation stays as it went on.

use sqlx::PgPool;
use uuid::Uuid;

use super::chat_turns::{self, ChatError, Choice};

/// Stores a new version of the choice of a turn; `false` where another version has taken the place of `replaces`. The same choice
/// again is the version that stands. While nothing was said after it, the conversation goes on with the answer that is chosen now.
///
/// # Errors
/// [`ChatError::Reviewed`] once a reviewer has judged it.
pub async fn correct(pool: &PgPool, user: Uuid, chat: Uuid, replaces: Uuid, choice: Choice) -> Result<bool, ChatError> {
    let mut tx = pool.begin().await?;
    let held = chat_turns::hold(&mut tx, user, chat).await?;
    let turn = chat_turns::turn(&mut tx, chat, choice).await?;
    let standing = turn.ranking.ok_or(ChatError::NoAnswers)?;
    if !turn.there {
        return Err(ChatError::NoSuchAnswer);
    }
    if chat_turns::chosen(&mut tx, chat, choice.turn, standing).await? == choice.position {
        return Ok(true);
    }
    if standing != replaces {
        return Ok(false);
    }
    if !held.may_go_on {
        return Err(ChatError::Closed);
    }
    let may = sqlx::query_scalar!(r#"SELECT may_be_corrected($1) AS "may!""#, standing).fetch_one(&mut *tx).await?;
    if !may {
        return Err(ChatError::Reviewed);
    }
    chat_turns::store(&mut tx, (user, &held), (chat, turn.prompt), choice, Some(standing)).await?;
    tx.commit().await?;
    Ok(true)
}
