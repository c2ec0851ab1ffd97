-- Why people skip a task says something of its prompt, or only of themselves. The first kind is listed for leads beside reports.

CREATE FUNCTION skip_concerns_prompt(reason text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN split_part(reason, ':', 1) IN ('report', 'unanswerable', 'offensive', 'personal', 'unclear');

DROP INDEX assignments_reported;
CREATE INDEX assignments_reported ON assignments (task_id) WHERE state = 'skipped' AND skip_concerns_prompt(skip_reason);
