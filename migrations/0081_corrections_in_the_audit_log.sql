-- Whoever corrects a label changes something: the log says who, of which task, and which version took the place of which. What a
-- label says is no part of it. A trigger, so that no way to correct is left out.

CREATE FUNCTION note_correction() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    person uuid;
    task uuid;
BEGIN
    SELECT a.user_id, a.task_id INTO person, task FROM assignments a WHERE a.id = NEW.assignment_id;
    INSERT INTO audit_log (actor, user_id, action, subject, detail)
    SELECT
        u.email,
        u.id,
        'label.correct',
        'task/' || task,
        jsonb_strip_nulls(jsonb_build_object(
            'label', NEW.id, 'replaces', to_jsonb(NEW) -> 'replaces_id', 'kind', TG_ARGV[0]))
    FROM users u
    WHERE u.id = person;
    RETURN NULL;
END
$$;

CREATE TRIGGER demonstrations_note_correction AFTER INSERT ON demonstrations FOR EACH ROW
    WHEN (NEW.replaces_id IS NOT NULL AND NEW.assignment_id IS NOT NULL) EXECUTE FUNCTION note_correction('demonstration');
CREATE TRIGGER rankings_note_correction AFTER INSERT ON rankings FOR EACH ROW
    WHEN (NEW.replaces_id IS NOT NULL AND NEW.assignment_id IS NOT NULL) EXECUTE FUNCTION note_correction('ranking');
CREATE TRIGGER gold_corrections_note_correction AFTER INSERT ON gold_corrections FOR EACH ROW
    EXECUTE FUNCTION note_correction('known_answer');
