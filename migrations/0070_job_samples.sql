-- What a policy that learns answers to a few fixed prompts, beside its reference, as the run goes on.
CREATE TABLE job_samples (
    job_id           uuid NOT NULL REFERENCES jobs (id),
    stage            text NOT NULL,
    step             bigint NOT NULL CONSTRAINT job_samples_step CHECK (step >= 0),
    -- Which of the step's prompts.
    position         integer NOT NULL CONSTRAINT job_samples_position CHECK (position >= 0),
    -- A list of messages.
    prompt           jsonb NOT NULL,
    policy           text NOT NULL,
    policy_reward    double precision,
    reference        text NOT NULL,
    reference_reward double precision,
    at               timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, stage, step, position)
);
