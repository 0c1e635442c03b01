//! PostgreSQL and Redis, with their errors sorted by what to do about them, and the tables that every service keeps the same
//! way.
//!
//! A service has one PostgreSQL schema, made and moved forward by [`migrations`]. In it stand, besides its own tables, those
//! of [`operations`] (long work: a row that is a queue and the answer of `GetOperation`), of [`requests`] (what a `request_id`
//! was answered) and of [`audit`] (a hash chain per tenant). Their SQL is a constant that a service lists among its
//! migrations.
//!
//! Invariants: every statement on tenant data says `tenant_id = $1`; no error shows a parameter of a statement; leases are
//! measured by the database's clock, so that skewed clocks of replicas do not matter.

pub mod audit;
mod error;
pub mod migrations;
pub mod operations;
mod postgres;
pub mod redis;
pub mod requests;
mod secret_url;

pub use deadpool_postgres::{Client, GenericClient, Transaction};

pub use error::Error;
pub use postgres::{Postgres, PostgresSettings};
pub use redis::{Redis, RedisSettings};
pub use secret_url::SecretUrl;
