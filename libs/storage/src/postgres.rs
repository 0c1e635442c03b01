use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_postgres::NoTls;

use crate::{Error, SecretUrl};

/// Where the database is and how it is used.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database`. For tests and development; else `url_file`.
    pub url: SecretUrl,
    /// A file whose first line is that URL.
    pub url_file: PathBuf,
    /// The service's own schema. Empty, the default, means the name that the service gives with
    /// [`PostgresSettings::in_schema`].
    pub schema: String,
    /// Connections of one replica at most. Default 10.
    pub pool_size: usize,
    /// How long a caller waits for a connection, in milliseconds. Default 5,000.
    pub pool_wait_milliseconds: u64,
    /// How long the start waits for a database that is away, in seconds. Default 30.
    pub start_wait_seconds: u64,
    /// The longest statement, in milliseconds. Default 30,000.
    pub statement_timeout_milliseconds: u64,
    /// The longest wait for a lock, in milliseconds. Default 10,000.
    pub lock_timeout_milliseconds: u64,
    /// How long a transaction may stand idle, in milliseconds. Default 30,000.
    pub idle_in_transaction_timeout_milliseconds: u64,
    /// `disable`, the default. TLS to the database is not there yet, and any other word is refused rather than ignored.
    pub tls: String,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            url: SecretUrl::default(),
            url_file: PathBuf::new(),
            schema: String::new(),
            pool_size: 10,
            pool_wait_milliseconds: 5_000,
            start_wait_seconds: 30,
            statement_timeout_milliseconds: 30_000,
            lock_timeout_milliseconds: 10_000,
            idle_in_transaction_timeout_milliseconds: 30_000,
            tls: "disable".to_owned(),
        }
    }
}

impl PostgresSettings {
    /// Settings for a database at this URL, all else by default.
    pub fn at(url: impl Into<SecretUrl>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// The same settings in this schema, unless they name one themselves.
    #[must_use]
    pub fn in_schema(&self, schema: &str) -> Self {
        let mut settings = self.clone();
        if settings.schema.is_empty() {
            schema.clone_into(&mut settings.schema);
        }
        settings
    }

    /// What is wrong with these settings, as pairs of key and problem.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults: Vec<_> = self.url.fault(&self.url_file).into_iter().collect();
        let mut check = |holds: bool, key, problem: &str| {
            if !holds {
                faults.push((key, problem.to_owned()));
            }
        };
        check(self.schema.is_empty() || is_name(&self.schema), "schema", "must be a lower-case name");
        check((1..=1_000).contains(&self.pool_size), "pool_size", "must be 1 to 1,000");
        check(self.pool_wait_milliseconds > 0, "pool_wait_milliseconds", "must be above 0");
        check(self.statement_timeout_milliseconds > 0, "statement_timeout_milliseconds", "must be above 0");
        check(self.tls == "disable", "tls", "must be \"disable\": TLS to PostgreSQL is not supported yet");
        faults
    }
}

/// A word that stands in SQL as it is: lower-case letters, digits and underscores, not beginning with a digit.
pub(crate) fn is_name(word: &str) -> bool {
    word.len() <= 63
        && word.starts_with(|letter: char| letter.is_ascii_lowercase() || letter == '_')
        && word.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

/// A pool of connections to the service's own schema. Clones share it.
#[derive(Clone)]
pub struct Postgres {
    pool: Pool,
    schema: Arc<str>,
    wait: Duration,
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Postgres {
    /// Makes the pool and one connection, waiting up to `start_wait_seconds` for a database that is away.
    ///
    /// The schema itself need not exist yet: [`crate::migrations::run`] makes it.
    ///
    /// # Errors
    /// [`Error::Settings`] when the settings are wrong, [`Error::Outage`] when the database stays away.
    pub async fn connect(settings: &PostgresSettings) -> Result<Self, Error> {
        let postgres = Self::new(settings)?;
        let deadline = Instant::now() + Duration::from_secs(settings.start_wait_seconds);
        let mut pause = Duration::from_millis(100);
        loop {
            match postgres.client().await {
                Ok(_) => return Ok(postgres),
                Err(error) if !error.is_outage() || Instant::now() + pause > deadline => return Err(error),
                Err(error) => tracing::warn!(error = error.to_string(), "waiting for PostgreSQL"),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    fn new(settings: &PostgresSettings) -> Result<Self, Error> {
        if let Some((key, problem)) = settings.faults().first() {
            return Err(Error::Settings(format!("{key} {problem}")));
        }
        if settings.schema.is_empty() {
            return Err(Error::Settings("schema must be set".to_owned()));
        }
        let url = settings.url.or_from(&settings.url_file)?;
        let mut config = tokio_postgres::Config::from_str(url.expose())
            // Its text may quote the URL.
            .map_err(|_| Error::Settings("url is no PostgreSQL URL".to_owned()))?;
        let wait = Duration::from_millis(settings.pool_wait_milliseconds);
        config.options(session(config.get_options(), settings));
        config.connect_timeout(wait);
        config.keepalives_idle(Duration::from_secs(30));
        config.tcp_user_timeout(Duration::from_secs(30));
        if config.get_application_name().is_none() {
            config.application_name(format!("adplane-{}", settings.schema));
        }
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config, NoTls, recycling))
            .max_size(settings.pool_size)
            .timeouts(Timeouts { wait: Some(wait), create: Some(wait), recycle: Some(wait) })
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| Error::Settings(error.to_string()))?;
        Ok(Self { pool, schema: settings.schema.as_str().into(), wait })
    }

    /// A connection whose `search_path` is the service's schema. It goes back to the pool when dropped.
    ///
    /// # Errors
    /// [`Error::Outage`] when there is none within `pool_wait_milliseconds`.
    pub async fn client(&self) -> Result<Client, Error> {
        match tokio::time::timeout(self.wait, self.pool.get()).await {
            Ok(client) => Ok(client?),
            Err(_) => Err(Error::Outage("no connection in time".to_owned())),
        }
    }

    /// A connection that never goes back to the pool, for work that changes its session.
    pub(crate) async fn own_client(&self) -> Result<deadpool_postgres::ClientWrapper, Error> {
        Ok(Client::take(self.client().await?))
    }

    /// The service's own schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Connections in use and open, and callers that wait for one: for metrics.
    pub fn status(&self) -> deadpool_postgres::Status {
        self.pool.status()
    }

    /// Closes the pool: waiting callers fail, connections in use close when they come back.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// Session settings, sent with the connection's first packet, so that they hold from the first statement on.
fn session(given: Option<&str>, settings: &PostgresSettings) -> String {
    let ours = format!(
        "-c search_path={} -c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={} -c timezone=UTC",
        settings.schema,
        settings.statement_timeout_milliseconds,
        settings.lock_timeout_milliseconds,
        settings.idle_in_transaction_timeout_milliseconds,
    );
    given.map(|given| format!("{given} ")).unwrap_or_default() + &ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_never_shows_in_debug() {
        let settings = PostgresSettings::at("postgres://user:hunter2@db/adplane");
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn tls_is_refused_and_not_ignored() {
        let settings = PostgresSettings { tls: "require".to_owned(), ..PostgresSettings::at("postgres://db/adplane") };
        assert_eq!(settings.faults().first().map(|fault| fault.0), Some("tls"));
    }

    #[test]
    fn a_url_is_needed_but_only_one() {
        assert_eq!(PostgresSettings::default().faults().len(), 1);
        let both = PostgresSettings { url_file: "/etc/url".into(), ..PostgresSettings::at("postgres://db/adplane") };
        assert_eq!(both.faults().len(), 1);
        assert!(PostgresSettings::at("postgres://db/adplane").faults().is_empty());
    }

    #[test]
    fn a_schema_that_could_break_out_of_sql_is_refused() {
        for schema in ["Auth", "auth; DROP", "1auth", "auth\"", "auth -c x=y"] {
            assert!(!is_name(schema), "{schema}");
        }
        assert!(is_name("auth_2"));
    }
}
