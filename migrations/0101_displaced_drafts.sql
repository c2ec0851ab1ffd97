-- What was displaced is offered on every page of its task until somebody takes it over or discards it, and what is displaced later does
-- not take its place: it is a list now, oldest first, of {"saved_at", "replaces", "fields"}, or NULL. `saved_at` is when it had been
-- saved itself, in milliseconds since 1970. Of what was displaced until now that time is not known: it was before the draft's own.
UPDATE drafts
SET displaced = jsonb_build_array(jsonb_build_object(
    'saved_at', floor(extract(epoch FROM updated_at) * 1000)::bigint - 1,
    'replaces', replaces,
    'fields', displaced
))
WHERE displaced IS NOT NULL;

ALTER TABLE drafts ADD CONSTRAINT drafts_displaced_is_a_list CHECK (jsonb_typeof(displaced) = 'array');
