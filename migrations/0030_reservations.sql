-- The task that comes after the one on a person's screen: its page is fetched while they work. It becomes an assignment, with
-- the id and the order that the page was drawn with, when it is shown. Until then it holds no place that somebody else needs.

CREATE TABLE reservations (
    user_id        uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    task_id        uuid NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    -- The id that the assignment will have.
    assignment_id  uuid NOT NULL CONSTRAINT reservations_assignment UNIQUE,
    shown_order    integer[] NOT NULL DEFAULT '{}',
    -- Others are given something else until then; the page's heartbeat renews it.
    reserved_until timestamptz NOT NULL
);
CREATE INDEX reservations_task ON reservations (task_id, reserved_until);
