//! What runs by the clock: nightly training jobs, expired leases, retention.
