//! Takes connections and serves them: as `axum::serve` does, but whoever begins a request and does not go on with it is not waited for.

use std::{io::ErrorKind, net::SocketAddr, pin::pin, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tower::ServiceExt;
use tower_http::timeout::TimeoutBody;

/// Time for the head of a request, from the moment when the connection is free for it: an idle connection is closed after it too.
/// Browsers that show a task say something at least once a minute.
pub const HEAD: Duration = Duration::from_secs(90);

/// Time in which something more of a request's body has to come. A whole body may take as long as it needs.
pub const BODY: Duration = Duration::from_secs(60);

/// How long is waited for parts of a request.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub head: Duration,
    pub body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { head: HEAD, body: BODY }
    }
}

/// Pause after connections can't be taken, where the system has no more of what they need.
const AGAIN: Duration = Duration::from_secs(1);

/// Serves until `stop` says so; then it ends the requests under way, and those alone.
pub async fn serve(listener: TcpListener, app: Router, patience: Patience, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = told(&mut stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                connections.spawn(connection(stream, peer, app.clone(), patience, stop.clone()));
            }
            // Gone before it was taken.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::error!(%error, "a connection can't be taken");
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = told(&mut stop) => {}
                }
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
    patience: Patience,
    mut stop: watch::Receiver<bool>,
) {
    // The end of an answer is not held back until its beginning is acknowledged.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        app.clone().oneshot(request.map(|body| Body::new(TimeoutBody::new(patience.body, body))))
    });
    let mut serving = http1::Builder::new();
    serving.timer(TokioTimer::new()).header_read_timeout(patience.head);
    let mut served = pin!(serving.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = told(&mut stop) => {
            served.as_mut().graceful_shutdown();
            served.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection ended early");
    }
}

/// Waits for the word to stop. Whoever could say it may be gone: that is the word too.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
