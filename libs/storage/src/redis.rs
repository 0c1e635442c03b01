//! The way to Redis: one server, or a cluster whose servers share the keys.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ::redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use ::redis::cluster::ClusterClient;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, Slot, SlotAddr};
use ::redis::{Cmd, Pipeline, RedisFuture, Value};
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
    /// Whether that is one server of a Redis Cluster, which then names the others. Default false.
    pub cluster: bool,
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
            cluster: false,
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

/// The way to Redis, one server or a cluster, which reconnects by itself. Clones share it.
///
/// To one server it never repeats a command: a command whose answer was lost is an [`Error::Outage`], and its caller knows
/// what a repeat would mean. In a cluster a command is sent once more, because its slot may have moved; so it may be run
/// twice where the first answer was lost.
#[derive(Clone)]
pub struct Redis(Connection);

/// For commands and scripts. What names keys goes to the server that keeps them.
#[derive(Clone)]
pub struct Connection(Way);

#[derive(Clone)]
enum Way {
    Server(ConnectionManager),
    Cluster(ClusterConnection),
}

/// What one server keeps for sure: a slot of a cluster, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard(Option<Slot>);

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
        let connect = Duration::from_millis(settings.connect_timeout_milliseconds);
        let answer = Duration::from_millis(settings.response_timeout_milliseconds);
        // The text of its error may quote the URL.
        let no_url = |_| Error::Settings("url is no Redis URL".to_owned());
        let way = async {
            if settings.cluster {
                let cluster =
                    ClusterClient::builder([url.expose()]).connection_timeout(connect).response_timeout(answer);
                let client = cluster.retries(1).build().map_err(no_url)?;
                return Ok(Way::Cluster(client.get_async_connection().await?));
            }
            let config = ConnectionManagerConfig::new()
                .set_connection_timeout(Some(connect))
                .set_response_timeout(Some(answer))
                .set_number_of_retries(2)
                .set_min_delay(Duration::from_millis(50))
                .set_max_delay(Duration::from_secs(1));
            let client = ::redis::Client::open(url.expose()).map_err(no_url)?;
            Ok(Way::Server(ConnectionManager::new_with_config(client, config).await?))
        };
        match tokio::time::timeout(connect * 3, way).await {
            Ok(way) => way.map(|way| Self(Connection(way))),
            Err(_) => Err(Error::Outage("Redis did not answer in time".to_owned())),
        }
    }

    /// The connection. Its errors become ours by `?`.
    pub fn connection(&self) -> Connection {
        self.0.clone()
    }

    /// Where a key is kept.
    pub fn shard(&self, key: &str) -> Shard {
        match &self.0.0 {
            Way::Server(_) => Shard(None),
            Way::Cluster(_) => Shard(Some(Slot::for_key(key))),
        }
    }

    /// Asks the server that keeps a shard what names no key, such as `SCRIPT LOAD`.
    ///
    /// # Errors
    /// As any command.
    pub async fn ask(&self, shard: Shard, command: Cmd) -> Result<Value, Error> {
        match (self.connection().0, shard.0) {
            (Way::Cluster(mut cluster), Some(slot)) => {
                let primary = SingleNodeRoutingInfo::SpecificNode(Route::with_slot(slot, SlotAddr::Master));
                Ok(cluster.route_command(command, RoutingInfo::SingleNode(primary)).await?)
            }
            (way, _) => Ok(command.query_async(&mut Connection(way)).await?),
        }
    }

    /// One section of a server's `INFO` as names and values, such as `run_id` in `server`.
    ///
    /// # Errors
    /// As any command.
    pub async fn info(&self, shard: Shard, section: &str) -> Result<BTreeMap<String, String>, Error> {
        let mut command = ::redis::cmd("INFO");
        command.arg(section);
        let text: String =
            ::redis::from_redis_value(self.ask(shard, command).await?).map_err(::redis::RedisError::from)?;
        Ok(pairs(&text))
    }

    /// One section of the `INFO` of every primary, by address: `evicted_keys` in `stats`. One server has no address here.
    ///
    /// # Errors
    /// As any command.
    pub async fn info_of_all(&self, section: &str) -> Result<BTreeMap<String, BTreeMap<String, String>>, Error> {
        let Way::Cluster(mut cluster) = self.connection().0 else {
            return Ok([(String::new(), self.info(Shard(None), section).await?)].into());
        };
        let mut command = ::redis::cmd("INFO");
        command.arg(section);
        let primaries = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let answers = cluster.route_command(command, primaries).await?;
        let texts: BTreeMap<String, String> = ::redis::from_redis_value(answers).map_err(::redis::RedisError::from)?;
        Ok(texts.into_iter().map(|(address, text)| (address, pairs(&text))).collect())
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match &mut self.0 {
            Way::Server(server) => server.req_packed_command(command),
            Way::Cluster(cluster) => cluster.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match &mut self.0 {
            Way::Server(server) => server.req_packed_commands(pipeline, offset, count),
            Way::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Way::Server(server) => server.get_db(),
            Way::Cluster(cluster) => cluster.get_db(),
        }
    }
}
