-- A link by which a person sets a new password, made by an admin: the server keeps only its hash.

CREATE TABLE password_resets (
    id         uuid PRIMARY KEY,
    token_hash bytea NOT NULL CONSTRAINT password_resets_token_unique UNIQUE,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_by uuid REFERENCES users (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    -- A newer link was made.
    revoked_at timestamptz
);
CREATE INDEX password_resets_user ON password_resets (user_id);
