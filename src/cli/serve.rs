//! `laurel serve`: the pages, the API and the clock, until somebody ends it.

use std::{fs::OpenOptions, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use nix::fcntl::{Flock, FlockArg};
use tokio::{net::TcpListener, signal::unix::SignalKind, sync::watch};

use super::print;
use crate::{
    chat::UnderWay,
    config::Config,
    db::{self, Database, invitations, users},
    jobs::clock,
    web::{self, AppState},
};

/// Time that requests under way have to end when the server stops; streams to dashboards don't end by themselves.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or Ctrl-C.
pub async fn run(config: Config) -> anyhow::Result<()> {
    run_after(config, async |_, _| Ok(())).await
}

/// Serves, after `prepare` has done its work on the open database: before the first page is given.
pub async fn run_after(
    mut config: Config,
    prepare: impl AsyncFnOnce(&Database, &Config) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let _alone = only_server(&config)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("{} can't be listened on; choose another with --listen", config.listen))?;
    config.listen = listener.local_addr()?;
    // From here on whoever ends it waits until the private Postgres is stopped too.
    let mut stopped = end();
    let database = db::open_to_serve(&config).await?;
    let prepared = tokio::select! {
        prepared = prepare(&database, &config) => prepared.map(|()| true),
        _ = stopped.wait_for(|stop| *stop) => Ok(false),
    };
    let served = match prepared {
        Ok(true) => serve(&database, config, listener, stopped).await,
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    database.close().await?;
    served
}

async fn serve(
    database: &Database,
    config: Config,
    listener: TcpListener,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    greet(database, &config).await?;
    let clock = clock::start(database.pool.clone(), config.models_dir());
    let state = AppState { pool: database.pool.clone(), config: Arc::new(config), chats: UnderWay::default() };
    let server = web::serve::serve(listener, web::router(state), web::serve::Patience::default(), stopped.clone());
    let mut hard = stopped;
    tokio::select! {
        () = server => {}
        () = async {
            let _ = hard.wait_for(|stop| *stop).await;
            tokio::time::sleep(LAST_REQUESTS).await;
        } => tracing::info!("stopped with requests under way"),
    }
    clock.abort();
    Ok(())
}

/// The address, and the link for the first admin while there is nobody.
async fn greet(database: &Database, config: &Config) -> anyhow::Result<()> {
    print(format!("Laurel serves {}", config.link("/")))?;
    if !users::any(&database.pool).await? {
        let secret = invitations::create_first_admin(&database.pool).await?;
        print("\nNobody has an account yet. Make the admin's here (the link works once):")?;
        print(format!("  {}\n", config.link(&format!("/invitations/{secret}"))))?;
    }
    Ok(())
}

/// One server a data directory; the lock goes with the process.
pub(super) fn only_server(config: &Config) -> anyhow::Result<Flock<std::fs::File>> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("the data directory {} can't be made", config.data_dir.display()))?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(config.data_dir.join("server.lock"))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
            bail!("another laurel serves the data directory {} already", config.data_dir.display())
        }
        Err((_, error)) => Err(error).context("the data directory can't be locked"),
    }
}

/// Becomes true when somebody ends the program.
fn end() -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        ended_by_somebody().await;
        let _ = stop.send(true);
    });
    stopped
}

async fn ended_by_somebody() {
    let terminated = tokio::signal::unix::signal(SignalKind::terminate());
    match terminated {
        Ok(mut terminated) => tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
