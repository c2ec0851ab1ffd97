-- A course that a person takes again because a lead asks them to: its tasks come once more, and only what is answered then counts.

CREATE TABLE course_retakes (
    project_id uuid NOT NULL REFERENCES projects (id),
    user_id    uuid NOT NULL REFERENCES users (id),
    -- How often they have been asked to.
    number     integer NOT NULL CONSTRAINT course_retakes_number CHECK (number >= 1),
    by_user    uuid REFERENCES users (id),
    asked_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id)
);

ALTER TABLE assignments
    -- Which time it is that the person has the task: 0 but for tasks of a course that is taken again.
    ADD COLUMN attempt integer NOT NULL DEFAULT 0 CONSTRAINT assignments_attempt CHECK (attempt >= 0),
    DROP CONSTRAINT assignments_once_per_person,
    ADD CONSTRAINT assignments_once_per_person UNIQUE (task_id, user_id, attempt);

CREATE FUNCTION course_attempt(project uuid, person uuid) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT number FROM course_retakes WHERE project_id = project AND user_id = person), 0)
$$;

-- Which time a person would have a task now.
CREATE FUNCTION task_attempt(task uuid, person uuid) RETURNS integer LANGUAGE sql STABLE AS $$
    SELECT coalesce((
        SELECT course_attempt(t.project_id, person)
        FROM gold_tasks g JOIN tasks t ON t.id = g.task_id
        WHERE g.task_id = task AND g.purpose = 'course'
    ), 0)
$$;

CREATE OR REPLACE FUNCTION course_to_go(project uuid, person uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT course_is_open(project, person) THEN 0
        WHEN done.tasks < p.course_tasks THEN least(p.course_tasks - done.tasks, unseen.tasks)
        ELSE unseen.tasks
    END
    FROM projects p
    CROSS JOIN LATERAL (
        SELECT count(*) AS tasks
        FROM gold_answers a
        JOIN assignments given ON given.id = a.assignment_id
        JOIN tasks t ON t.id = a.task_id
        WHERE a.user_id = person AND a.purpose = 'course' AND t.project_id = p.id
            AND given.attempt = course_attempt(p.id, person)
    ) AS done
    CROSS JOIN LATERAL (
        SELECT count(*) AS tasks
        FROM gold_tasks g JOIN tasks t ON t.id = g.task_id
        WHERE t.project_id = p.id AND g.purpose = 'course' AND g.retired_at IS NULL
            AND NOT EXISTS (
                SELECT 1 FROM assignments mine
                WHERE mine.task_id = t.id AND mine.user_id = person AND mine.attempt = course_attempt(p.id, person))
    ) AS unseen
    WHERE p.id = project
$$;
