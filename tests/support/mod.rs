//! What the server's tests share: one Postgres a test process, one database a test, the real router over real HTTP, people
//! with cookies, and a real browser.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

pub mod browser;
pub mod client;
pub mod cluster;
pub mod line;
pub mod seed;
pub mod trainer;
pub mod training;
pub mod window;

use std::sync::{Arc, LazyLock};

use laurel::{
    chat::UnderWay,
    config::Config,
    domain::{password, role::Role},
    web::{self, AppState},
};
use sqlx::PgPool;
use uuid::Uuid;

pub use browser::Browser;
pub use client::{Client, Reply};
pub use trainer::trainer;

/// Password of every person that [`Server::account`] makes.
pub const PASSWORD: &str = "a password for tests";
/// Its hash, for all of them: each would take as long as logging in is meant to.
static PASSWORD_HASH: LazyLock<String> = LazyLock::new(|| password::hash(PASSWORD).expect("a hash"));

/// A server on a free port with a database of its own.
pub struct Server {
    pub state: AppState,
    /// `http://127.0.0.1:41234`
    pub address: String,
    _data_dir: tempfile::TempDir,
    /// It serves while this is here.
    _stop: tokio::sync::watch::Sender<bool>,
}

/// Starts a server with an empty database.
pub async fn server() -> Server {
    let pool = cluster::database().await;
    let data_dir = tempfile::tempdir().expect("a directory");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let listen = listener.local_addr().expect("an address");
    let config = Config { listen, ..Config::in_directory(data_dir.path()) };
    let state = AppState { pool, config: Arc::new(config), chats: UnderWay::default() };
    let (stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(web::serve::serve(listener, web::router(state.clone()), web::serve::Patience::default(), stopped));
    Server { state, address: format!("http://{listen}"), _data_dir: data_dir, _stop: stop }
}

impl Server {
    pub fn pool(&self) -> &PgPool {
        &self.state.pool
    }

    /// A stranger's browser.
    pub fn client(&self) -> Client {
        Client::new(&self.address)
    }

    /// Makes an account; the email address is made from the name.
    pub async fn account(&self, name: &str, role: Role) -> Uuid {
        let id = Uuid::now_v7();
        sqlx::query(
            "INSERT INTO users (id, email, name, password_hash, role, language) VALUES ($1, $2, $3, $4, $5, 'en')",
        )
        .bind(id)
        .bind(email_of(name))
        .bind(name)
        .bind(PASSWORD_HASH.as_str())
        .bind(role.as_str())
        .execute(self.pool())
        .await
        .expect("an account");
        id
    }

    /// Makes an account and gives a browser with a session of it. The log-in page is gone through by [`Client::log_in`].
    pub async fn user(&self, name: &str, role: Role) -> Client {
        let person = self.account(name, role).await;
        let client = self.client();
        client.enter(self.pool(), person).await;
        client
    }

    /// An API token.
    pub async fn token(&self, role: laurel::db::tokens::TokenRole) -> String {
        let actor = laurel::db::audit::Actor::program("test");
        laurel::db::tokens::create(self.pool(), &actor, "test", role).await.expect("a token")
    }
}

/// `ada@example.org` for “Ada”.
pub fn email_of(name: &str) -> String {
    format!("{}@example.org", name.to_lowercase().replace(' ', "."))
}
