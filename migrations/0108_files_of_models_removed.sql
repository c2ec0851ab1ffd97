-- The files of models that nothing needs can be removed. The record stays, with its lineage, its metrics and its name on labels.

ALTER TABLE models
    ADD COLUMN files_removed_at timestamptz,
    -- As the audit log names whoever did: a person's email address, or a program.
    ADD COLUMN files_removed_by text,
    ADD CONSTRAINT models_files_removed_by_somebody CHECK ((files_removed_at IS NULL) = (files_removed_by IS NULL)),
    -- A complete model has all its files here: whoever asks for complete ones never finds one without.
    ADD CONSTRAINT models_complete_have_files CHECK (NOT complete OR files_removed_at IS NULL);
CREATE INDEX models_parent ON models (parent_id);

-- The models that the last claim of a job gave to its worker, who may fetch them hours later: whatever is promoted or brought meanwhile,
-- their files stay until the job has ended.
ALTER TABLE jobs ADD COLUMN models_given uuid[] NOT NULL DEFAULT '{}';

ALTER TABLE projects
    -- How many models that runs made stay beside those that are needed, once a night has ended. Null: all of them. Never none: a
    -- night's policy would go before anybody could promote it.
    ADD COLUMN keep_models integer CONSTRAINT projects_keep_models CHECK (keep_models >= 1),
    -- The nights up to this one are done with: a rule is about those that end after it was made.
    ADD COLUMN models_pruned_at timestamptz NOT NULL DEFAULT now();

-- Models whose files stay, each with the first reason that holds.
CREATE VIEW needed_models AS
SELECT model_id, project_id, why
FROM (
    SELECT
        m.id AS model_id,
        m.project_id,
        CASE
            WHEN m.id = answering.id THEN 'answers'
            -- Going back leads there.
            WHEN m.id = earlier.model_id THEN 'answered_before'
            WHEN m.stage = 'base' AND m.complete AND NOT EXISTS (
                SELECT 1
                FROM models newer
                WHERE newer.project_id = m.project_id AND newer.stage = 'base' AND newer.complete AND newer.id > m.id
            ) THEN 'base'
            -- Jobs are given the newest; the other one is the judge that the promoted policy learned from.
            WHEN m.stage = 'reward' AND m.complete AND (m.job_id = answering.job_id OR NOT EXISTS (
                SELECT 1
                FROM models newer
                WHERE newer.project_id = m.project_id AND newer.stage = 'reward' AND newer.complete AND newer.id > m.id
            )) THEN 'reward'
            WHEN EXISTS (
                SELECT 1
                FROM jobs j
                WHERE j.project_id = m.project_id
                    AND j.state IN ('queued', 'running')
                    AND (j.model_id = m.id OR j.id = m.job_id OR m.id = ANY (j.models_given))
            ) THEN 'job'
            -- An adapter is loaded on what it was made from.
            WHEN EXISTS (
                SELECT 1
                FROM models child
                WHERE child.parent_id = m.id
                    AND child.complete
                    AND child.files @> '[{"name": "adapter_config.json"}]'
            ) THEN 'adapter'
        END AS why
    FROM models m
    LEFT JOIN LATERAL (
        SELECT promoted.id, promoted.job_id
        FROM promotions p
        JOIN models promoted ON promoted.id = p.model_id
        WHERE p.project_id = m.project_id
        ORDER BY p.id DESC
        LIMIT 1
    ) answering ON true
    LEFT JOIN LATERAL (
        SELECT p.model_id
        FROM promotions p
        WHERE p.project_id = m.project_id AND p.model_id <> answering.id
        ORDER BY p.id DESC
        LIMIT 1
    ) earlier ON true
) reasons
WHERE why IS NOT NULL;

CREATE FUNCTION needed_models_keep_their_files() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM needed_models WHERE model_id = NEW.id) THEN
        RAISE EXCEPTION 'the files of a model that is needed stay'
            USING ERRCODE = 'check_violation', TABLE = 'models', CONSTRAINT = 'models_needed_keep_their_files';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER models_needed_keep_their_files BEFORE UPDATE OF files_removed_at ON models
    FOR EACH ROW WHEN (OLD.files_removed_at IS NULL AND NEW.files_removed_at IS NOT NULL)
    EXECUTE FUNCTION needed_models_keep_their_files();

-- The lock: whoever removes the files at the same moment comes first and is seen here, or finds the model needed.
CREATE FUNCTION asked_models_have_their_files() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM models WHERE id = NEW.model_id AND files_removed_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the files of this model were removed'
            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_TABLE_NAME || '_model_has_files';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER promotions_model_has_files BEFORE INSERT ON promotions
    FOR EACH ROW EXECUTE FUNCTION asked_models_have_their_files();
CREATE TRIGGER jobs_model_has_files BEFORE INSERT ON jobs
    FOR EACH ROW WHEN (NEW.model_id IS NOT NULL) EXECUTE FUNCTION asked_models_have_their_files();
