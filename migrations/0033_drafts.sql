-- What a draft was before one from another device took its place: nobody loses what they wrote elsewhere.
ALTER TABLE drafts ADD COLUMN displaced jsonb;
