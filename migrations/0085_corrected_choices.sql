-- A choice in a conversation can be corrected like every other label. The conversation stays as it went on: its later turns carry the
-- answer that was chosen then.

COMMENT ON COLUMN chat_turns.ranking_id IS 'The choice that stands, once one is made; earlier versions by its replaces_id.';

-- Of a choice, as of other labels: who, and which version took the place of which.
CREATE FUNCTION note_choice_correction() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_log (actor, user_id, action, subject, detail)
    SELECT
        u.email,
        u.id,
        'label.correct',
        'chat/' || t.chat_id,
        jsonb_build_object('label', NEW.id, 'replaces', NEW.replaces_id, 'kind', 'choice', 'turn', t.number)
    FROM chat_turns t, users u
    WHERE t.ranking_id = NEW.replaces_id AND u.id = NEW.user_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER rankings_note_choice_correction AFTER INSERT ON rankings FOR EACH ROW
    WHEN (NEW.replaces_id IS NOT NULL AND NEW.assignment_id IS NULL AND NOT NEW.adjudicated)
    EXECUTE FUNCTION note_choice_correction();
