-- A correction changes what stands, not how many stand: a task is looked at again when other rankings stand than those that were
-- compared.
ALTER TABLE review_tasks
    -- A digest of the ids of the rankings that were compared; none of tasks that were looked at before it was kept.
    ADD COLUMN standing text;
COMMENT ON COLUMN review_tasks.rankings IS 'How many rankings stood when they were compared.';
