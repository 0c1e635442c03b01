use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use serde::Deserialize;

use crate::{Error, SecretUrl};

/// Where Redis is and how long it is waited for.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// `redis://:password@host:port/0`. For tests and development; else `url_file`.
    pub url: SecretUrl,
    /// A file whose first line is that URL.
    pub url_file: PathBuf,
    /// How long one attempt to connect may take, in milliseconds. Default 2,000.
    pub connect_timeout_milliseconds: u64,
    /// How long one answer may take, in milliseconds. Default 1,000.
    pub response_timeout_milliseconds: u64,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            url: SecretUrl::default(),
            url_file: PathBuf::new(),
            connect_timeout_milliseconds: 2_000,
            response_timeout_milliseconds: 1_000,
        }
    }
}

impl RedisSettings {
    /// Settings for a server at this URL, all else by default.
    pub fn at(url: impl Into<SecretUrl>) -> Self {
        Self { url: url.into(), ..Self::default() }
    }

    /// What is wrong with these settings, as pairs of key and problem.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults: Vec<_> = self.url.fault(&self.url_file).into_iter().collect();
        for (key, milliseconds) in [
            ("connect_timeout_milliseconds", self.connect_timeout_milliseconds),
            ("response_timeout_milliseconds", self.response_timeout_milliseconds),
        ] {
            if milliseconds == 0 {
                faults.push((key, "must be above 0".to_owned()));
            }
        }
        faults
    }
}

/// One multiplexed connection that reconnects by itself. Clones share it.
///
/// It never repeats a command by itself: a command whose answer was lost is an [`Error::Outage`], and its caller knows what a
/// repeat would mean.
#[derive(Clone)]
pub struct Redis {
    client: ::redis::Client,
    manager: ConnectionManager,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redis")
    }
}

impl Redis {
    /// Connects, with a deadline.
    ///
    /// # Errors
    /// [`Error::Settings`] when the URL is none, [`Error::Outage`] when the server does not answer in time.
    pub async fn connect(settings: &RedisSettings) -> Result<Self, Error> {
        let url = settings.url.or_from(&settings.url_file)?;
        let client = ::redis::Client::open(url.expose())
            // Its text may quote the URL.
            .map_err(|_| Error::Settings("url is no Redis URL".to_owned()))?;
        let connect = Duration::from_millis(settings.connect_timeout_milliseconds);
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(connect))
            .set_response_timeout(Some(Duration::from_millis(settings.response_timeout_milliseconds)))
            .set_number_of_retries(2)
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(Duration::from_secs(1));
        let manager = ConnectionManager::new_with_config(client.clone(), config);
        match tokio::time::timeout(connect * 3, manager).await {
            Ok(manager) => Ok(Self { client, manager: manager? }),
            Err(_) => Err(Error::Outage("Redis did not answer in time".to_owned())),
        }
    }

    /// The connection, for commands and scripts. Its errors become ours by `?`.
    pub fn connection(&self) -> ConnectionManager {
        self.manager.clone()
    }

    /// The client, for what needs a connection of its own, such as `SUBSCRIBE`.
    pub fn client(&self) -> &::redis::Client {
        &self.client
    }

    /// One section of `INFO` as names and values, such as `run_id` in `server` or `evicted_keys` in `stats`.
    ///
    /// # Errors
    /// As any command.
    pub async fn info(&self, section: &str) -> Result<BTreeMap<String, String>, Error> {
        let text: String = ::redis::cmd("INFO").arg(section).query_async(&mut self.connection()).await?;
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}
