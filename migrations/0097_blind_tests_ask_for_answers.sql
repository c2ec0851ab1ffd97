-- A blind test of models that have not answered the same prompts asks for the answers that it lacks: of which prompts, and in which
-- jobs. Such an answer is for the test's pair alone; no other task is made of it.

-- How many prompts the lead asked for; empty for tests that were made before this was kept.
ALTER TABLE blind_tests ADD COLUMN prompts integer CONSTRAINT blind_tests_prompts CHECK (prompts > 0);

-- The pairs that a test asks answers for. An answer that is not there yet is awaited; with both, the pair has its task.
CREATE TABLE blind_test_pairs (
    test_id   uuid NOT NULL REFERENCES blind_tests (id),
    prompt_id uuid NOT NULL REFERENCES prompts (id),
    first_id  uuid REFERENCES responses (id),
    second_id uuid REFERENCES responses (id),
    PRIMARY KEY (test_id, prompt_id)
);
CREATE INDEX blind_test_pairs_open ON blind_test_pairs (prompt_id) WHERE first_id IS NULL OR second_id IS NULL;

-- What is awaited now: nobody waits for an answer to a prompt that people may not be asked about any more.
CREATE VIEW awaited_blind_test_pairs AS
    SELECT pair.test_id, pair.prompt_id, pair.first_id, pair.second_id
    FROM blind_test_pairs pair
    JOIN prompts p ON p.id = pair.prompt_id
    WHERE (pair.first_id IS NULL OR pair.second_id IS NULL) AND p.withdrawn_at IS NULL AND p.held_back_at IS NULL;

-- The test that a sampling job writes answers for; none for the answers of a round.
ALTER TABLE jobs
    ADD COLUMN blind_test_id uuid REFERENCES blind_tests (id),
    ADD CONSTRAINT jobs_blind_test_samples CHECK (blind_test_id IS NULL OR (kind = 'sample' AND model_id IS NOT NULL));
CREATE INDEX jobs_blind_test ON jobs (blind_test_id, model_id) WHERE blind_test_id IS NOT NULL;
