//! Which replica serves calls about the same thing, chosen by every caller alike and without asking anybody.

use std::sync::Arc;

use super::connection::{self, Address, Connection};

/// What a call is about, in the request's extensions: calls about the same meet at one replica, as long as that takes
/// connections. It chooses where a call goes and nothing else; where replicas come and go it moves the calls of few.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendezvous(u64);

impl Rendezvous {
    /// About what has this name.
    pub fn at(name: &str) -> Self {
        Self(hash(name.as_bytes()))
    }

    /// The less busy connection to the replica whose address and this name weigh most together.
    pub(super) fn pick(self, connections: &[Arc<Connection>]) -> Option<Arc<Connection>> {
        let awake = || connections.iter().filter(|connection| !connection.is_resting());
        let addresses = awake().map(|connection| &connection.address);
        let Some(best) = addresses.max_by_key(|address| self.weight(address)) else {
            return connection::less_busy(connections);
        };
        let of_best = awake().filter(|connection| Arc::ptr_eq(&connection.address, best));
        of_best.min_by_key(|connection| connection.in_flight()).cloned()
    }

    fn weight(self, address: &Address) -> u64 {
        mixed(address.hash ^ self.0)
    }
}

/// FNV-1a: the same in every process, whichever version of ours and of the compiler made it.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The last steps of splitmix64: each bit of what goes in turns half of those that come out.
fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Two connections to each of these replicas.
    fn replicas(ports: &[u16]) -> Vec<Arc<Connection>> {
        let of = |port: &u16| {
            let address = Arc::new(Address::new(([10, 0, 0, 1], *port).into()));
            [Arc::new(Connection::new(Arc::clone(&address))), Arc::new(Connection::new(address))]
        };
        ports.iter().flat_map(of).collect()
    }

    fn port(name: &str, connections: &[Arc<Connection>]) -> u16 {
        Rendezvous::at(name).pick(connections).unwrap().address.socket.port()
    }

    #[test]
    fn each_name_has_its_replica_and_each_replica_its_share() {
        let connections = replicas(&[1, 2, 3]);
        let mut shares: HashMap<u16, u32> = HashMap::new();
        for number in 0..3_000 {
            let name = format!("adAccounts/act_{number}");
            let first = port(&name, &connections);
            assert!((0..5).all(|_| port(&name, &connections) == first));
            *shares.entry(first).or_default() += 1;
        }
        assert!((1..=3).all(|port| (900..1_100).contains(&shares[&port])), "{shares:?}");
    }

    #[test]
    fn a_replica_that_goes_moves_its_own_names_only() {
        let (all, fewer) = (replicas(&[1, 2, 3]), replicas(&[1, 3]));
        let names = (0..500).map(|number| format!("adAccounts/act_{number}"));
        for name in names {
            let before = port(&name, &all);
            assert!(before == 2 || port(&name, &fewer) == before, "{name}");
        }
    }

    #[test]
    fn a_replica_that_takes_no_connections_is_passed_over_until_nobody_else_does() {
        let connections = replicas(&[1, 2]);
        let name = (0..1_000).map(|number| number.to_string()).find(|name| port(name, &connections) == 1).unwrap();
        connections[0].address.rest(true);
        assert_eq!(port(&name, &connections), 2);
        connections[2].address.rest(true);
        assert!(Rendezvous::at(&name).pick(&connections).is_some());
        assert!(Rendezvous::at(&name).pick(&[]).is_none());
    }

    #[test]
    fn of_its_two_connections_the_less_busy_one_is_picked() {
        let connections = replicas(&[1]);
        let _busy = connections[0].count();
        let picked = Rendezvous::at("x").pick(&connections).unwrap();
        assert!(Arc::ptr_eq(&picked, &connections[1]));
    }
}
