//! A Redis of one test's own, which may be killed and comes back with nothing.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use devstack::{Guard, guard::Signal};
use harness::{PATIENCE, free_port};
use tempfile::TempDir;
use tokio::time::Instant;

/// It keeps nothing on disk. Dropped, it is gone.
pub(crate) struct OwnRedis {
    port: u16,
    folder: TempDir,
    guard: Guard,
    child: Child,
}

impl OwnRedis {
    pub(crate) async fn start() -> Self {
        let (folder, guard) = (tempfile::tempdir().unwrap(), Guard::start().unwrap());
        let port = free_port().unwrap();
        let child = run(port, &folder, &guard);
        let mut started = Self { port, folder, guard, child };
        started.ready().await;
        started
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// SIGKILL, and the same port again with nothing.
    pub(crate) async fn restart_empty(&mut self) {
        self.kill();
        self.child = run(self.port, &self.folder, &self.guard);
        self.ready().await;
    }

    /// What a person would type; it answers in one line.
    pub(crate) fn command(&self, line: &str) -> String {
        self.ask(line).unwrap()
    }

    fn ask(&self, line: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{line}\r\n").as_bytes())?;
        let (mut answer, mut one) = (Vec::new(), [0]);
        while !answer.ends_with(b"\r\n") {
            stream.read_exact(&mut one)?;
            answer.extend(one);
        }
        Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
    }

    async fn ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.ask("PING").ok().as_deref() != Some("+PONG") {
            assert_eq!(self.child.try_wait().unwrap(), None, "Redis ended at its start");
            assert!(Instant::now() < deadline, "Redis does not answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn kill(&mut self) {
        self.guard.forget(self.child.id());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        self.guard.forget(self.child.id());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn run(port: u16, folder: &TempDir, guard: &Guard) -> Child {
    let child = Command::new(devstack::find().unwrap().redis_server)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    guard.store(child.id(), Signal::Terminate);
    child
}
