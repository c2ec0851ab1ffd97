-- Two models head to head on prompts that both have answered; people do not see which is which.

CREATE TABLE blind_tests (
    id         uuid PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects (id),
    first      text NOT NULL,
    second     text NOT NULL,
    created_by uuid REFERENCES users (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT blind_tests_two_models CHECK (first <> second)
);
CREATE INDEX blind_tests_project ON blind_tests (project_id, id DESC);

CREATE TABLE blind_test_tasks (
    task_id uuid PRIMARY KEY REFERENCES tasks (id),
    test_id uuid NOT NULL REFERENCES blind_tests (id)
);
CREATE INDEX blind_test_tasks_test ON blind_test_tasks (test_id);
