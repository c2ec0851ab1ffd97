-- Searching labels looks into the notes of rankings, too: each search read every ranking for the few that have one.
CREATE INDEX rankings_search ON rankings USING gin (note gin_trgm_ops) WHERE note IS NOT NULL;
