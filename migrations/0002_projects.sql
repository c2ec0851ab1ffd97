-- Projects, their guidelines, prompts and candidate answers.

CREATE TABLE projects (
    id                    uuid PRIMARY KEY,
    slug                  text NOT NULL CONSTRAINT projects_slug_form CHECK (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name                  text NOT NULL CONSTRAINT projects_name_length CHECK (length(name) BETWEEN 1 AND 200),
    description           text NOT NULL DEFAULT '',
    -- Everyone with an account works on it; otherwise its members only.
    open_to_everyone      boolean NOT NULL DEFAULT true,
    answers_per_prompt    integer NOT NULL DEFAULT 4 CONSTRAINT projects_answers CHECK (answers_per_prompt BETWEEN 2 AND 9),
    demonstration_overlap integer NOT NULL DEFAULT 1 CONSTRAINT projects_demonstration_overlap CHECK (demonstration_overlap BETWEEN 0 AND 9),
    ranking_overlap       integer NOT NULL DEFAULT 1 CONSTRAINT projects_ranking_overlap CHECK (ranking_overlap BETWEEN 1 AND 9),
    lease_minutes         integer NOT NULL DEFAULT 60 CONSTRAINT projects_lease CHECK (lease_minutes BETWEEN 1 AND 1440),
    validation_percent    integer NOT NULL DEFAULT 10 CONSTRAINT projects_validation CHECK (validation_percent BETWEEN 0 AND 50),
    test_percent          integer NOT NULL DEFAULT 10 CONSTRAINT projects_test CHECK (test_percent BETWEEN 0 AND 40),
    -- 'by_hand': an admin promotes. 'if_better': a policy that is better on the held-out split is promoted at once.
    promotion             text NOT NULL DEFAULT 'by_hand' CONSTRAINT projects_promotion CHECK (promotion IN ('by_hand', 'if_better')),
    -- Prompts that get new answers when a policy is promoted.
    prompts_per_round     integer NOT NULL DEFAULT 100 CONSTRAINT projects_round CHECK (prompts_per_round BETWEEN 1 AND 100000),
    -- Settings of the training stages, as a job's config has them.
    training              jsonb NOT NULL DEFAULT '{}',
    -- Labels of this project come from a program that stands in for people; shown wherever they show.
    simulated             boolean NOT NULL DEFAULT false,
    created_at            timestamptz NOT NULL DEFAULT now(),
    archived_at           timestamptz,
    CONSTRAINT projects_slug_unique UNIQUE (slug)
);
ALTER TABLE invitations ADD CONSTRAINT invitations_project FOREIGN KEY (project_id) REFERENCES projects (id);

CREATE TABLE memberships (
    project_id uuid NOT NULL REFERENCES projects (id),
    user_id    uuid NOT NULL REFERENCES users (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, user_id)
);

CREATE TABLE guidelines (
    id         uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects (id),
    version    integer NOT NULL,
    body       text NOT NULL,
    created_by uuid REFERENCES users (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT guidelines_one_per_version UNIQUE (project_id, version)
);

CREATE TABLE prompts (
    id           uuid PRIMARY KEY,
    project_id   uuid NOT NULL REFERENCES projects (id),
    external_id  text,
    -- [{"role": "system"|"user"|"assistant", "content": "…"}, …]
    conversation jsonb NOT NULL CONSTRAINT prompts_conversation CHECK (jsonb_typeof(conversation) = 'array' AND jsonb_array_length(conversation) > 0),
    language     text,
    tags         text[] NOT NULL DEFAULT '{}',
    split        text NOT NULL CONSTRAINT prompts_split CHECK (split IN ('train', 'validation', 'test')),
    -- SHA-256 of the normalised conversation: decides the split, and that no prompt is there twice.
    content_hash bytea NOT NULL,
    extra        jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT prompts_once UNIQUE (project_id, content_hash)
);
CREATE INDEX prompts_project ON prompts (project_id, id);
CREATE UNIQUE INDEX prompts_external ON prompts (project_id, external_id) WHERE external_id IS NOT NULL;
