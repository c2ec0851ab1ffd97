-- Jobs by the clock or by hand, what they report, the models they make, which of them answers.

CREATE TABLE schedules (
    project_id  uuid PRIMARY KEY REFERENCES projects (id),
    enabled     boolean NOT NULL DEFAULT false,
    -- Minute of the local day, 0 to 1439.
    minute      integer NOT NULL DEFAULT 120 CONSTRAINT schedules_minute CHECK (minute BETWEEN 0 AND 1439),
    timezone    text NOT NULL DEFAULT 'UTC',
    -- The local day for which a job was put last: a day gets one job, however often the server starts.
    last_day    date,
    updated_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE jobs (
    id             uuid PRIMARY KEY,
    project_id     uuid NOT NULL REFERENCES projects (id),
    kind           text NOT NULL CONSTRAINT jobs_kind CHECK (kind IN ('nightly', 'sample')),
    round          integer NOT NULL CONSTRAINT jobs_round CHECK (round >= 0),
    config         jsonb NOT NULL DEFAULT '{}',
    state          text NOT NULL DEFAULT 'queued' CONSTRAINT jobs_state CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    attempts       integer NOT NULL DEFAULT 0,
    worker         text,
    lease          uuid,
    lease_until    timestamptz,
    stop_requested boolean NOT NULL DEFAULT false,
    stage          text,
    step           bigint,
    total_steps    bigint,
    error          text,
    summary        jsonb NOT NULL DEFAULT '{}',
    -- The model to sample from (kind 'sample').
    model_id       uuid,
    created_by     uuid REFERENCES users (id),
    created_at     timestamptz NOT NULL DEFAULT now(),
    started_at     timestamptz,
    finished_at    timestamptz,
    CONSTRAINT jobs_running_has_lease CHECK (state <> 'running' OR (lease IS NOT NULL AND lease_until IS NOT NULL))
);
-- One nightly run of a project at a time.
CREATE UNIQUE INDEX jobs_one_nightly_under_way ON jobs (project_id) WHERE kind = 'nightly' AND state IN ('queued', 'running');
CREATE INDEX jobs_waiting ON jobs (created_at) WHERE state IN ('queued', 'running');

CREATE TABLE job_metrics (
    job_id uuid NOT NULL REFERENCES jobs (id),
    stage  text NOT NULL,
    name   text NOT NULL,
    step   bigint NOT NULL,
    value  double precision NOT NULL,
    at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, stage, name, step)
);

CREATE TABLE job_logs (
    job_id   uuid NOT NULL REFERENCES jobs (id),
    attempt  integer NOT NULL,
    sequence bigint NOT NULL,
    at       timestamptz NOT NULL,
    level    text NOT NULL CONSTRAINT job_logs_level CHECK (level IN ('info', 'warning', 'error')),
    text     text NOT NULL,
    PRIMARY KEY (job_id, attempt, sequence)
);

CREATE TABLE models (
    id           uuid PRIMARY KEY,
    project_id   uuid NOT NULL REFERENCES projects (id),
    name         text NOT NULL,
    stage        text NOT NULL CONSTRAINT models_stage CHECK (stage IN ('base', 'sft', 'reward', 'ppo')),
    round        integer NOT NULL,
    parent_id    uuid REFERENCES models (id),
    job_id       uuid REFERENCES jobs (id),
    digest       text NOT NULL,
    -- [{"name", "bytes", "sha256"}, …]
    files        jsonb NOT NULL,
    metrics      jsonb NOT NULL DEFAULT '{}',
    lineage      jsonb NOT NULL DEFAULT '{}',
    complete     boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT models_name_unique UNIQUE (project_id, name),
    CONSTRAINT models_one_per_stage_of_a_job UNIQUE (job_id, stage)
);
ALTER TABLE jobs ADD CONSTRAINT jobs_model FOREIGN KEY (model_id) REFERENCES models (id);

-- The newest row of a project names the model that answers; going back is a new row.
CREATE TABLE promotions (
    id          uuid PRIMARY KEY,
    project_id  uuid NOT NULL REFERENCES projects (id),
    model_id    uuid NOT NULL REFERENCES models (id),
    by_user     uuid REFERENCES users (id),
    -- Why: 'by hand', or the rule with its numbers.
    reason      text NOT NULL,
    promoted_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX promotions_newest ON promotions (project_id, id DESC);
