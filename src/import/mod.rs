//! Reads records in: our own forms, and what other tools export.
