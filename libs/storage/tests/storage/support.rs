//! A schema of its own for each test, with the tables of this crate in it.

use storage::{Postgres, PostgresSettings, audit, migrations, operations, requests};

pub(crate) const TENANT: &str = "acme";

pub(crate) const MIGRATIONS: &[(&str, &str)] =
    &[("V1__operations", operations::SQL), ("V2__requests", requests::SQL), ("V3__audit", audit::SQL)];

/// A pool on a new, empty database.
pub(crate) async fn empty() -> Postgres {
    let url = devstack::shared().create_database().await.unwrap();
    Postgres::connect(&PostgresSettings::at(url).in_schema("test")).await.unwrap()
}

/// A pool on a new database with all tables.
pub(crate) async fn migrated() -> Postgres {
    let postgres = empty().await;
    migrations::run(&postgres, "test", MIGRATIONS).await.unwrap();
    postgres
}
