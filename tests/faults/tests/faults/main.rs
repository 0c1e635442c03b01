//! Real processes of `adplane` over real sockets, killed by SIGKILL and raced against each other. Meta is a process of
//! `adplane sandbox`, the database one that nobody else uses. `make build` makes the program.
//!
//! A process is stopped at a step either at Meta, where the sandbox holds the call, or in the database, where a trigger of
//! the test's own holds the statement ([`hold`]). The clock of a real process cannot be turned; instead the moments
//! that are written in its tables are moved into the past ([`stage::Stage::age`]).

#![cfg(test)]

mod connect;
mod hold;
mod race;
mod redis;
mod refresh;
mod replicas;
mod rewrap;
mod stage;
mod swarm;
mod tenant;
mod traffic;
mod upgrade;
