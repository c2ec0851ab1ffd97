-- Tasks with known answers: checks, which come unannounced, and the training course. What people answer to them is no data:
-- it lies in a table of its own, so that no export, count or agreement ever takes it for a label.

ALTER TABLE projects
    ADD COLUMN gold_percent        integer NOT NULL DEFAULT 0 CONSTRAINT projects_gold CHECK (gold_percent BETWEEN 0 AND 100),
    -- Tasks of the course that come before real work; 0 asks for none.
    ADD COLUMN course_tasks        integer NOT NULL DEFAULT 0 CONSTRAINT projects_course CHECK (course_tasks BETWEEN 0 AND 100),
    -- Share of the known pairs, in percent, that has to be agreed with over the last tasks of the course.
    ADD COLUMN course_pass_percent integer NOT NULL DEFAULT 80 CONSTRAINT projects_course_pass CHECK (course_pass_percent BETWEEN 0 AND 100);

-- Its task is withdrawn from the ordinary queue and has no limit of people: everybody may be given it, each once.
CREATE TABLE gold_tasks (
    task_id     uuid PRIMARY KEY REFERENCES tasks (id),
    purpose     text NOT NULL CONSTRAINT gold_tasks_purpose CHECK (purpose IN ('check', 'course')),
    -- The known rank of each answer, by its position in the task.
    ranks       integer[] NOT NULL CONSTRAINT gold_tasks_ranks CHECK (cardinality(ranks) BETWEEN 2 AND 9),
    -- Markdown, shown after a task of the course.
    explanation text NOT NULL DEFAULT '',
    retired_at  timestamptz,
    created_by  uuid REFERENCES users (id),
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE gold_answers (
    id            uuid PRIMARY KEY,
    task_id       uuid NOT NULL REFERENCES gold_tasks (task_id),
    assignment_id uuid NOT NULL REFERENCES assignments (id) CONSTRAINT gold_answers_one_per_assignment UNIQUE,
    user_id       uuid NOT NULL REFERENCES users (id),
    -- What the task was for when it was answered.
    purpose       text NOT NULL CONSTRAINT gold_answers_purpose CHECK (purpose IN ('check', 'course')),
    ranks         integer[] NOT NULL,
    confidence    integer,
    -- By position; flags as words with commas between them.
    ratings       integer[] NOT NULL,
    flags         text[] NOT NULL,
    all_bad       boolean NOT NULL,
    note          text,
    seconds       double precision,
    -- Of the pairs that the known answer orders, those that the person ordered the same way.
    agreed        integer NOT NULL,
    pairs         integer NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT gold_answers_agreed CHECK (agreed BETWEEN 0 AND pairs)
);
CREATE INDEX gold_answers_user ON gold_answers (user_id, created_at);
CREATE INDEX gold_answers_task ON gold_answers (task_id);

-- Corrections of such answers, so that they look like every other label's. The first answer is what is scored.
CREATE TABLE gold_corrections (
    id            uuid PRIMARY KEY,
    assignment_id uuid NOT NULL REFERENCES gold_answers (assignment_id),
    ranks         integer[] NOT NULL,
    confidence    integer,
    ratings       integer[] NOT NULL,
    flags         text[] NOT NULL,
    all_bad       boolean NOT NULL,
    note          text,
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX gold_corrections_assignment ON gold_corrections (assignment_id, id);

-- Who may do real work in a project that demands its course.
CREATE TABLE course_passes (
    project_id uuid NOT NULL REFERENCES projects (id),
    user_id    uuid NOT NULL REFERENCES users (id),
    -- Who let them pass without the mark; null where they reached it.
    by_user    uuid REFERENCES users (id),
    passed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id)
);

-- Whether a person has yet to pass a project's course. A course without tasks is none.
CREATE FUNCTION course_is_open(project uuid, person uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT p.course_tasks > 0
        AND NOT EXISTS (SELECT 1 FROM course_passes c WHERE c.project_id = p.id AND c.user_id = person)
        AND EXISTS (
            SELECT 1 FROM gold_tasks g JOIN tasks t ON t.id = g.task_id
            WHERE t.project_id = p.id AND g.purpose = 'course' AND g.retired_at IS NULL
        )
    FROM projects p
    WHERE p.id = project
$$;

-- Tasks of the course that are still for a person: up to those that are demanded, and once these are done without reaching the
-- mark, all that are left.
CREATE FUNCTION course_to_go(project uuid, person uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT course_is_open(project, person) THEN 0
        WHEN done.tasks < p.course_tasks THEN least(p.course_tasks - done.tasks, unseen.tasks)
        ELSE unseen.tasks
    END
    FROM projects p
    CROSS JOIN LATERAL (
        SELECT count(*) AS tasks
        FROM gold_answers a JOIN tasks t ON t.id = a.task_id
        WHERE a.user_id = person AND a.purpose = 'course' AND t.project_id = p.id
    ) AS done
    CROSS JOIN LATERAL (
        SELECT count(*) AS tasks
        FROM gold_tasks g JOIN tasks t ON t.id = g.task_id
        WHERE t.project_id = p.id AND g.purpose = 'course' AND g.retired_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM assignments mine WHERE mine.task_id = t.id AND mine.user_id = person)
    ) AS unseen
    WHERE p.id = project
$$;
