//! Laurel, the server.
