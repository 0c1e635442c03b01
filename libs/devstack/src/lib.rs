//! A private PostgreSQL and a private Redis, for `adplane dev` and for tests.
//!
//! The servers are the machine's own programs, started on free loopback ports with their own data folder and random
//! passwords; a server that somebody else started is never touched. They end with the process that started them, however
//! that ends: a [`guard::Guard`] holds the other end of a pipe, and when the pipe closes it stops what it was told about, in
//! order, and removes temporary folders.
//!
//! PostgreSQL refuses to run as root. For root the servers run as `postgres` or `nobody`, and their data lies under
//! `/var/tmp`, where such a user can reach it.
//!
//! A test asks [`shared()`] for a database of its own: the first test starts the servers, and all tests of the process use
//! them.

mod account;
mod error;
mod folder;
pub mod guard;
mod held;
mod postgres;
mod programs;
mod redis;
mod shared;
mod stack;

pub use error::Error;
pub use guard::Guard;
pub use programs::{Missing, Programs, find, missing};
pub use shared::{Shared, shared};
pub use stack::{Options, Stack};
