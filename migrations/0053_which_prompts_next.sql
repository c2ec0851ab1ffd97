-- Which prompts come next: an order of the tasks, the reward model's uncertainty, near-duplicates that are held back.

ALTER TABLE projects
    -- 'as_made': oldest first. 'random': by chance. 'uncertain': what the reward model is least sure of. A priority by hand goes before.
    ADD COLUMN task_order text NOT NULL DEFAULT 'as_made'
        CONSTRAINT projects_task_order CHECK (task_order IN ('as_made', 'random', 'uncertain')),
    -- Near-duplicates are looked for after every import of prompts.
    ADD COLUMN hold_back_duplicates boolean NOT NULL DEFAULT false,
    -- Similarity from which on two prompts are near-duplicates, percent.
    ADD COLUMN duplicate_percent integer NOT NULL DEFAULT 80
        CONSTRAINT projects_duplicate_percent CHECK (duplicate_percent BETWEEN 60 AND 100);

ALTER TABLE prompts
    ADD COLUMN held_back_at timestamptz,
    ADD COLUMN duplicate_of uuid REFERENCES prompts (id),
    ADD COLUMN similarity double precision,
    -- A person has said that this prompt is asked whatever it is like.
    ADD COLUMN never_held_back boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT prompts_held_back_as_duplicate CHECK ((held_back_at IS NULL) = (duplicate_of IS NULL));
CREATE INDEX prompts_held_back ON prompts (project_id, id) WHERE held_back_at IS NOT NULL;

CREATE TABLE prompt_scores (
    prompt_id   uuid PRIMARY KEY REFERENCES prompts (id),
    -- How unsure the reward model is of the order of its answers; higher is less sure.
    uncertainty double precision NOT NULL CONSTRAINT prompt_scores_uncertainty CHECK (uncertainty >= 0 AND uncertainty < 'Infinity'),
    model       text,
    scored_at   timestamptz NOT NULL DEFAULT now()
);

-- Priorities from 0 on are given by hand. Those that follow from the project's order are below 0: -1 is first, -1000000 last.
CREATE FUNCTION ordered_priority(task_order text, uncertainty double precision) RETURNS integer
LANGUAGE sql VOLATILE
RETURN CASE task_order
    WHEN 'random' THEN -1 - floor(random() * 999999)::integer
    WHEN 'uncertain' THEN -1000000 + floor(999999 * coalesce(uncertainty / (1 + uncertainty), 0))::integer
    ELSE 0
END;

CREATE FUNCTION order_new_task() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- Nobody is asked about a prompt that is held back.
    NEW.withdrawn_at := coalesce(NEW.withdrawn_at, (SELECT held_back_at FROM prompts WHERE id = NEW.prompt_id));
    IF NEW.priority = 0 THEN
        NEW.priority := (
            SELECT ordered_priority(p.task_order, s.uncertainty)
            FROM projects p
            LEFT JOIN prompt_scores s ON s.prompt_id = NEW.prompt_id
            WHERE p.id = NEW.project_id
        );
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER tasks_ordered BEFORE INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION order_new_task();
