-- Second looks at what people write: a reviewer accepts a demonstration, puts a text of their own in its place, or rejects it.

-- Of the demonstrations that people submit, so many wait for a reviewer.
ALTER TABLE projects ADD COLUMN demonstration_review_percent integer NOT NULL DEFAULT 100
    CONSTRAINT projects_demonstration_review CHECK (demonstration_review_percent BETWEEN 0 AND 100);

-- The text of a reviewer: in force while the decision that brought it is.
ALTER TABLE demonstrations ADD COLUMN adjudicated boolean NOT NULL DEFAULT false;
ALTER TABLE demonstrations ADD CONSTRAINT demonstrations_adjudicated_replace CHECK (NOT adjudicated OR replaces_id IS NOT NULL);

-- A decision is never changed: a second thought is a new one that names the one that it takes the place of.
CREATE TABLE demonstration_reviews (
    id               uuid PRIMARY KEY,
    demonstration_id uuid NOT NULL REFERENCES demonstrations (id),
    reviewer_id      uuid NOT NULL REFERENCES users (id),
    verdict          text NOT NULL CONSTRAINT demonstration_reviews_verdict CHECK (verdict IN ('accepted', 'corrected', 'rejected')),
    -- For the person who wrote it.
    feedback         text NOT NULL DEFAULT '' CONSTRAINT demonstration_reviews_feedback_length CHECK (length(feedback) <= 4000),
    -- The reviewer's own text.
    text_id          uuid REFERENCES demonstrations (id),
    -- Whether the demonstration, or the text in its place, fills a place of its task from now on.
    counts           boolean NOT NULL,
    replaces_id      uuid CONSTRAINT demonstration_reviews_replaced_once UNIQUE,
    created_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT demonstration_reviews_text CHECK ((verdict = 'corrected') = (text_id IS NOT NULL)),
    CONSTRAINT demonstration_reviews_reason CHECK (verdict <> 'rejected' OR feedback <> ''),
    CONSTRAINT demonstration_reviews_rejected_counts_not CHECK (verdict <> 'rejected' OR NOT counts),
    CONSTRAINT demonstration_reviews_id_of UNIQUE (id, demonstration_id),
    CONSTRAINT demonstration_reviews_replaces FOREIGN KEY (replaces_id, demonstration_id)
        REFERENCES demonstration_reviews (id, demonstration_id)
);
-- Of two reviewers who decide at once, one is first.
CREATE UNIQUE INDEX demonstration_reviews_one_first ON demonstration_reviews (demonstration_id) WHERE replaces_id IS NULL;
CREATE INDEX demonstration_reviews_demonstration ON demonstration_reviews (demonstration_id);
CREATE INDEX demonstration_reviews_text_id ON demonstration_reviews (text_id) WHERE text_id IS NOT NULL;

CREATE VIEW current_demonstration_reviews AS
    SELECT v.*
    FROM demonstration_reviews v
    WHERE NOT EXISTS (SELECT 1 FROM demonstration_reviews newer WHERE newer.replaces_id = v.id);

-- The last version of each writer, whatever became of it, and the texts of reviewers that are in force.
CREATE OR REPLACE VIEW current_demonstrations AS
    SELECT d.*
    FROM demonstrations d
    WHERE NOT EXISTS (SELECT 1 FROM demonstrations newer WHERE newer.replaces_id = d.id AND NOT newer.adjudicated)
        AND (NOT d.adjudicated OR EXISTS (SELECT 1 FROM current_demonstration_reviews v WHERE v.text_id = d.id));

-- Those that count and are learned from: neither rejected by a reviewer nor replaced by a reviewer's text.
CREATE VIEW standing_demonstrations AS
    SELECT d.*
    FROM current_demonstrations d
    WHERE NOT EXISTS (
        SELECT 1 FROM current_demonstration_reviews v WHERE v.demonstration_id = d.id AND v.verdict <> 'accepted');

-- What waits for a reviewer: what people submitted here, as many of it as the project wants.
CREATE VIEW demonstrations_to_review AS
    SELECT
        d.id,
        d.prompt_id,
        d.user_id,
        p.project_id
    FROM current_demonstrations d
    JOIN prompts p ON p.id = d.prompt_id
    JOIN projects project ON project.id = p.project_id
    WHERE NOT d.adjudicated
        AND d.assignment_id IS NOT NULL
        -- All versions of a text are looked at, or none.
        AND ('x' || substr(md5(d.assignment_id::text), 1, 7))::bit(28)::integer % 100 < project.demonstration_review_percent
        AND NOT EXISTS (SELECT 1 FROM demonstration_reviews v WHERE v.demonstration_id = d.id);

-- What a reviewer has judged stays as it is: its maker hears why instead.
CREATE OR REPLACE FUNCTION may_be_corrected(label uuid) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN label IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM reviews WHERE ranking_id = label)
        AND NOT EXISTS (SELECT 1 FROM demonstration_reviews WHERE demonstration_id = label);

CREATE OR REPLACE VIEW prompt_states AS
    SELECT
        p.id AS prompt_id,
        p.project_id,
        p.split,
        p.language,
        CASE
            WHEN t.open > 0 AND (t.labels > 0 OR t.leased) THEN 'under_way'
            WHEN t.open > 0 THEN 'waiting'
            WHEN t.labels > 0
                OR EXISTS (SELECT 1 FROM standing_demonstrations d WHERE d.prompt_id = p.id)
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
