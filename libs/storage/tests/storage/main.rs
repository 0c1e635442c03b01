//! The crate against real servers. One program, so that all tests share one pair of servers.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod stores;
#[cfg(test)]
mod support;
