//! Every setting of the server.

/// Settings of the server.
#[derive(Debug, Clone)]
pub struct Config {
    pub secure_cookies: bool,
}
