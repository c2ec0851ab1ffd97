-- Two answers head to head: a task of its own kind, stored as a ranking of two with how sure the person is.

ALTER TABLE projects ADD COLUMN judgement text NOT NULL DEFAULT 'ranking'
    CONSTRAINT projects_judgement CHECK (judgement IN ('ranking', 'comparison'));

ALTER TABLE tasks DROP CONSTRAINT tasks_kind;
ALTER TABLE tasks ADD CONSTRAINT tasks_kind CHECK (kind IN ('demonstration', 'ranking', 'comparison'));

-- 1: the answer of position 0 is far better, 9: that of position 1 is, 5: about the same; whatever order was shown.
ALTER TABLE rankings ADD COLUMN confidence integer CONSTRAINT rankings_confidence CHECK (confidence BETWEEN 1 AND 9);

CREATE OR REPLACE VIEW current_rankings AS
    SELECT r.* FROM rankings r
    WHERE NOT EXISTS (SELECT 1 FROM rankings newer WHERE newer.replaces_id = r.id);

-- Every pair (better, worse) that a standing ranking says; a tie makes none. Never stored.
CREATE OR REPLACE VIEW comparisons AS
    SELECT
        r.id AS ranking_id,
        r.prompt_id,
        r.annotator,
        better.position AS chosen_position,
        worse.position AS rejected_position,
        better.response_id AS chosen_id,
        worse.response_id AS rejected_id,
        coalesce(abs(r.confidence - 5), worse.rank - better.rank) AS margin
    FROM current_rankings r
    JOIN ranking_responses better ON better.ranking_id = r.id
    JOIN ranking_responses worse ON worse.ranking_id = r.id AND worse.rank > better.rank;

-- The kind of a task in which people judge these many answers, as the project wants it.
CREATE FUNCTION judgement_kind(judgement text, answers bigint) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN judgement = 'comparison' AND answers = 2 THEN 'comparison' ELSE 'ranking' END;
