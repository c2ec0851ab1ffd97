-- Projects set flags of their own and the scale of their ratings. A label keeps the scale that it was given on, so that what its
-- numbers mean does not change when the project's scale does.

-- {"lowest": 0|1, "highest": 2…10, "lowest_word"?, "highest_word"?}
CREATE FUNCTION is_rating_scale(scale jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(
        jsonb_typeof(scale) = 'object'
            AND scale -> 'lowest' IN ('0', '1')
            AND scale -> 'highest' IN ('2', '3', '4', '5', '6', '7', '8', '9', '10')
            AND length(coalesce(scale ->> 'lowest_word', '')) <= 40
            AND length(coalesce(scale ->> 'highest_word', '')) <= 40,
        false
    );

CREATE FUNCTION is_on_scale(rating integer, scale jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN rating IS NULL OR rating BETWEEN (scale ->> 'lowest')::integer AND (scale ->> 'highest')::integer;

-- Labels from before had the one scale that there was.
ALTER TABLE rankings ADD COLUMN rating_scale jsonb NOT NULL DEFAULT '{"lowest": 1, "highest": 7}'
    CONSTRAINT rankings_rating_scale CHECK (is_rating_scale(rating_scale));

CREATE OR REPLACE VIEW current_rankings AS
    SELECT r.* FROM rankings r
    WHERE NOT EXISTS (SELECT 1 FROM rankings newer WHERE newer.replaces_id = r.id);

-- A word stands for itself in exports, and lists of words are handed about with commas between them.
CREATE FUNCTION are_flag_words(words text[]) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT coalesce(bool_and(coalesce(word ~ '^[^,[:cntrl:]]{1,100}$', false)), true) FROM unnest(words) AS word);

ALTER TABLE ranking_responses
    DROP CONSTRAINT ranking_responses_rating,
    ADD CONSTRAINT ranking_responses_rating CHECK (rating BETWEEN 0 AND 10),
    -- Not of the rows that are here: imports took every text for a flag, and a label is never changed.
    ADD CONSTRAINT ranking_responses_flags CHECK (flags = '{}' OR are_flag_words(flags)) NOT VALID;

-- Which flags a project's labels have is asked often, and most answers have none.
CREATE INDEX ranking_responses_flagged ON ranking_responses (ranking_id) WHERE flags <> '{}';

-- The scale stands in the ranking and the ratings beside its answers, so no CHECK sees both. Once a statement, as imports bring
-- many rows at a time.
CREATE FUNCTION keep_ratings_on_their_scale() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1
        FROM placed
        JOIN rankings r ON r.id = placed.ranking_id
        WHERE NOT is_on_scale(placed.rating, r.rating_scale)
    ) THEN
        RAISE EXCEPTION 'a rating is not on the scale of its ranking'
            USING ERRCODE = 'check_violation', TABLE = 'ranking_responses', CONSTRAINT = 'ranking_responses_on_scale';
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER ranking_responses_on_scale AFTER INSERT ON ranking_responses
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION keep_ratings_on_their_scale();
CREATE TRIGGER ranking_responses_stay_on_scale AFTER UPDATE ON ranking_responses
    REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION keep_ratings_on_their_scale();

CREATE FUNCTION are_on_scale(ratings integer[], scale jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT coalesce(bool_and(is_on_scale(rating, scale)), true) FROM unnest(ratings) AS rating);

ALTER TABLE gold_answers
    ADD COLUMN rating_scale jsonb NOT NULL DEFAULT '{"lowest": 1, "highest": 7}'
        CONSTRAINT gold_answers_rating_scale CHECK (is_rating_scale(rating_scale)),
    ADD CONSTRAINT gold_answers_on_scale CHECK (are_on_scale(ratings, rating_scale));
ALTER TABLE gold_corrections
    ADD COLUMN rating_scale jsonb NOT NULL DEFAULT '{"lowest": 1, "highest": 7}'
        CONSTRAINT gold_corrections_rating_scale CHECK (is_rating_scale(rating_scale)),
    ADD CONSTRAINT gold_corrections_on_scale CHECK (are_on_scale(ratings, rating_scale));

-- [{"word", "names": {"en": …}, "hint", "removed"}…]: words are written as names of programs are, each once; 20 are offered at most.
CREATE FUNCTION are_own_flags(flags jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(flags) <> 'array' THEN false
        ELSE (
            SELECT coalesce(bool_and(coalesce(flag ->> 'word' ~ '^[a-z][a-z0-9_]{0,39}$', false)), true)
                AND count(DISTINCT flag ->> 'word') = count(*)
                AND count(*) FILTER (WHERE flag -> 'removed' IS DISTINCT FROM 'true') <= 20
            FROM jsonb_array_elements(flags) AS flag
        )
    END;

-- What is absent from a scheme has its default: "scale" 1 to 7, "own_flags" none.
ALTER TABLE projects
    ADD CONSTRAINT projects_label_scheme_scale CHECK (is_rating_scale(coalesce(label_scheme -> 'scale', '{"lowest": 1, "highest": 7}'))),
    ADD CONSTRAINT projects_label_scheme_flags CHECK (are_own_flags(coalesce(label_scheme -> 'own_flags', '[]')));
