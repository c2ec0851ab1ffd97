//! Every setting of the server: its flag, its variable, its default.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

/// Where the data is. Every command takes these.
#[derive(Debug, Clone, Args)]
pub struct Storage {
    /// Directory of everything that the server keeps: its own Postgres, the models' files
    #[arg(long, global = true, env = "LAUREL_DATA_DIR", default_value = "data", value_name = "DIRECTORY")]
    pub data_dir: PathBuf,
    /// An existing Postgres (15 or newer) instead of a private one in the data directory
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<String>,
}

/// How the server is reached.
#[derive(Debug, Clone, Args)]
pub struct Network {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, env = "LAUREL_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Address that people use, where it differs: https://laurel.example.org. With https, cookies are sent over https only
    #[arg(long, env = "LAUREL_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
}

/// Settings of the server.
#[derive(Debug, Clone)]
pub struct Config {
    pub data_dir: PathBuf,
    pub database_url: Option<String>,
    pub listen: SocketAddr,
    /// Address for links that people get, without a slash at the end.
    pub public_url: Option<String>,
    /// Whether cookies are `Secure`: people reach the server by https.
    pub secure_cookies: bool,
}

impl Config {
    /// Settings of a process that serves.
    pub fn new(storage: Storage, network: Network) -> Self {
        let public_url = network.public_url.map(|url| url.trim_end_matches('/').to_owned());
        let secure_cookies = public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
        Config {
            data_dir: storage.data_dir,
            database_url: storage.database_url.filter(|url| !url.is_empty()),
            listen: network.listen,
            public_url,
            secure_cookies,
        }
    }

    /// Where the files of models lie: one folder a model, named by its id.
    pub fn models_dir(&self) -> PathBuf {
        self.data_dir.join("models")
    }
}
