-- Answers to rank, who has which task, and what people said. A submitted label is never changed: a correction is a new row.

CREATE TABLE responses (
    id          uuid PRIMARY KEY,
    prompt_id   uuid NOT NULL REFERENCES prompts (id),
    external_id text,
    content     text NOT NULL,
    model       text,
    model_id    uuid REFERENCES models (id),
    sampling    jsonb,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX responses_prompt ON responses (prompt_id);

CREATE TABLE tasks (
    id         uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects (id),
    prompt_id  uuid NOT NULL REFERENCES prompts (id),
    kind       text NOT NULL CONSTRAINT tasks_kind CHECK (kind IN ('demonstration', 'ranking')),
    round      integer NOT NULL DEFAULT 0,
    -- How many people are wanted, fixed when the task is made.
    overlap    integer NOT NULL CONSTRAINT tasks_overlap CHECK (overlap BETWEEN 1 AND 9),
    -- Labels that count towards the overlap; never more than wanted.
    labels     integer NOT NULL DEFAULT 0 CONSTRAINT tasks_labels_within_overlap CHECK (labels BETWEEN 0 AND overlap),
    priority   integer NOT NULL DEFAULT 0,
    job_id     uuid REFERENCES jobs (id),
    withdrawn_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX tasks_one_demonstration_per_prompt ON tasks (prompt_id) WHERE kind = 'demonstration';
CREATE UNIQUE INDEX tasks_one_ranking_per_prompt_and_job ON tasks (job_id, prompt_id) WHERE job_id IS NOT NULL;
CREATE INDEX tasks_open ON tasks (project_id, priority DESC, id) WHERE labels < overlap AND withdrawn_at IS NULL;
CREATE INDEX tasks_prompt ON tasks (prompt_id);

CREATE TABLE task_responses (
    task_id     uuid NOT NULL REFERENCES tasks (id),
    position    integer NOT NULL CONSTRAINT task_responses_position CHECK (position >= 0),
    response_id uuid NOT NULL REFERENCES responses (id),
    PRIMARY KEY (task_id, position),
    CONSTRAINT task_responses_once UNIQUE (task_id, response_id)
);

CREATE TABLE assignments (
    id          uuid PRIMARY KEY,
    task_id     uuid NOT NULL REFERENCES tasks (id),
    user_id     uuid NOT NULL REFERENCES users (id),
    state       text NOT NULL DEFAULT 'leased' CONSTRAINT assignments_state CHECK (state IN ('leased', 'submitted', 'skipped')),
    lease_until timestamptz NOT NULL,
    -- The order in which this person sees the answers: position on the page → position in task_responses.
    shown_order integer[] NOT NULL DEFAULT '{}',
    skip_reason text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    CONSTRAINT assignments_once_per_person UNIQUE (task_id, user_id)
);
CREATE INDEX assignments_user ON assignments (user_id, state);
CREATE INDEX assignments_leased ON assignments (task_id, lease_until) WHERE state = 'leased';

CREATE TABLE drafts (
    assignment_id uuid PRIMARY KEY REFERENCES assignments (id),
    body          jsonb NOT NULL,
    updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE demonstrations (
    id            uuid PRIMARY KEY,
    prompt_id     uuid NOT NULL REFERENCES prompts (id),
    assignment_id uuid REFERENCES assignments (id),
    user_id       uuid REFERENCES users (id),
    -- Who wrote it, as exports name them.
    annotator     text,
    completion    text NOT NULL CONSTRAINT demonstrations_not_empty CHECK (length(btrim(completion)) > 0),
    language      text,
    seconds       double precision,
    -- Beyond the overlap: kept, exported as extra, not counted.
    extra_opinion boolean NOT NULL DEFAULT false,
    replaces_id   uuid REFERENCES demonstrations (id) CONSTRAINT demonstrations_replaced_once UNIQUE,
    external_id   text,
    extra         jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX demonstrations_one_per_assignment ON demonstrations (assignment_id) WHERE replaces_id IS NULL;
CREATE INDEX demonstrations_prompt ON demonstrations (prompt_id);

CREATE TABLE rankings (
    id            uuid PRIMARY KEY,
    prompt_id     uuid NOT NULL REFERENCES prompts (id),
    task_id       uuid REFERENCES tasks (id),
    assignment_id uuid REFERENCES assignments (id),
    user_id       uuid REFERENCES users (id),
    annotator     text,
    seconds       double precision,
    note          text,
    extra_opinion boolean NOT NULL DEFAULT false,
    replaces_id   uuid REFERENCES rankings (id) CONSTRAINT rankings_replaced_once UNIQUE,
    external_id   text,
    extra         jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX rankings_one_per_assignment ON rankings (assignment_id) WHERE replaces_id IS NULL;
CREATE INDEX rankings_prompt ON rankings (prompt_id);

CREATE TABLE ranking_responses (
    ranking_id  uuid NOT NULL REFERENCES rankings (id),
    -- The answer's place in the record; for a task, its position in task_responses.
    position    integer NOT NULL CONSTRAINT ranking_responses_position CHECK (position >= 0),
    response_id uuid NOT NULL REFERENCES responses (id),
    rank        integer NOT NULL CONSTRAINT ranking_responses_rank CHECK (rank >= 1),
    rating      integer CONSTRAINT ranking_responses_rating CHECK (rating BETWEEN 1 AND 7),
    flags       text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (ranking_id, position),
    CONSTRAINT ranking_responses_once UNIQUE (ranking_id, response_id)
);

-- The labels that stand: not replaced by a correction.
CREATE VIEW current_demonstrations AS
    SELECT d.* FROM demonstrations d
    WHERE NOT EXISTS (SELECT 1 FROM demonstrations newer WHERE newer.replaces_id = d.id);

CREATE VIEW current_rankings AS
    SELECT r.* FROM rankings r
    WHERE NOT EXISTS (SELECT 1 FROM rankings newer WHERE newer.replaces_id = r.id);

-- Every pair (better, worse) that a standing ranking says; a tie makes none. Never stored.
CREATE VIEW comparisons AS
    SELECT
        r.id AS ranking_id,
        r.prompt_id,
        r.annotator,
        better.position AS chosen_position,
        worse.position AS rejected_position,
        better.response_id AS chosen_id,
        worse.response_id AS rejected_id,
        worse.rank - better.rank AS margin
    FROM current_rankings r
    JOIN ranking_responses better ON better.ranking_id = r.id
    JOIN ranking_responses worse ON worse.ranking_id = r.id AND worse.rank > better.rank;
