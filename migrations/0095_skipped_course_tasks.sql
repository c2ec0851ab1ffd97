-- A task of a course that a person has skipped comes again, so that a skip locks nobody out. What they said of it when they skipped it
-- stays for the lead, whatever becomes of the task.

COMMENT ON COLUMN assignments.skip_reason IS
    'Why it was skipped. It stays where a task of a course is handed out again after that, and where it is answered then.';

DROP INDEX assignments_reported;
CREATE INDEX assignments_reported ON assignments (task_id) WHERE skip_concerns_prompt(skip_reason);

-- To go are those that are neither answered nor in the person's hands now: unseen, skipped, or left until the lease ended.
CREATE OR REPLACE FUNCTION course_to_go(project uuid, person uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN NOT course_is_open(project, person) THEN 0
        WHEN done.tasks < p.course_tasks THEN least(p.course_tasks - done.tasks, ahead.tasks)
        ELSE ahead.tasks
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
                WHERE mine.task_id = t.id AND mine.user_id = person AND mine.attempt = course_attempt(p.id, person)
                    AND (mine.state = 'submitted' OR mine.state = 'leased' AND mine.lease_until > now()))
    ) AS ahead
    WHERE p.id = project
$$;
