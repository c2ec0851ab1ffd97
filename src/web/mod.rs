//! The pages that people see, and what every request passes through on its way to them.

pub mod admin;
pub mod annotate;
pub mod assets;
pub mod auth;
pub mod authorise;
pub mod chat;
pub mod csrf;
pub mod error;
pub mod highlight;
pub mod label_words;
pub mod markdown;
pub mod mathematics;
pub mod page;
pub mod preferences;
pub mod routes;
pub mod security;
pub mod serve;
pub mod session;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    middleware,
    response::Redirect,
    routing::{get, post},
};
use sqlx::PgPool;
use tower_http::{
    compression::{
        CompressionLayer,
        predicate::{DefaultPredicate, NotForContentType, Predicate, SizeAbove},
    },
    trace::TraceLayer,
};

pub use crate::i18n;
pub use error::PageError;
pub use page::Page;
use routes::Routes;

use crate::{api, chat::UnderWay, config::Config, domain::role::Role};

/// What handlers share.
#[derive(Clone)]
pub struct AppState {
    pub pool: PgPool,
    pub config: Arc<Config>,
    /// Answers of conversations that are being written.
    pub chats: UnderWay,
}

/// Bytes that a form may have. Uploads set their own limit on their route.
const FORM_LIMIT: usize = 2 * 1024 * 1024;

/// Models' files and Parquet go as they are: they don't shrink, and of the former the length is told.
const WEIGHTS: NotForContentType = NotForContentType::const_new("application/octet-stream");
const PARQUET: NotForContentType = NotForContentType::const_new("application/vnd.apache.parquet");

/// Bytes that go in one packet as they are: what somebody waits for is not made to wait for the compressor too.
const ONE_PACKET: SizeAbove = SizeAbove::new(1_400);

/// The routes of every page and form that people use.
pub fn pages() -> Routes {
    Routes::new()
        .route("/", get(home))
        .route("/preferences", post(preferences::post))
        .merge(auth::routes())
        .merge(annotate::routes())
        .merge(chat::routes())
        .merge(admin::routes())
}

/// Every route of the server, with sessions, security headers and error pages around them.
pub fn router(state: AppState) -> Router {
    let pages = pages()
        .into_router()
        .fallback(not_found)
        .layer(middleware::from_fn(security::refuse_cross_site))
        .layer(middleware::from_fn(error::render))
        .layer(middleware::from_fn_with_state(state.clone(), session::load));

    Router::new()
        .merge(pages)
        .merge(api::routes())
        .route("/static/{*path}", get(assets::serve))
        .route("/healthz", get(health))
        .layer(DefaultBodyLimit::max(FORM_LIMIT))
        .layer(middleware::from_fn_with_state(state.clone(), security::headers))
        .layer(CompressionLayer::new().compress_when(DefaultPredicate::new().and(WEIGHTS).and(PARQUET).and(ONE_PACKET)))
        .layer(TraceLayer::new_for_http())
        .with_state(state)
}

/// Where a person begins: the queue, or the log-in page.
async fn home(visitor: session::Visitor) -> Redirect {
    match visitor.user {
        Some(user) if user.role.allows(Role::Lead) => Redirect::to("/admin"),
        Some(_) => Redirect::to("/queue"),
        None => Redirect::to("/login"),
    }
}

async fn not_found() -> PageError {
    PageError::NotFound
}

/// 200 once the server serves and its database answers.
async fn health(State(state): State<AppState>) -> (StatusCode, &'static str) {
    match sqlx::query("SELECT 1").execute(&state.pool).await {
        Ok(_) => (StatusCode::OK, "ok\n"),
        Err(error) => {
            tracing::error!(%error, "the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")
        }
    }
}
