-- What the dashboard counts.

-- How far each prompt is: 'idle' (no task asks for it, no label is there), 'waiting', 'under_way', 'done'.
CREATE VIEW prompt_states AS
    SELECT
        p.id AS prompt_id,
        p.project_id,
        p.split,
        p.language,
        CASE
            WHEN t.open > 0 AND (t.labels > 0 OR t.leased) THEN 'under_way'
            WHEN t.open > 0 THEN 'waiting'
            WHEN t.labels > 0
                OR EXISTS (SELECT 1 FROM demonstrations d WHERE d.prompt_id = p.id)
                OR EXISTS (SELECT 1 FROM rankings r WHERE r.prompt_id = p.id) THEN 'done'
            ELSE 'idle'
        END AS state
    FROM prompts p
    CROSS JOIN LATERAL (
        SELECT
            count(*) FILTER (WHERE t.labels < t.overlap) AS open,
            coalesce(sum(t.labels), 0) AS labels,
            coalesce(bool_or(EXISTS (
                SELECT 1 FROM assignments a WHERE a.task_id = t.id AND a.state = 'leased' AND a.lease_until > now()
            )), false) AS leased
        FROM tasks t
        WHERE t.prompt_id = p.id AND t.withdrawn_at IS NULL
    ) t;

-- Runs are listed by project; a page that follows a run asks for what is new.
CREATE INDEX jobs_project ON jobs (project_id, id DESC);
CREATE INDEX job_metrics_at ON job_metrics (job_id, at);
