-- Leads search every prompt, answer and label by its text.

-- What is said in a conversation, without roles and quotation marks.
CREATE FUNCTION conversation_text(conversation jsonb) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
    SELECT coalesce(string_agg(said.message ->> 'content', E'\n' ORDER BY said.place), '')
    FROM jsonb_array_elements(conversation) WITH ORDINALITY AS said (message, place)
);

ALTER TABLE prompts ADD COLUMN search_text text NOT NULL GENERATED ALWAYS AS (conversation_text(conversation)) STORED;

-- Trigrams find a word in a hundred thousand texts without reading them all. A server whose administrator does not provide the
-- extension searches the same way, by reading.
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX prompts_search ON prompts USING gin (search_text gin_trgm_ops);
    CREATE INDEX responses_search ON responses USING gin (content gin_trgm_ops);
    CREATE INDEX demonstrations_search ON demonstrations USING gin (completion gin_trgm_ops);
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'searching without pg_trgm: %', SQLERRM;
END
$$;

CREATE INDEX demonstrations_annotator ON demonstrations (annotator, id);
CREATE INDEX rankings_annotator ON rankings (annotator, id);
CREATE INDEX responses_model ON responses (model, id);
CREATE INDEX audit_log_action ON audit_log (action, id);
