//! The crate against the machine's own servers. One program, so that its tests share one pair of servers.

#[cfg(test)]
mod stack;
