-- A correction that is half done is kept as every other draft is, and found again on another computer.

-- The version of the label that it would replace, whatever kind of label that is; NULL for a task that is not submitted.
ALTER TABLE drafts ADD COLUMN replaces uuid;

-- Which version stands is looked up as somebody types, corrections among them.
CREATE INDEX demonstrations_assignment ON demonstrations (assignment_id) WHERE assignment_id IS NOT NULL;
CREATE INDEX rankings_assignment ON rankings (assignment_id) WHERE assignment_id IS NOT NULL;

-- The answer that somebody is about to choose in the place of another one, in a turn of a conversation.
CREATE TABLE chat_choice_drafts (
    chat_id    uuid NOT NULL,
    number     integer NOT NULL,
    position   integer NOT NULL,
    -- The choice that it would replace: once that one does not stand any more, it is none.
    replaces   uuid NOT NULL REFERENCES rankings (id),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, number),
    FOREIGN KEY (chat_id, number, position) REFERENCES chat_answers (chat_id, number, position)
);
