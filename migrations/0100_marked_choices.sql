-- The first choice of a turn, once it is marked and until it is confirmed, is kept as a correction of one is: with no choice that it
-- would replace. So is the time that was worked on it: whoever goes on at another computer goes on with the clock.
ALTER TABLE chat_choice_drafts
    ALTER COLUMN replaces DROP NOT NULL,
    ADD COLUMN seconds double precision CONSTRAINT chat_choice_drafts_seconds CHECK (seconds >= 0);
