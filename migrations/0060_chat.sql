-- Talking with a model: each turn shows two or more answers; the choice goes on with the conversation and is a ranking.

CREATE TABLE chat_endpoints (
    project_id    uuid PRIMARY KEY REFERENCES projects (id),
    -- Up to and without /chat/completions: https://models.example.org/v1
    base_url      text NOT NULL CONSTRAINT chat_endpoints_url CHECK (base_url ~ '^https?://[^ ]+$'),
    model         text NOT NULL CONSTRAINT chat_endpoints_model CHECK (length(model) BETWEEN 1 AND 200),
    -- Sent as a bearer token; never shown again.
    api_key       text,
    system_prompt text NOT NULL DEFAULT '',
    answers       integer NOT NULL DEFAULT 2 CONSTRAINT chat_endpoints_answers CHECK (answers BETWEEN 2 AND 4),
    temperature   double precision NOT NULL DEFAULT 1 CONSTRAINT chat_endpoints_temperature CHECK (temperature BETWEEN 0 AND 2),
    max_tokens    integer NOT NULL DEFAULT 512 CONSTRAINT chat_endpoints_tokens CHECK (max_tokens BETWEEN 1 AND 32768),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE chats (
    id          uuid PRIMARY KEY,
    project_id  uuid NOT NULL REFERENCES projects (id),
    user_id     uuid NOT NULL REFERENCES users (id),
    -- All turns of a conversation are in one split: a later turn carries the earlier ones.
    split       text CONSTRAINT chats_split CHECK (split IN ('train', 'validation', 'test')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX chats_user ON chats (user_id, id DESC);

CREATE TABLE chat_turns (
    chat_id    uuid NOT NULL REFERENCES chats (id),
    number     integer NOT NULL CONSTRAINT chat_turns_number CHECK (number >= 0),
    -- The conversation up to and with what the person said.
    prompt_id  uuid NOT NULL REFERENCES prompts (id),
    -- The choice, once it is made.
    ranking_id uuid REFERENCES rankings (id) CONSTRAINT chat_turns_ranking_once UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, number)
);

CREATE TABLE chat_answers (
    chat_id     uuid NOT NULL,
    number      integer NOT NULL,
    position    integer NOT NULL CONSTRAINT chat_answers_position CHECK (position >= 0),
    response_id uuid NOT NULL REFERENCES responses (id) CONSTRAINT chat_answers_response_once UNIQUE,
    PRIMARY KEY (chat_id, number, position),
    FOREIGN KEY (chat_id, number) REFERENCES chat_turns (chat_id, number)
);
