//! Running our scripts by their hash, and noticing when the server is not the one they were loaded into.
//!
//! The server's run id is part of every script's text. A server that restarted, or a replica that was promoted, has
//! another run id and has never seen our hash, so it answers NOSCRIPT. We never fall back to EVAL: that would count in
//! an empty store as if nothing had been spent.
//!
//! In a cluster the same holds for every slot: all keys of an app are in one, and a slot that moved is kept by a server
//! with another run id.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use storage::Redis;
use storage::redis::{Connection, Shard};
use tokio::sync::OwnedMutexGuard;
use tracing::{info, warn};

use crate::error::Error;

const SHARED: &str = include_str!("bucket.lua");

/// How often a script is loaded again for one call before the call fails: each time the server changed under it.
const TRIES: usize = 4;

/// One of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Script {
    Acquire,
    Settle,
    Release,
    Reserve,
    Look,
    Load,
    Epoch,
    Freeze,
    Domain,
}

impl Script {
    const ALL: [Self; 9] = [
        Self::Acquire,
        Self::Settle,
        Self::Release,
        Self::Reserve,
        Self::Look,
        Self::Load,
        Self::Epoch,
        Self::Freeze,
        Self::Domain,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Acquire => include_str!("acquire.lua"),
            Self::Settle => include_str!("settle.lua"),
            Self::Release => include_str!("release.lua"),
            Self::Reserve => include_str!("reserve.lua"),
            Self::Look => include_str!("look.lua"),
            Self::Load => include_str!("load.lua"),
            Self::Epoch => include_str!("epoch.lua"),
            Self::Freeze => include_str!("freeze.lua"),
            Self::Domain => include_str!("domain.lua"),
        }
    }
}

/// The hashes under which one server knows our scripts.
struct Loaded {
    run_id: String,
    hashes: HashMap<Script, String>,
}

impl Loaded {
    fn hash(&self, script: Script) -> &str {
        self.hashes.get(&script).map(String::as_str).unwrap_or_default()
    }
}

/// Runs scripts over one multiplexed connection.
pub(crate) struct Scripts {
    redis: Redis,
    /// By where they were loaded.
    loaded: RwLock<HashMap<Shard, Arc<Loaded>>>,
    loading: OneAtATime,
}

/// One task at a time for each shard: a server that does not answer holds up nobody who needs another.
#[derive(Default)]
pub(crate) struct OneAtATime(Mutex<HashMap<Shard, Arc<tokio::sync::Mutex<()>>>>);

impl OneAtATime {
    pub(crate) async fn enter(&self, shard: Shard) -> OwnedMutexGuard<()> {
        let of_shard = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(shard).or_default());
        of_shard.lock_owned().await
    }
}

impl Scripts {
    /// Scripts are loaded where they are first needed. Fails where a server is away, older than Redis 7, or may evict keys.
    pub(crate) async fn open(redis: Redis) -> Result<Self, Error> {
        let mut memory = redis.info_of_all("memory").await?;
        for (address, server) in redis.info_of_all("server").await? {
            check_server(&server, &memory.remove(&address).unwrap_or_default())?;
        }
        Ok(Self { redis, loaded: RwLock::default(), loading: OneAtATime::default() })
    }

    pub(crate) fn shard(&self, key: &str) -> Shard {
        self.redis.shard(key)
    }

    /// The connection, for plain commands.
    pub(crate) fn connection(&self) -> Connection {
        self.redis.connection()
    }

    /// The server that kept this key when the scripts were last loaded there.
    pub(crate) async fn run_id(&self, key: &str) -> Result<String, Error> {
        Ok(self.current(self.redis.shard(key)).await?.run_id.clone())
    }

    #[cfg(test)]
    pub(crate) fn redis(&self) -> &Redis {
        &self.redis
    }

    /// Runs a script. What it wrote, if the answer is lost, stays written.
    pub(crate) async fn run(&self, script: Script, keys: &[&str], args: &[i64]) -> Result<Vec<Value>, Error> {
        let mut command = |hash: &str| {
            let mut command = redis::cmd("EVALSHA");
            command.arg(hash).arg(keys.len()).arg(keys).arg(args);
            command
        };
        self.run_with(script, self.shard_of(keys), &mut command).await
    }

    /// As [`Scripts::run`], with arguments that are no numbers.
    pub(crate) async fn run_words(&self, script: Script, keys: &[&str], args: &[&str]) -> Result<Vec<Value>, Error> {
        let mut command = |hash: &str| {
            let mut command = redis::cmd("EVALSHA");
            command.arg(hash).arg(keys.len()).arg(keys).arg(args);
            command
        };
        self.run_with(script, self.shard_of(keys), &mut command).await
    }

    /// As [`Scripts::run`], with one argument that the script unpacks.
    pub(crate) async fn run_packed(&self, script: Script, keys: &[&str], packed: &[u8]) -> Result<Vec<Value>, Error> {
        let mut command = |hash: &str| {
            let mut command = redis::cmd("EVALSHA");
            command.arg(hash).arg(keys.len()).arg(keys).arg(packed);
            command
        };
        self.run_with(script, self.shard_of(keys), &mut command).await
    }

    /// How many keys each server has evicted since it started.
    pub(crate) async fn evicted_keys(&self) -> Result<BTreeMap<String, u64>, Error> {
        let stats = self.redis.info_of_all("stats").await?.into_iter();
        let evicted = stats.map(|(server, stats)| {
            let keys = stats.get("evicted_keys").and_then(|keys| keys.parse().ok()).ok_or(Error::Script)?;
            Ok((server, keys))
        });
        evicted.collect()
    }

    async fn run_with(
        &self,
        script: Script,
        shard: Shard,
        command: &mut (dyn FnMut(&str) -> redis::Cmd + Send),
    ) -> Result<Vec<Value>, Error> {
        for _ in 0..TRIES {
            let loaded = self.current(shard).await?;
            let ready = command(loaded.hash(script));
            match ready.query_async(&mut self.connection()).await {
                Err(error) if is_unknown_script(&error) => {
                    self.load_but(shard, Some(&loaded)).await?;
                }
                answer => return Ok(answer?),
            }
        }
        Err(Error::ServerChanges)
    }

    /// All keys of a script are kept in one place.
    fn shard_of(&self, keys: &[&str]) -> Shard {
        self.redis.shard(keys.first().copied().unwrap_or_default())
    }

    async fn current(&self, shard: Shard) -> Result<Arc<Loaded>, Error> {
        match self.known(shard) {
            Some(loaded) => Ok(loaded),
            None => self.load_but(shard, None).await,
        }
    }

    fn known(&self, shard: Shard) -> Option<Arc<Loaded>> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).get(&shard).cloned()
    }

    /// What is loaded, if that is not what is missing there. One task loads, the others wait for it.
    async fn load_but(&self, shard: Shard, missing: Option<&Arc<Loaded>>) -> Result<Arc<Loaded>, Error> {
        let _one = self.loading.enter(shard).await;
        if let Some(known) = self.known(shard)
            && missing.is_none_or(|missing| !Arc::ptr_eq(missing, &known))
        {
            return Ok(known);
        }
        let loaded = Arc::new(load_all(&self.redis, shard).await?);
        match missing {
            Some(missing) if loaded.run_id == missing.run_id => {
                info!("the server's scripts were flushed; loaded again");
            }
            Some(_) => warn!("the quota server restarted or failed over; what it kept is checked app by app"),
            None => {}
        }
        self.loaded.write().unwrap_or_else(PoisonError::into_inner).insert(shard, Arc::clone(&loaded));
        Ok(loaded)
    }
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// Effects of scripts are replicated from version 7 on, and an evicted bucket would be an empty one.
fn check_server(server: &BTreeMap<String, String>, memory: &BTreeMap<String, String>) -> Result<(), Error> {
    let version = server.get("redis_version").map(String::as_str).unwrap_or_default();
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default();
    if major < 7 {
        return Err(Error::UnfitServer(format!("needs Redis 7 or Valkey, is {version:?}")));
    }
    match memory.get("maxmemory_policy").map(String::as_str) {
        Some("noeviction") => Ok(()),
        policy => Err(Error::UnfitServer(format!("needs maxmemory-policy noeviction, is {policy:?}"))),
    }
}

async fn run_id(redis: &Redis, shard: Shard) -> Result<String, Error> {
    redis.info(shard, "server").await?.remove("run_id").ok_or(Error::Script)
}

/// The run id is read again after loading, because the server behind the address may change in between.
async fn load_all(redis: &Redis, shard: Shard) -> Result<Loaded, Error> {
    for _ in 0..TRIES {
        let run_id = run_id(redis, shard).await?;
        let mut hashes = HashMap::new();
        for script in Script::ALL {
            hashes.insert(script, load_one(redis, shard, &run_id, script).await?);
        }
        if self::run_id(redis, shard).await? == run_id {
            return Ok(Loaded { run_id, hashes });
        }
    }
    Err(Error::ServerChanges)
}

async fn load_one(redis: &Redis, shard: Shard, run_id: &str, script: Script) -> Result<String, Error> {
    let mut load = redis::cmd("SCRIPT");
    load.arg("LOAD").arg(format!("local RUN_ID = '{run_id}'\n{SHARED}\n{}", script.text()));
    Ok(redis::from_redis_value(redis.ask(shard, load).await?).map_err(RedisError::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(name: &str, value: &str) -> BTreeMap<String, String> {
        [(name.to_owned(), value.to_owned())].into()
    }

    #[test]
    fn a_server_that_evicts_or_is_old_is_refused() {
        let (new, old) = (pairs("redis_version", "7.0.15"), pairs("redis_version", "6.2.1"));
        let (keeps, evicts) = (pairs("maxmemory_policy", "noeviction"), pairs("maxmemory_policy", "allkeys-lru"));
        assert!(check_server(&new, &keeps).is_ok());
        assert!(check_server(&old, &keeps).is_err());
        assert!(check_server(&new, &evicts).is_err());
        assert!(check_server(&BTreeMap::new(), &keeps).is_err());
    }
}
