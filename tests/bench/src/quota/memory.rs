//! What a replica holds in memory when very many accounts are alive.

use std::fs;

use super::load::{self, Ask, Turns};
use crate::auth_servers::TENANT;
use crate::figure::{Figure, Goal};
use crate::server::Server;
use crate::spread::Spread;

/// Ad accounts with a call each, and so a user and two use cases each.
const ACCOUNTS: usize = 100_000;
const CALLERS: usize = 64;
const KIB_MAX: u64 = 64 * 1_024;

/// One decision for each account, in a replica that did nothing before.
pub(super) fn run() -> anyhow::Result<Vec<Figure>> {
    let shared = Server::start("quota-stores")?;
    let quota = Server::start_with("quota", &shared.ready)?;
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // One call, so that what is there without accounts is told too.
    load.block_on(load::decide(&quota, TENANT, Turns { count: 1, callers: 1, accounts: 1 }, Ask::Admitted))?;
    let idle = resident(&quota, "VmRSS");
    // Every caller asks for as many, so a few more than the accounts are asked for where these do not divide.
    let turns = Turns { count: ACCOUNTS.next_multiple_of(CALLERS), callers: CALLERS, accounts: ACCOUNTS };
    load.block_on(load::decide(&quota, TENANT, turns, Ask::Admitted))?;
    let figure = |name, unit, kib: Option<u64>, goal| {
        let measured = kib.and_then(|kib| Spread::of(vec![kib]));
        Figure { name, unit, measured, baseline: None, goal }
    };
    let unit = "KiB resident, 100,000 accounts";
    Ok(vec![
        figure("one replica", unit, resident(&quota, "VmRSS"), Goal::Amount(KIB_MAX)),
        figure("one replica at its peak", unit, resident(&quota, "VmHWM"), Goal::Told),
        figure("one replica without accounts", "KiB resident", idle, Goal::Told),
    ])
}

/// So many KiB as the system says under this name; none where it tells nothing of processes.
fn resident(server: &Server, name: &str) -> Option<u64> {
    kib(&fs::read_to_string(format!("/proc/{}/status", server.pid())).ok()?, name)
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_status_is_read_by_its_whole_name() {
        let status = "Name:\tbench\nVmHWM:\t  70000 kB\nVmRSS:\t   65536 kB\nThreads:\t5\n";
        assert_eq!((kib(status, "VmRSS"), kib(status, "VmHWM")), (Some(65_536), Some(70_000)));
        assert_eq!((kib(status, "Vm"), kib(status, "Threads")), (None, None));
    }
}
