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
    /// A reverse proxy stands before the server: take people's addresses from X-Forwarded-For
    #[arg(long, env = "LAUREL_BEHIND_PROXY")]
    pub behind_proxy: bool,
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
    /// Whether people's addresses come from a reverse proxy, in `X-Forwarded-For`.
    pub behind_proxy: bool,
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
            behind_proxy: network.behind_proxy,
        }
    }

    /// Settings of a process that does not serve: a command.
    pub fn for_command(storage: Storage) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Config::new(storage, Network { listen, public_url: None, behind_proxy: false })
    }

    /// The defaults, with a private Postgres in this directory.
    pub fn in_directory(data_dir: impl Into<PathBuf>) -> Self {
        Config::for_command(Storage { data_dir: data_dir.into(), database_url: None })
    }

    /// Address of a path on this server for people to open.
    pub fn link(&self, path: &str) -> String {
        match &self.public_url {
            Some(url) => format!("{url}{path}"),
            None if self.listen.ip().is_unspecified() => format!("http://localhost:{}{path}", self.listen.port()),
            None => format!("http://{}{path}", self.listen),
        }
    }

    /// Where the files of models lie: one folder a model, named by its id.
    pub fn models_dir(&self) -> PathBuf {
        self.data_dir.join("models")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached_by(listen: &str, public_url: Option<&str>) -> Config {
        let storage = Storage { data_dir: "data".into(), database_url: None };
        let listen = listen.parse().expect("an address");
        Config::new(storage, Network { listen, public_url: public_url.map(str::to_owned), behind_proxy: false })
    }

    #[test]
    fn links_begin_as_people_reach_the_server_and_by_https_cookies_are_for_https_alone() {
        for (listen, public_url, link, secure) in [
            ("127.0.0.1:8080", None, "http://127.0.0.1:8080/login", false),
            ("0.0.0.0:8080", None, "http://localhost:8080/login", false),
            ("0.0.0.0:8080", Some("http://laurel.lan"), "http://laurel.lan/login", false),
            ("127.0.0.1:8080", Some("https://laurel.example.org/"), "https://laurel.example.org/login", true),
        ] {
            let config = reached_by(listen, public_url);
            assert_eq!((config.link("/login").as_str(), config.secure_cookies), (link, secure));
        }
    }
}
