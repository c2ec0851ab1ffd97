-- Second looks: which tasks a reviewer should see, what became of each ranking, and the reviewer's own decision.

-- Of the tasks in which nobody disagrees, so many are looked at all the same.
ALTER TABLE projects ADD COLUMN audit_percent integer NOT NULL DEFAULT 5
    CONSTRAINT projects_audit CHECK (audit_percent BETWEEN 0 AND 100);

-- The decision of a reviewer is a ranking of its own, one a task; a new decision replaces the one before.
ALTER TABLE rankings ADD COLUMN adjudicated boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX rankings_one_decision_per_task ON rankings (task_id) WHERE adjudicated AND replaces_id IS NULL;
CREATE INDEX rankings_task ON rankings (task_id);

CREATE OR REPLACE VIEW current_rankings AS
    SELECT r.* FROM rankings r
    WHERE NOT EXISTS (SELECT 1 FROM rankings newer WHERE newer.replaces_id = r.id);

-- Every task whose rankings were compared; those with a reason wait until they are decided.
CREATE TABLE review_tasks (
    task_id      uuid PRIMARY KEY REFERENCES tasks (id),
    -- Rankings that stood when they were compared: with another number they are compared again.
    rankings     integer NOT NULL,
    -- Share of the pairs that two people decided in which they chose differently.
    disagreement double precision,
    -- 'best': no answer is everyone's best; 'pairs': many pairs differ; 'audit': by chance; 'hand': a reviewer opened it.
    reason       text CONSTRAINT review_tasks_reason CHECK (reason IN ('best', 'pairs', 'audit', 'hand')),
    decided_at   timestamptz,
    decided_by   uuid REFERENCES users (id)
);
CREATE INDEX review_tasks_open ON review_tasks (task_id) WHERE reason IS NOT NULL AND decided_at IS NULL;

-- What a reviewer said of a ranking; the newest counts.
CREATE TABLE reviews (
    id          uuid PRIMARY KEY,
    ranking_id  uuid NOT NULL REFERENCES rankings (id),
    reviewer_id uuid NOT NULL REFERENCES users (id),
    verdict     text NOT NULL CONSTRAINT reviews_verdict CHECK (verdict IN ('accepted', 'corrected', 'rejected')),
    -- For the person whose ranking it is.
    feedback    text NOT NULL DEFAULT '' CONSTRAINT reviews_feedback_length CHECK (length(feedback) <= 4000),
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX reviews_ranking ON reviews (ranking_id, id DESC);

CREATE VIEW current_reviews AS
    SELECT DISTINCT ON (ranking_id)
        ranking_id,
        id,
        reviewer_id,
        verdict,
        feedback,
        created_at
    FROM reviews
    ORDER BY ranking_id, id DESC;

-- Rankings that exports leave out: rejected, or corrected by the decision that stands in their place.
CREATE VIEW rankings_set_aside AS
    SELECT ranking_id FROM current_reviews WHERE verdict IN ('corrected', 'rejected');
