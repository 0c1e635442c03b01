//! Processes of `adplane serve ratelimit` on one Redis and one database.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use harness::{PATIENCE, Program, adplane_alone, free_port};
use rpc::{Peer, PeerSettings, ServiceIdentity};
use tokio::{net::TcpStream, time::Instant};
use toml::{Table, toml};

use crate::{
    redis::OwnRedis,
    stage::{Auth, Stage, table},
};

/// How long a permit may be used, and how long a call may then take: short, so that windows turn over within a test.
pub(crate) const SEND_BEFORE: Duration = Duration::from_secs(1);
pub(crate) const CALL: Duration = Duration::from_secs(4);

/// Whose clients ask for permits.
const CALLER: &str = "conversions";

/// All replicas. They end when it is dropped.
pub(crate) struct Replicas<'a> {
    stage: &'a Stage,
    auth: &'a Auth,
    redis_url: String,
    running: Vec<Option<Program>>,
    identity: ServiceIdentity,
}

/// The way to each replica, as callers know it.
#[derive(Default)]
pub(crate) struct Ways(Mutex<Vec<Peer>>);

impl Ways {
    /// To one of them, by any number.
    pub(crate) fn any(&self, number: usize) -> Peer {
        let ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ways[number % ways.len()].clone()
    }

    fn put(&self, place: usize, way: Peer) {
        let mut ways = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if place == ways.len() {
            ways.push(way);
        } else {
            ways[place] = way;
        }
    }
}

impl<'a> Replicas<'a> {
    pub(crate) async fn start(number: usize, stage: &'a Stage, auth: &'a Auth, redis: &OwnRedis, ways: &Ways) -> Self {
        let proof = PeerSettings {
            endpoint: auth.endpoint.clone(),
            service_secret_file: stage.secret_of(CALLER),
            ..PeerSettings::default()
        };
        let identity = ServiceIdentity::of_service(CALLER, &proof).unwrap();
        let running = (0..number).map(|_| None).collect();
        let mut replicas = Self { stage, auth, redis_url: redis.url(), running, identity };
        for place in 0..number {
            replicas.start_one(place, ways).await;
        }
        replicas
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, place: usize) {
        let ended = self.running[place].take().unwrap().kill().unwrap();
        assert_eq!(ended.code(), None, "it ended by itself before it was killed:\n{}", ended.stderr);
    }

    /// Starts one that does not run. When this returns callers may ask it.
    pub(crate) async fn start_one(&mut self, place: usize, ways: &Ways) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let port = free_port().unwrap();
            let config = self.config(place, port);
            let mut program = adplane_alone(&["serve", "ratelimit", "--config", &config], &[]).unwrap();
            while !program.has_ended().unwrap() {
                if TcpStream::connect(("127.0.0.1", port)).await.is_ok() && !program.has_ended().unwrap() {
                    let way = Peer::connect(&format!("http://127.0.0.1:{port}"), self.identity.clone()).unwrap();
                    ways.put(place, way);
                    self.running[place] = Some(program);
                    return;
                }
                assert!(Instant::now() < deadline, "a replica does not answer");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // Somebody else took the port between the look and the start.
            let said = program.end().unwrap().stderr;
            assert!(said.contains("port") && Instant::now() < deadline, "a replica ended at its start:\n{said}");
        }
    }

    fn config(&self, place: usize, port: u16) -> String {
        let key = self.stage.file("permit_key", "a key of 32 bytes that signs permits").display().to_string();
        let mut settings = Table::new();
        settings.insert("listen".to_owned(), format!("127.0.0.1:{port}").into());
        settings.insert("admin_listen".to_owned(), "127.0.0.1:0".into());
        settings.insert("permit_key_file".to_owned(), key.clone().into());
        settings.insert("page_key_file".to_owned(), key.into());
        settings.insert("send_before_seconds".to_owned(), i64::try_from(SEND_BEFORE.as_secs()).unwrap().into());
        settings.insert("call_timeout_seconds".to_owned(), i64::try_from(CALL.as_secs()).unwrap().into());
        let (database, redis) = (self.stage.database(&format!("ratelimit_{place}")), self.redis_url.clone());
        settings.extend(table("postgres", toml! { url = database pool_size = 4 }));
        settings.extend(table("redis", toml! { url = redis }));
        let (auth, secret) = (self.auth.endpoint.clone(), self.stage.secret_of("ratelimit").display().to_string());
        settings.extend(table("auth", toml! { endpoint = auth service_secret_file = secret }));
        settings.extend(table("ceilings", toml! { tier = "standard" }));
        let text = toml::to_string(&settings).unwrap();
        self.stage.file(&format!("ratelimit_{place}.toml"), &text).display().to_string()
    }
}
