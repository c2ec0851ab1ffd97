-- Whether a task's priority was given by hand is asked for every task of a round, and found in the audit log by the task:
-- each time, all priorities that were ever given were read.
CREATE INDEX audit_log_priorities ON audit_log (subject, id DESC) WHERE action = 'task.priority';
