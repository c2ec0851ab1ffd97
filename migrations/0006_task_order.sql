-- The order in which waiting tasks of a kind are handed out: the next one is found without sorting all that wait.

CREATE INDEX tasks_next ON tasks (kind, priority DESC, id) WHERE labels < overlap AND withdrawn_at IS NULL;
