-- What a project hands out in which shares, which languages people work in, and who has read which guidelines.

ALTER TABLE projects
    ADD COLUMN plan_demonstrations integer NOT NULL DEFAULT 1 CONSTRAINT projects_plan_demonstrations CHECK (plan_demonstrations BETWEEN 0 AND 100),
    ADD COLUMN plan_rankings       integer NOT NULL DEFAULT 1 CONSTRAINT projects_plan_rankings CHECK (plan_rankings BETWEEN 0 AND 100),
    ADD COLUMN plan_comparisons    integer NOT NULL DEFAULT 1 CONSTRAINT projects_plan_comparisons CHECK (plan_comparisons BETWEEN 0 AND 100),
    ADD CONSTRAINT projects_plan_asks_for_something CHECK (plan_demonstrations + plan_rankings + plan_comparisons > 0);

-- Primary tags of BCP 47 ('en', 'zh'); none means every language.
ALTER TABLE users ADD COLUMN languages text[] NOT NULL DEFAULT '{}';

-- The primary tag of the prompt's language, so that the search for a task reads one index; '' where it has none.
ALTER TABLE tasks ADD COLUMN language text NOT NULL DEFAULT '';
UPDATE tasks t
SET language = lower(split_part(replace(coalesce(p.language, ''), '_', '-'), '-', 1))
FROM prompts p
WHERE p.id = t.prompt_id;

CREATE FUNCTION tasks_take_language() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.language := coalesce(
        (SELECT lower(split_part(replace(p.language, '_', '-'), '-', 1)) FROM prompts p WHERE p.id = NEW.prompt_id), '');
    RETURN NEW;
END $$;
CREATE TRIGGER tasks_take_language BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION tasks_take_language();

CREATE FUNCTION prompts_give_language() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tasks
    SET language = lower(split_part(replace(coalesce(NEW.language, ''), '_', '-'), '-', 1))
    WHERE prompt_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER prompts_give_language AFTER UPDATE OF language ON prompts FOR EACH ROW EXECUTE FUNCTION prompts_give_language();

-- The order in which a project's waiting tasks of a kind are handed out, to people of every language and of some.
DROP INDEX tasks_next;
CREATE INDEX tasks_next ON tasks (project_id, kind, priority DESC, id) WHERE labels < overlap AND withdrawn_at IS NULL;
CREATE INDEX tasks_next_in_language ON tasks (project_id, kind, language, priority DESC, id)
    WHERE labels < overlap AND withdrawn_at IS NULL;

CREATE TABLE guideline_readings (
    project_id uuid NOT NULL,
    version    integer NOT NULL,
    user_id    uuid NOT NULL REFERENCES users (id),
    read_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, project_id, version),
    CONSTRAINT guideline_readings_version FOREIGN KEY (project_id, version) REFERENCES guidelines (project_id, version)
);
