-- What somebody is about to say in a conversation: found again on another computer, as other drafts are.
CREATE TABLE chat_drafts (
    chat_id    uuid PRIMARY KEY REFERENCES chats (id),
    -- The turn that it would begin: what was typed before an earlier turn is none any more.
    number     integer NOT NULL,
    body       text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
