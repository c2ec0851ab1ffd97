-- A prompt that somebody wrote can be corrected while nobody has begun to work with it: the new version is a prompt of its own, the
-- old one is withdrawn.

ALTER TABLE written_prompts
    DROP CONSTRAINT written_prompts_one_per_assignment,
    -- A second correction may bring an earlier text back.
    DROP CONSTRAINT written_prompts_prompt_once,
    ADD COLUMN replaces_id uuid REFERENCES written_prompts (id) CONSTRAINT written_prompts_replaced_once UNIQUE;
CREATE UNIQUE INDEX written_prompts_one_per_assignment ON written_prompts (assignment_id) WHERE replaces_id IS NULL;
CREATE UNIQUE INDEX written_prompts_prompt_once ON written_prompts (prompt_id) WHERE replaces_id IS NULL;
CREATE INDEX written_prompts_assignment ON written_prompts (assignment_id);
CREATE INDEX written_prompts_prompt ON written_prompts (prompt_id);

CREATE VIEW current_written_prompts AS
    SELECT w.*
    FROM written_prompts w
    WHERE NOT EXISTS (SELECT 1 FROM written_prompts newer WHERE newer.replaces_id = w.id);

-- Whether something is built on a prompt, or a lead has decided about it: then its words stay.
CREATE FUNCTION prompt_is_in_use(prompt uuid) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN EXISTS (
            SELECT 1 FROM tasks t JOIN assignments a ON a.task_id = t.id
            WHERE t.prompt_id = prompt AND a.state <> 'skipped')
        OR EXISTS (SELECT 1 FROM responses r WHERE r.prompt_id = prompt)
        OR EXISTS (SELECT 1 FROM demonstrations d WHERE d.prompt_id = prompt)
        OR EXISTS (SELECT 1 FROM rankings r WHERE r.prompt_id = prompt)
        OR EXISTS (SELECT 1 FROM prompt_briefs b WHERE b.replaces_prompt = prompt)
        OR EXISTS (SELECT 1 FROM prompts p WHERE p.id = prompt AND p.withdrawn_at IS NOT NULL);

CREATE OR REPLACE FUNCTION may_be_corrected(label uuid) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN label IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM reviews WHERE ranking_id = label)
        AND NOT EXISTS (SELECT 1 FROM demonstration_reviews WHERE demonstration_id = label)
        AND NOT EXISTS (SELECT 1 FROM written_prompts w WHERE w.id = label AND prompt_is_in_use(w.prompt_id));

CREATE TRIGGER written_prompts_note_correction AFTER INSERT ON written_prompts FOR EACH ROW
    WHEN (NEW.replaces_id IS NOT NULL) EXECUTE FUNCTION note_correction('prompt');
