-- Files that were sent for a look before they are imported; they lie in the data directory under their id.

CREATE TABLE uploads (
    id         uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects (id),
    created_by uuid NOT NULL REFERENCES users (id),
    kind       text NOT NULL CONSTRAINT uploads_kind CHECK (kind IN ('prompts', 'responses', 'demonstrations', 'rankings', 'comparisons')),
    -- As the file was called where it came from.
    name       text NOT NULL CONSTRAINT uploads_name_length CHECK (length(name) BETWEEN 1 AND 255),
    bytes      bigint NOT NULL CONSTRAINT uploads_bytes CHECK (bytes >= 0),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX uploads_created ON uploads (created_at);
