training-kind-nightly = Training run
training-kind-sample = New answers
training-state-queued = waiting
training-state-running = running
training-state-done = done
training-state-failed = failed
training-state-cancelled = stopped
training-round = Round { $round }
