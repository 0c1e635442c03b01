//! Replicas of ratelimit, each alone in its process, and the stores and the auth that they share.

use std::path::Path;

use anyhow::Context as _;
use ratelimit::{Ceilings, Profile, Settings};
use runtime::settings::Secret;
use runtime::telemetry::TelemetrySettings;
use runtime::{Process, telemetry};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::{Postgres, PostgresSettings, RedisSettings};
use tokio::net::TcpListener;

use super::CEILING;
use crate::auth_servers::{self, SECRET};
use crate::server::{FREE, said};

/// Where what replicas share is.
#[derive(Serialize, Deserialize)]
struct Shared {
    /// Auth.
    sandbox: String,
    token: String,
    redis: String,
    postgres: String,
    /// The processes of Redis and PostgreSQL.
    stores: Vec<u32>,
    /// Whether permits and calls are to be over within seconds, so that windows are as short as they can be.
    #[serde(default)]
    is_brief: bool,
}

/// PostgreSQL, Redis, and auth; says what a replica has to be told.
pub(super) async fn stores() -> anyhow::Result<()> {
    let (folder, process) = (tempfile::tempdir()?, Process::detached());
    let auth = auth_servers::start(folder.path(), &process, false).await?;
    let postgres = devstack::shared().create_database().await?;
    let connected = Postgres::connect(&PostgresSettings::at(postgres.as_str()).in_schema(ratelimit::SCHEMA)).await?;
    storage::migrations::run(&connected, ratelimit::SCHEMA, &ratelimit::migrations()).await?;
    let shared = Shared {
        sandbox: auth.address,
        token: auth.token,
        redis: devstack::shared().redis_url(),
        postgres,
        stores: devstack::shared().stack().pids(),
        is_brief: false,
    };
    said(&serde_json::to_string(&shared)?)?;
    auth.served.await?
}

/// One replica, with its telemetry on as it is in service.
pub(super) async fn quota(told: &Value) -> anyhow::Result<()> {
    let shared: Shared =
        serde_json::from_value(told.clone()).context("a replica has to be told where its stores are")?;
    let (folder, process) = (tempfile::tempdir()?, Process::detached());
    let _telemetry = telemetry::init("ratelimit", &quiet());
    let settings = settings(folder.path(), &shared)?;
    let listener = TcpListener::bind(FREE).await?;
    ready(&listener.local_addr()?.to_string(), &shared.token, &shared.stores)?;
    ratelimit::serve_on(listener, settings, process).await
}

/// Telemetry as it is by default, but for its lines.
pub(super) fn quiet() -> TelemetrySettings {
    TelemetrySettings { log: "error".to_owned(), ..TelemetrySettings::default() }
}

/// What a server says when it listens.
pub(super) fn ready(address: &str, token: &str, stores: &[u32]) -> anyhow::Result<()> {
    said(&serde_json::json!({"sandbox": format!("http://{address}"), "token": token, "stores": stores}).to_string())
}

fn settings(folder: &Path, shared: &Shared) -> anyhow::Result<Settings> {
    let write = |name: &str, text: &str| -> anyhow::Result<_> {
        let file = folder.join(name);
        std::fs::write(&file, text)?;
        Ok(file)
    };
    let default = Settings::default();
    Ok(Settings {
        admin_listen: FREE.into(),
        redis: RedisSettings::at(shared.redis.as_str()),
        postgres: PostgresSettings::at(shared.postgres.as_str()).in_schema(ratelimit::SCHEMA),
        auth: rpc::PeerSettings {
            endpoint: shared.sandbox.clone(),
            service_secret_file: write("ratelimit-secret", SECRET)?,
            ..rpc::PeerSettings::default()
        },
        permit_key_file: Secret::in_file(write("permit_key", "a key for permits of the benchmark")?),
        page_key_file: Secret::in_file(write("pages", "a key for pages of the benchmark")?),
        ceilings: Ceilings {
            profile: Profile::Source,
            source_calls_per_hour: CEILING,
            source_insights_per_hour: CEILING,
            source_app_calls_per_hour: CEILING,
            ..Ceilings::default()
        },
        send_before_seconds: if shared.is_brief { 1 } else { default.send_before_seconds },
        call_timeout_seconds: if shared.is_brief { 1 } else { default.call_timeout_seconds },
        ..default
    })
}
