//! Servers that a test may kill, empty, restart, promote and cut off.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use devstack::{Guard, guard::Signal};
use storage::{Redis, RedisSettings};
use tempfile::TempDir;
use tokio::{net::TcpStream, task::JoinSet};

use super::eventually;

/// A Redis of the test's own at one port. Dropped, it is gone.
pub(crate) struct OwnRedis {
    pub(crate) port: u16,
    folder: TempDir,
    guard: Guard,
    child: Child,
    more: Vec<String>,
}

impl OwnRedis {
    pub(crate) async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    /// With settings beside those of every test.
    pub(crate) async fn start_with(more: Vec<String>) -> Self {
        let (folder, guard) = (tempfile::tempdir().unwrap(), Guard::start().unwrap());
        let port = free_port();
        let child = run(port, &folder, &guard, &more);
        let started = Self { port, folder, guard, child, more };
        started.ready().await;
        started
    }

    /// SIGKILL, and the same port again with what was saved.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.child = run(self.port, &self.folder, &self.guard, &self.more);
        self.ready().await;
    }

    /// SIGKILL, and the same port again with nothing.
    pub(crate) async fn restart_empty(&mut self) {
        self.kill();
        drop(std::fs::remove_file(self.folder.path().join("dump.rdb")));
        self.child = run(self.port, &self.folder, &self.guard, &self.more);
        self.ready().await;
    }

    /// Those that it was started with.
    pub(crate) fn settings(&self) -> &[String] {
        &self.more
    }

    pub(crate) fn kill(&mut self) {
        self.guard.forget(self.child.id());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) async fn connect(&self) -> Redis {
        connect(self.port).await
    }

    /// What `redis-cli` would do.
    pub(crate) async fn command(&self, words: &[&str]) {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.exec_async(&mut self.connect().await.connection()).await.unwrap();
    }

    async fn ready(&self) {
        let address = format!("127.0.0.1:{}", self.port);
        eventually(async || TcpStream::connect(&address).await.is_ok()).await;
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        self.guard.forget(self.child.id());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) async fn connect(port: u16) -> Redis {
    let url = format!("redis://127.0.0.1:{port}/0");
    // What is away is refused at once; an answer may take long on a machine that is busy with other tests.
    let settings = RedisSettings { response_timeout_milliseconds: 30_000, ..RedisSettings::at(url.as_str()) };
    Redis::connect(&settings).await.unwrap()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn run(port: u16, folder: &TempDir, guard: &Guard, more: &[String]) -> Child {
    let child = Command::new(devstack::find().unwrap().redis_server)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(folder.path())
        .args(["--repl-diskless-sync-delay", "0"])
        .args(more)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    guard.store(child.id(), Signal::Terminate);
    child
}

/// An address that leads to one server and then to another, as that of a managed Redis does.
pub(crate) struct Address {
    pub(crate) port: u16,
    to: Arc<AtomicU16>,
    ways: tokio::sync::watch::Sender<()>,
    _listening: JoinSet<()>,
}

impl Address {
    pub(crate) async fn of(port: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (own, to) = (listener.local_addr().unwrap().port(), Arc::new(AtomicU16::new(port)));
        let (ways, target, mut listening) = (tokio::sync::watch::Sender::new(()), Arc::clone(&to), JoinSet::new());
        let moved = ways.clone();
        listening.spawn(async move {
            let mut joined = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, mut moved) = (target.load(Ordering::SeqCst), moved.subscribe());
                joined.spawn(async move {
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = moved.changed() => {}
                    }
                });
            }
        });
        Self { port: own, to, ways, _listening: listening }
    }

    /// Cuts all connections; new ones lead elsewhere. Port 1 is nobody.
    pub(crate) fn leads_to(&self, port: u16) {
        self.to.store(port, Ordering::SeqCst);
        self.ways.send_replace(());
    }
}

/// Nobody listens there.
pub(crate) const NOBODY: u16 = 1;

/// Far more than a connection takes to come back.
pub(crate) const BACK: Duration = Duration::from_secs(30);
