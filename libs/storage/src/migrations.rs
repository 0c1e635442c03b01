//! Schemas that only move forward, one process at a time.
//!
//! New columns and tables come first and are removed a release later, so that the old program runs on the new schema while it
//! is replaced. Each migration is one transaction together with its row in `schema_history`: a kill half-way leaves either
//! all of it or none.

use std::collections::BTreeSet;

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
/// [`Error::Broken`] when a migration fails, was edited after it was applied, has no name like `V1__words`, or is numbered
/// below what was applied already: it would never be applied, and nobody would see that.
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

    let runner = runner(migrations)?;
    require_order(&runner, &applied(&client).await?)?;
    let report = runner.run_async(&mut *client).await?;
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
    Ok(applied(&**postgres.client().await?).await?.last().copied())
}

/// The versions that were applied.
async fn applied(client: &tokio_postgres::Client) -> Result<BTreeSet<i32>, Error> {
    const SQL: &str = "SELECT version FROM schema_history";
    match client.query(SQL, &[]).await {
        Ok(rows) => Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_TABLE) => Ok(BTreeSet::new()),
        Err(error) => Err(error.into()),
    }
}

/// Fails where one of ours was left out.
fn require_order(runner: &Runner, applied: &BTreeSet<i32>) -> Result<(), Error> {
    let last = applied.last().copied().unwrap_or_default();
    let mut ours = runner.get_migrations().iter();
    match ours.find(|one| one.version() < last && !applied.contains(&one.version())) {
        Some(one) => {
            Err(Error::Broken(format!("{one} was never applied, and the schema is at version {last} already")))
        }
        None => Ok(()),
    }
}

/// Refuses a schema that is older than `migrations`. A newer one is fine: it serves the old program too.
///
/// # Errors
/// [`Error::SchemaBehind`], [`Error::Outage`]; [`Error::Broken`] where a migration in between was left out.
pub async fn require(postgres: &Postgres, migrations: &[(&str, &str)]) -> Result<(), Error> {
    let runner = runner(migrations)?;
    let needed = runner.get_migrations().iter().map(Migration::version).max().unwrap_or_default();
    let applied = applied(&**postgres.client().await?).await?;
    let found = applied.last().copied().unwrap_or_default();
    if found < needed { Err(Error::SchemaBehind { found, needed }) } else { require_order(&runner, &applied) }
}

fn runner(migrations: &[(&str, &str)]) -> Result<Runner, Error> {
    let migrations: Result<Vec<_>, _> = migrations.iter().map(|(name, sql)| Migration::unapplied(name, sql)).collect();
    let mut runner = Runner::new(&migrations?);
    runner.set_migration_table_name(HISTORY);
    // The old program must start on the newer schema, whose migrations it does not have.
    Ok(runner.set_abort_missing(false))
}
