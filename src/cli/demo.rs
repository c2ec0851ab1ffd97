//! `laurel demo`: serves the sample project; the first start makes it, every later one finds it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{print, serve};
use crate::{
    config::Config,
    sample::{
        accounts::Account,
        first_labels,
        seed::{self, PROJECT},
    },
};

/// Serves the sample project until SIGTERM or Ctrl-C.
pub async fn run(config: Config) -> anyhow::Result<()> {
    serve::run_after(config, async |database, config| {
        let seeded = seed::seed(&database.pool, &config.data_dir).await?;
        introduce(&seeded.accounts, config)?;
        // The port is open already: the annotators' first request waits until the pages are served.
        let (pool, server) = (database.pool.clone(), format!("http://{}", reachable(config.listen)));
        tokio::spawn(async move {
            if let Err(error) = first_labels::give(&pool, &server, &seeded.accounts).await {
                tracing::warn!("the simulated annotators of the demo stopped: {error:#}");
            }
        });
        Ok(())
    })
    .await
}

fn introduce(accounts: &[Account], config: &Config) -> anyhow::Result<()> {
    print(format!("The sample project: {}", config.link(&format!("/admin/projects/{PROJECT}"))))?;
    print("Log in as one of")?;
    for account in accounts {
        let note = if account.simulated { "  a program: its labels are simulated" } else { "" };
        let role = account.role.as_str();
        print(format!("  {:<28} password {:<16} {role:<10}{note}", account.email, account.password))?;
    }
    Ok(())
}

/// The address by which this machine reaches a listener.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = if listen.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listen.ip() };
    SocketAddr::new(ip, listen.port())
}
