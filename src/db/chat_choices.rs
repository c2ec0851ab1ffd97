//! Choosing an answer in a conversation: the turn goes on with it, and it is a ranking with that answer before the others.

use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use super::{
    chat_choice_drafts,
    chat_turns::{self, ChatError, Held},
};

/// The answer that somebody chooses.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// Number of the turn.
    pub turn: i32,
    /// Place of the answer in it.
    pub position: i32,
    /// Seconds that it took, where the page measured them.
    pub seconds: Option<f64>,
}

/// A turn in which an answer is chosen.
pub(super) struct Chosen {
    pub prompt: Uuid,
    /// The choice that stands.
    pub ranking: Option<Uuid>,
    answers: i64,
    /// Whether there is an answer at the place.
    pub there: bool,
}

pub(super) async fn turn(tx: &mut Transaction<'_, Postgres>, chat: Uuid, choice: Choice) -> Result<Chosen, ChatError> {
    sqlx::query_as!(
        Chosen,
        r#"
        SELECT
            t.prompt_id AS prompt,
            t.ranking_id AS ranking,
            count(a.position) AS "answers!",
            coalesce(bool_or(a.position = $3), false) AS "there!"
        FROM chat_turns t
        LEFT JOIN chat_answers a ON a.chat_id = t.chat_id AND a.number = t.number
        WHERE t.chat_id = $1 AND t.number = $2
        GROUP BY t.prompt_id, t.ranking_id
        "#,
        chat,
        choice.turn,
        choice.position
    )
    .fetch_optional(&mut **tx)
    .await?
    .ok_or(ChatError::NoAnswers)
}

/// The place of the answer that a choice of a turn is for.
pub(super) async fn chosen(
    tx: &mut Transaction<'_, Postgres>,
    chat: Uuid,
    turn: i32,
    ranking: Uuid,
) -> sqlx::Result<i32> {
    sqlx::query_scalar!(
        r#"
        SELECT a.position
        FROM chat_answers a
        JOIN ranking_responses r ON r.response_id = a.response_id AND r.ranking_id = $3
        WHERE a.chat_id = $1 AND a.number = $2 AND r.rank = 1
        "#,
        chat,
        turn,
        ranking
    )
    .fetch_one(&mut **tx)
    .await
}

/// The person chooses the answer of a turn that goes on: a ranking with it before the others, which tie. Choosing again
/// changes nothing: the conversation has gone on with the first choice. `false` where that one was for another answer.
pub async fn choose(pool: &PgPool, user: Uuid, chat: Uuid, choice: Choice) -> Result<bool, ChatError> {
    let mut tx = pool.begin().await?;
    let held = chat_turns::hold(&mut tx, user, chat).await?;
    let turn = turn(&mut tx, chat, choice).await?;
    if let Some(standing) = turn.ranking {
        return Ok(chosen(&mut tx, chat, choice.turn, standing).await? == choice.position);
    }
    if !held.may_go_on {
        return Err(ChatError::Closed);
    }
    if turn.answers == 0 {
        return Err(ChatError::NoAnswers);
    }
    if !turn.there {
        return Err(ChatError::NoSuchAnswer);
    }
    store(&mut tx, (user, &held), (chat, turn.prompt), choice, None).await?;
    chat_choice_drafts::forget(&mut tx, chat, choice.turn).await?;
    tx.commit().await?;
    Ok(true)
}

/// Stores a version of a choice, which is the turn's from now on.
pub(super) async fn store(
    tx: &mut Transaction<'_, Postgres>,
    (user, held): (Uuid, &Held),
    (chat, prompt): (Uuid, Uuid),
    choice: Choice,
    replaces: Option<Uuid>,
) -> sqlx::Result<()> {
    let ranking = Uuid::now_v7();
    sqlx::query!(
        "INSERT INTO rankings (id, prompt_id, user_id, annotator, seconds, replaces_id) VALUES ($1, $2, $3, $4, $5, $6)",
        ranking,
        prompt,
        user,
        held.annotator,
        choice.seconds,
        replaces
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        r#"
        INSERT INTO ranking_responses (ranking_id, position, response_id, rank)
        SELECT $1, position, response_id, CASE WHEN position = $4 THEN 1 ELSE 2 END
        FROM chat_answers
        WHERE chat_id = $2 AND number = $3
        "#,
        ranking,
        chat,
        choice.turn,
        choice.position
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query!(
        "UPDATE chat_turns SET ranking_id = $3 WHERE chat_id = $1 AND number = $2",
        chat,
        choice.turn,
        ranking
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
