//! The CPU that a process took so far.

use std::time::Duration;

/// Time in user and kernel mode of all threads of a process, or `None` where the system does not tell.
///
/// Linux counts it in ticks of 10 ms, so a measured stretch should take a second or more. Other systems have no
/// `/proc`, and there nothing is measured.
pub(crate) fn of(pid: u32) -> Option<Duration> {
    parsed(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The same of a process and of all that it has started and that still run, as PostgreSQL does for its clients.
pub(crate) fn of_family(pid: u32) -> Option<Duration> {
    let mut sum = of(pid)?;
    for entry in std::fs::read_dir("/proc").ok()?.flatten() {
        let child = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if parent(&stat) == Some(pid) {
            sum += child.and_then(of).unwrap_or_default();
        }
    }
    Some(sum)
}

fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// A tick of the counters in `/proc`, which is the same on every Linux that Rust runs on.
const TICK_MILLISECONDS: u64 = 10;

fn parsed(stat: &str) -> Option<Duration> {
    // The second field is the program's name in brackets and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis(user.saturating_add(kernel).saturating_mul(TICK_MILLISECONDS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_kernel_time_are_added_whatever_the_program_is_called() {
        let stat = "4711 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 3 0 1 2 3";
        assert_eq!(parsed(stat), Some(Duration::from_secs(3)));
        assert_eq!(parsed("nonsense"), None);
        assert_eq!(parent(stat), Some(1));
    }
}
