//! The services of the stack as child processes of this one: the same path as production, one kill away from a test.
//!
//! Each child's standard input is a pipe that nobody writes to. It closes when this process ends, in whatever way, and
//! then the child stops in its own order.

use std::{
    fs::File,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

/// How long a child may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a child may take to stop before it is killed: its own grace and a little.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// One child process.
pub(crate) struct Running {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `adplane ARGS` with its log in a file.
    pub(crate) fn start(name: &'static str, args: &[String], log: PathBuf) -> Result<Self> {
        let program = std::env::current_exe().context("this program's own path")?;
        let output = File::options().create(true).append(true).open(&log).with_context(|| log.display().to_string())?;
        let child = Command::new(program)
            .args(args)
            .arg("--stop-with-parent")
            .env("ADPLANE_ENV", "development")
            // Ctrl-C goes to the whole group of the terminal; the children stop when we say so, in our order.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{name} cannot be started"))?;
        Ok(Self { name, child, log })
    }

    /// Its process, while it has not been waited for.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until `address` answers `GET path` with 200.
    pub(crate) async fn ready(&mut self, http: &reqwest::Client, address: &str, path: &str) -> Result<()> {
        let began = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                bail!("{} ended at its start ({status}):\n{}", self.name, self.last_words());
            }
            let answer = http.get(format!("{address}{path}")).timeout(Duration::from_secs(2)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if began.elapsed() > READY_TIMEOUT {
                bail!("{} was not ready after {} s:\n{}", self.name, READY_TIMEOUT.as_secs(), self.last_words());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Has it ended by itself?
    pub(crate) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(Some(status)) => Some(format!("{} ended ({status}):\n{}", self.name, self.last_words())),
            _ => None,
        }
    }

    /// Closes its standard input, which asks it to stop, and waits.
    pub(crate) async fn stop(mut self) {
        drop(self.child.stdin.take());
        if tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await.is_err() {
            drop(self.child.kill().await);
        }
    }

    /// The end of its log, for a person.
    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let start = lines.len().saturating_sub(12);
        lines.get(start..).unwrap_or_default().join("\n")
    }
}
