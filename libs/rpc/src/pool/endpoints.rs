//! The addresses of a service, looked up again every five seconds while it is called.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tracing::warn;

use super::connection::{Address, Connection};

const LOOK_UP_EVERY: Duration = Duration::from_secs(5);
const CONNECTIONS_PER_ADDRESS: usize = 2;

pub(super) struct Endpoints(Arc<Inner>);

struct Inner {
    host: String,
    port: u16,
    known: ArcSwap<Known>,
    is_looking_up: AtomicBool,
}

/// What the last look-up gave.
pub(super) struct Known {
    pub(super) connections: Vec<Arc<Connection>>,
    /// `None` for an address that needs no look-up.
    until: Option<Instant>,
}

impl Endpoints {
    pub(super) fn new(host: String, port: u16) -> Self {
        let known = match host.parse::<IpAddr>() {
            Ok(address) => Known { connections: connections(&[], &[SocketAddr::new(address, port)]), until: None },
            Err(_) => Known { connections: Vec::new(), until: Some(Instant::now()) },
        };
        let known = ArcSwap::from_pointee(known);
        Self(Arc::new(Inner { host, port, known, is_looking_up: AtomicBool::new(false) }))
    }

    /// All connections of all addresses; none where the name is not known. Only the first call waits for the look-up.
    pub(super) async fn known(&self) -> Arc<Known> {
        let known = self.0.known.load_full();
        if known.connections.is_empty() {
            self.0.look_up().await;
            return self.0.known.load_full();
        }
        let is_stale = known.until.is_some_and(|until| until <= Instant::now());
        if is_stale && !self.0.is_looking_up.swap(true, Ordering::Relaxed) {
            self.look_up_aside();
        }
        known
    }

    #[expect(clippy::disallowed_methods, reason = "the task is one look-up and ends with it")]
    fn look_up_aside(&self) {
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            inner.look_up().await;
            inner.is_looking_up.store(false, Ordering::Relaxed);
        });
    }
}

impl Inner {
    /// Keeps what is known where the name service does not answer.
    async fn look_up(&self) {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let until = Some(Instant::now() + LOOK_UP_EVERY);
        let known = self.known.load();
        let connections = match found.map(Iterator::collect::<Vec<_>>) {
            Ok(addresses) if !addresses.is_empty() => connections(&known.connections, &addresses),
            Ok(_) => known.connections.clone(),
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, server.address = self.host, "a name was not found");
                known.connections.clone()
            }
        };
        self.known.store(Arc::new(Known { connections, until }));
    }
}

/// Connections for these addresses, kept where there are some. What is left out closes when its last call ends.
fn connections(old: &[Arc<Connection>], sockets: &[SocketAddr]) -> Vec<Arc<Connection>> {
    let of_socket = |socket: &SocketAddr| {
        let kept: Vec<_> = old.iter().filter(|connection| connection.address.socket == *socket).cloned().collect();
        if let Some(first) = kept.first() {
            first.address.rest(false);
            return kept;
        }
        let address = Arc::new(Address::new(*socket));
        (0..CONNECTIONS_PER_ADDRESS).map(|_| Arc::new(Connection::new(Arc::clone(&address)))).collect()
    };
    sockets.iter().flat_map(of_socket).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_stays_keeps_its_connections() {
        let (a, b) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:1".parse().unwrap());
        let first = connections(&[], &[a]);
        let second = connections(&first, &[a, b]);
        assert_eq!((first.len(), second.len()), (2, 4));
        assert!(first.iter().zip(&second).all(|(old, new)| Arc::ptr_eq(old, new)));
        let third = connections(&second, &[b]);
        assert!(third.iter().all(|connection| connection.address.socket == b));
    }

    #[tokio::test]
    async fn a_name_that_nobody_knows_has_no_connections() {
        let endpoints = Endpoints::new("no-such-host.invalid".to_owned(), 80);
        assert!(endpoints.known().await.connections.is_empty());
    }

    #[tokio::test]
    async fn a_name_is_looked_up() {
        let endpoints = Endpoints::new("localhost".to_owned(), 80);
        assert!(endpoints.known().await.connections.len() >= 2);
    }
}
