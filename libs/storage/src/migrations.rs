//! Schemas that only move forward, one process at a time.
//!
//! New columns and tables come first and are removed a release later, so that the old program runs on the new schema while it
//! is replaced. Each migration is one transaction together with its row in `schema_history`: a kill half-way leaves either
//! all of it or none.

use refinery::{Migration, Runner};
use tokio_postgres::error::SqlState;

use crate::postgres::is_name;
use crate::{Error, Postgres};

/// A migration: its name, such as `V3__campaign_budgets`, and its SQL. What was released is never edited.
pub type Source = (&'static str, &'static str);

const HISTORY: &str = "schema_history";

/// Any number; what matters is that no other use of advisory locks in this database has it.
const LOCK_CLASS: i32 = 0x00AD_91A3;

/// Makes `schema` where there is none and applies the migrations that it has not seen, in order. Says how many were applied.
///
/// Waits while another process does the same, so that replicas which start together do no harm.
///
/// # Errors
/// [`Error::Broken`] when a migration fails, was edited after it was applied, or has no name like `V1__words`.
pub async fn run(postgres: &Postgres, schema: &str, migrations: &[(&str, &str)]) -> Result<usize, Error> {
    const LOCK: &str = "SELECT pg_advisory_lock($1, hashtext($2))";
    const UNLOCK: &str = "SELECT pg_advisory_unlock($1, hashtext($2))";
    if !is_name(schema) {
        return Err(Error::Settings(format!("{schema} is no name of a schema")));
    }
    // This connection's session is changed, and closing it gives the lock back however this ends.
    let mut client = postgres.own_client().await?;
    client.batch_execute("SET statement_timeout = '15min'; SET lock_timeout = '1min'").await?;
    client.execute(LOCK, &[&LOCK_CLASS, &schema]).await?;
    // The name was checked above; a name cannot be a parameter.
    client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {schema}; SET search_path = {schema}")).await?;

    let report = runner(migrations)?.run_async(&mut *client).await?;
    let applied = report.applied_migrations().len();
    if applied > 0 {
        tracing::info!(schema, migrations.applied = applied, "schema moved forward");
    }
    client.execute(UNLOCK, &[&LOCK_CLASS, &schema]).await?;
    Ok(applied)
}

/// The highest version that was applied in the schema of `postgres`, or `None` where there was none.
///
/// # Errors
/// [`Error::Outage`] when the database is away.
pub async fn current_version(postgres: &Postgres) -> Result<Option<i32>, Error> {
    const SQL: &str = "SELECT max(version) FROM schema_history";
    match postgres.client().await?.query_one(SQL, &[]).await {
        Ok(row) => Ok(row.try_get(0)?),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a schema that is older than `migrations`. A newer one is fine: it serves the old program too.
///
/// # Errors
/// [`Error::SchemaBehind`], [`Error::Outage`].
pub async fn require(postgres: &Postgres, migrations: &[(&str, &str)]) -> Result<(), Error> {
    let needed = runner(migrations)?.get_migrations().iter().map(Migration::version).max().unwrap_or_default();
    let found = current_version(postgres).await?.unwrap_or_default();
    if found < needed { Err(Error::SchemaBehind { found, needed }) } else { Ok(()) }
}

fn runner(migrations: &[(&str, &str)]) -> Result<Runner, Error> {
    let migrations: Result<Vec<_>, _> = migrations.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    let mut runner = Runner::new(&migrations?);
    runner.set_migration_table_name(HISTORY);
    // The old program must start on the newer schema, whose migrations it does not have.
    Ok(runner.set_abort_missing(false))
}
