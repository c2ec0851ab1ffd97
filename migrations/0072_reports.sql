-- Prompts that people report when they skip a task: a lead keeps the prompt, withdraws it, or asks for another in its place.

ALTER TABLE prompts ADD COLUMN withdrawn_at timestamptz;

CREATE OR REPLACE FUNCTION order_new_task() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- Nobody is asked about a prompt that is held back or withdrawn.
    NEW.withdrawn_at := coalesce(
        NEW.withdrawn_at, (SELECT coalesce(held_back_at, withdrawn_at) FROM prompts WHERE id = NEW.prompt_id));
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

CREATE TABLE report_decisions (
    assignment_id uuid PRIMARY KEY REFERENCES assignments (id),
    decision      text NOT NULL CONSTRAINT report_decisions_decision CHECK (decision IN ('kept', 'withdrawn', 'replaced')),
    by_user       uuid REFERENCES users (id),
    decided_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX assignments_reported ON assignments (task_id) WHERE state = 'skipped' AND skip_reason LIKE 'report:%';
