-- What a reviewer has judged stays as it is: its maker hears why instead.

CREATE OR REPLACE FUNCTION may_be_corrected(label uuid) RETURNS boolean
    LANGUAGE sql STABLE
    RETURN label IS NOT NULL AND NOT EXISTS (SELECT 1 FROM reviews WHERE ranking_id = label);
