//! Where a request comes from, to slow down those who guess passwords.

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts},
    http::request::Parts,
};

use crate::web::AppState;

/// Header that a reverse proxy appends the visitor's address to.
const FORWARDED: &str = "x-forwarded-for";

/// The network address of a visitor, as attempts are counted by it. Of IPv6 the network: a household has all of its addresses.
#[derive(Debug, Clone)]
pub struct ClientAddress(pub String);

impl FromRequestParts<AppState> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let forwarded = || {
            let header = parts.headers.get_all(FORWARDED).iter().next_back()?.to_str().ok()?;
            // The last is the proxy's own word; what stands before it anyone can write.
            header.rsplit(',').next()?.trim().parse::<IpAddr>().ok()
        };
        let address = if state.config.behind_proxy { forwarded().or(peer) } else { peer };
        Ok(ClientAddress(address.map(counted).unwrap_or_default()))
    }
}

fn counted(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::Request;
    use sqlx::PgPool;

    use super::*;
    use crate::{chat::UnderWay, config::Config};

    /// What attempts from 192.0.2.1 are counted by that come with these headers.
    async fn counted_by(behind_proxy: bool, forwarded: &[&str]) -> String {
        let pool = PgPool::connect_lazy("postgres://localhost/none").expect("an address");
        let config = Arc::new(Config { behind_proxy, ..Config::in_directory("none") });
        let state = AppState { pool, config, chats: UnderWay::default() };
        let mut request = Request::builder().extension(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 41234))));
        for value in forwarded {
            request = request.header(FORWARDED, *value);
        }
        let (mut parts, ()) = request.body(()).expect("a request").into_parts();
        ClientAddress::from_request_parts(&mut parts, &state).await.expect("an address").0
    }

    #[tokio::test]
    async fn behind_a_proxy_its_own_word_counts_and_elsewhere_nobodys() {
        assert_eq!(counted_by(false, &["198.51.100.7"]).await, "192.0.2.1");
        assert_eq!(counted_by(true, &["203.0.113.9, 198.51.100.7"]).await, "198.51.100.7");
        assert_eq!(counted_by(true, &["203.0.113.9", "198.51.100.7"]).await, "198.51.100.7");
        assert_eq!(counted_by(true, &["unknown"]).await, "192.0.2.1");
        assert_eq!(counted_by(true, &[]).await, "192.0.2.1");
    }

    #[test]
    fn a_household_is_one_visitor() {
        let of = |text: &str| counted(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
    }
}
