//! `adplane migrate`: brings every schema to this program's version, before the services of that version start.

use std::path::PathBuf;

use anyhow::{Context, Result};
use runtime::settings::{self, Check, Faults};
use serde::Deserialize;
use storage::{Postgres, PostgresSettings, migrations};

/// Where the database is.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Settings in TOML with a section [postgres]; ADPLANE_MIGRATE__POSTGRES__URL_FILE and the like override them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    postgres: PostgresSettings,
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        faults.nested("postgres", self.postgres.faults());
    }
}

type Schema = (&'static str, Vec<(&'static str, &'static str)>);

/// Every schema of the suite and the way to its newest form.
fn schemas() -> Vec<Schema> {
    vec![
        (auth::SCHEMA, auth::migrations()),
        (ratelimit::SCHEMA, ratelimit::migrations()),
        (campaigns::SCHEMA, campaigns::migrations()),
        (insights::SCHEMA, insights::migrations()),
        (audiences::SCHEMA, audiences::migrations()),
        (conversions::SCHEMA, conversions::migrations()),
    ]
}

pub(crate) async fn run(options: Options) -> Result<()> {
    let settings: Settings = settings::load("migrate", options.config.as_deref())?;
    let _telemetry = crate::telemetry::quiet("migrate");
    apply(&settings.postgres).await
}

/// Applies what is missing, schema by schema. Two at once do no harm: each schema is changed under a lock.
pub(crate) async fn apply(settings: &PostgresSettings) -> Result<()> {
    for (schema, sources) in schemas() {
        let postgres = Postgres::connect(&settings.in_schema(schema)).await?;
        let applied = migrations::run(&postgres, schema, &sources).await;
        applied.with_context(|| format!("the schema {schema} could not be brought to this version"))?;
    }
    Ok(())
}
