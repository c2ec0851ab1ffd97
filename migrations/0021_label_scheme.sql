-- What people say of each answer besides its rank, and corrections.

-- {"rating": "off"|"optional"|"required", "flags": [word…], "note": true|false}; what is absent has its default.
ALTER TABLE projects ADD COLUMN label_scheme jsonb NOT NULL DEFAULT '{}'
    CONSTRAINT projects_label_scheme CHECK (jsonb_typeof(label_scheme) = 'object');

-- None of the answers is good; the order stands all the same.
ALTER TABLE rankings ADD COLUMN all_bad boolean NOT NULL DEFAULT false;

CREATE OR REPLACE VIEW current_rankings AS
    SELECT r.* FROM rankings r
    WHERE NOT EXISTS (SELECT 1 FROM rankings newer WHERE newer.replaces_id = r.id);

-- The one place that decides whether a label that stands may be replaced by its maker: whatever closes labels puts its rule here.
CREATE FUNCTION may_be_corrected(label uuid) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN label IS NOT NULL;
