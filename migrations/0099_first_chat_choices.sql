-- The first version of every choice that a person made in a conversation: a choice among answers that were given there. What was
-- corrected later is in it once, with the time that the first version took.
CREATE VIEW first_chat_choices AS
    SELECT r.id, r.user_id, r.seconds, r.created_at
    FROM chats c
    JOIN chat_turns turn ON turn.chat_id = c.id
    JOIN rankings r ON r.prompt_id = turn.prompt_id AND r.user_id = c.user_id
    WHERE r.task_id IS NULL
        AND r.replaces_id IS NULL
        AND EXISTS (
            SELECT 1
            FROM ranking_responses answer
            JOIN chat_answers a ON a.response_id = answer.response_id
            WHERE answer.ranking_id = r.id AND a.chat_id = turn.chat_id AND a.number = turn.number);
