-- Decisions about the rankings of a task are rows of their own, as those about texts are: a second thought names the decision that it
-- takes the place of, of two reviewers at once the second is told, and a reviewer's order is in force while its decision is.

CREATE TABLE ranking_decisions (
    id          uuid PRIMARY KEY,
    task_id     uuid NOT NULL REFERENCES tasks (id),
    reviewer_id uuid NOT NULL REFERENCES users (id),
    -- The reviewer's own order; none where they gave none.
    ranking_id  uuid REFERENCES rankings (id) CONSTRAINT ranking_decisions_ranking_once UNIQUE,
    replaces_id uuid CONSTRAINT ranking_decisions_replaced_once UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ranking_decisions_id_of UNIQUE (id, task_id),
    CONSTRAINT ranking_decisions_replaces FOREIGN KEY (replaces_id, task_id) REFERENCES ranking_decisions (id, task_id)
);
-- Of two reviewers who decide at once, one is first.
CREATE UNIQUE INDEX ranking_decisions_one_first ON ranking_decisions (task_id) WHERE replaces_id IS NULL;
CREATE INDEX ranking_decisions_task ON ranking_decisions (task_id);

CREATE VIEW current_ranking_decisions AS
    SELECT d.*
    FROM ranking_decisions d
    WHERE NOT EXISTS (SELECT 1 FROM ranking_decisions newer WHERE newer.replaces_id = d.id);

-- The last decision of every task. An order that was given at another time than it was decided is of an earlier decision: the last one
-- took it back. Both times are that of their transaction.
INSERT INTO ranking_decisions (id, task_id, reviewer_id, ranking_id, created_at)
SELECT
    gen_random_uuid(),
    k.task_id,
    k.decided_by,
    (
        SELECT r.id
        FROM rankings r
        WHERE r.task_id = k.task_id
            AND r.adjudicated
            AND r.created_at = k.decided_at
            AND NOT EXISTS (SELECT 1 FROM rankings newer WHERE newer.replaces_id = r.id)
    ),
    k.decided_at
FROM review_tasks k
WHERE k.decided_at IS NOT NULL AND k.decided_by IS NOT NULL;

-- The last version of each person, and the orders of reviewers that are in force.
CREATE OR REPLACE VIEW current_rankings AS
    SELECT r.*
    FROM rankings r
    WHERE NOT EXISTS (SELECT 1 FROM rankings newer WHERE newer.replaces_id = r.id)
        AND (NOT r.adjudicated OR EXISTS (SELECT 1 FROM current_ranking_decisions d WHERE d.ranking_id = r.id));

-- A task that is decided waits again once other rankings stand than those that were decided about.
ALTER TABLE review_tasks
    DROP CONSTRAINT review_tasks_reason,
    -- 'best': no answer is everyone's best; 'pairs': many pairs differ; 'audit': by chance; 'hand': a reviewer opened it;
    -- 'again': another ranking has come since the decision.
    ADD CONSTRAINT review_tasks_reason CHECK (reason IN ('best', 'pairs', 'audit', 'hand', 'again'));
COMMENT ON COLUMN review_tasks.standing IS 'A digest of the ids of the rankings that were compared, or decided about, last.';
COMMENT ON COLUMN review_tasks.decided_at IS 'When it was decided; empty while it waits, for the first time or again.';

UPDATE review_tasks k
SET standing = (
    SELECT md5(string_agg(r.id::text, ' ' ORDER BY r.id))
    FROM rankings r
    WHERE r.task_id = k.task_id
        AND NOT r.adjudicated
        AND EXISTS (SELECT 1 FROM reviews v WHERE v.ranking_id = r.id)
)
WHERE k.decided_at IS NOT NULL;
