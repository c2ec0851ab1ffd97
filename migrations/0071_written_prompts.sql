-- Prompts that people write, as the labelers of InstructGPT did: plain ones, few-shot ones, and ones for a use case.

ALTER TABLE projects
    ADD COLUMN plan_prompts integer NOT NULL DEFAULT 1 CONSTRAINT projects_plan_prompts CHECK (plan_prompts BETWEEN 0 AND 100),
    DROP CONSTRAINT projects_plan_asks_for_something,
    ADD CONSTRAINT projects_plan_asks_for_something CHECK (plan_demonstrations + plan_rankings + plan_comparisons + plan_prompts > 0);

-- What a lead asks for. Each prompt that is wanted is a task of its own.
CREATE TABLE prompt_briefs (
    id              uuid PRIMARY KEY,
    project_id      uuid NOT NULL REFERENCES projects (id),
    kind            text NOT NULL CONSTRAINT prompt_briefs_kind CHECK (kind IN ('plain', 'few_shot', 'use_case')),
    -- The use case; of the other kinds a hint, or nothing.
    about           text NOT NULL DEFAULT '' CONSTRAINT prompt_briefs_about CHECK (length(about) <= 5000),
    -- BCP 47 tag.
    language        text,
    -- The prompt that a better one is wanted for.
    replaces_prompt uuid REFERENCES prompts (id),
    created_by      uuid REFERENCES users (id),
    created_at      timestamptz NOT NULL DEFAULT now(),
    withdrawn_at    timestamptz,
    CONSTRAINT prompt_briefs_use_case CHECK (kind <> 'use_case' OR about <> '')
);
CREATE INDEX prompt_briefs_project ON prompt_briefs (project_id, id);

ALTER TABLE tasks
    ALTER COLUMN prompt_id DROP NOT NULL,
    ADD COLUMN brief_id uuid REFERENCES prompt_briefs (id),
    DROP CONSTRAINT tasks_kind,
    ADD CONSTRAINT tasks_kind CHECK (kind IN ('demonstration', 'ranking', 'comparison', 'prompt')),
    ADD CONSTRAINT tasks_about_a_prompt_or_a_brief
        CHECK ((kind = 'prompt') = (brief_id IS NOT NULL) AND (kind = 'prompt') = (prompt_id IS NULL));
CREATE INDEX tasks_brief ON tasks (brief_id) WHERE brief_id IS NOT NULL;

CREATE OR REPLACE FUNCTION tasks_take_language() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.language := coalesce(
        (SELECT lower(split_part(replace(p.language, '_', '-'), '-', 1)) FROM prompts p WHERE p.id = NEW.prompt_id),
        (SELECT lower(split_part(replace(b.language, '_', '-'), '-', 1)) FROM prompt_briefs b WHERE b.id = NEW.brief_id),
        '');
    RETURN NEW;
END $$;

CREATE TABLE written_prompts (
    id            uuid PRIMARY KEY,
    assignment_id uuid NOT NULL REFERENCES assignments (id) CONSTRAINT written_prompts_one_per_assignment UNIQUE,
    brief_id      uuid NOT NULL REFERENCES prompt_briefs (id),
    prompt_id     uuid NOT NULL REFERENCES prompts (id) CONSTRAINT written_prompts_prompt_once UNIQUE,
    user_id       uuid NOT NULL REFERENCES users (id),
    seconds       double precision,
    extra_opinion boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX written_prompts_user ON written_prompts (user_id, created_at);
