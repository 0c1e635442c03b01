//! Ends processes when the process that started them ends, also when that is killed with SIGKILL.
//!
//! The guard is a small shell script in a process group of its own. It reads lines from a pipe whose other end this process
//! holds; the kernel closes that end when the process ends, in whatever way. At the end of the pipe the guard stops the
//! services, then the stores, and removes temporary folders. A normal stop is the same: the pipe is closed and the guard
//! waited for, so that there is one path and every stop tests it.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Error;

const SCRIPT: &str = include_str!("guard/guard.sh");

/// A signal that asks a store to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: what most programs end on.
    Terminate,
    /// SIGINT: PostgreSQL's fast shutdown, which does not wait for clients.
    Interrupt,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Interrupt => "INT",
        }
    }
}

/// The guard of this process's children. Clones are the same guard. It acts at [`Guard::finish`], when the last clone is
/// dropped, or when this process ends.
#[derive(Clone, Debug)]
pub struct Guard(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pipe: Mutex<Option<ChildStdin>>,
    child: Mutex<Option<Child>>,
}

impl Guard {
    /// Starts the guard process.
    ///
    /// # Errors
    /// Fails when `/bin/sh` cannot be run.
    pub fn start() -> Result<Self, Error> {
        let mut child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "adplane-guard"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            // Ctrl-C goes to the whole group of the terminal; the guard must outlive those it stops.
            .process_group(0)
            .spawn()
            .map_err(Error::io("start the guard process"))?;
        let pipe = Mutex::new(child.stdin.take());
        Ok(Self(Arc::new(Inner { pipe, child: Mutex::new(Some(child)) })))
    }

    /// The guard's own process number.
    pub(crate) fn pid(&self) -> Option<u32> {
        lock(&self.0.child).as_ref().map(Child::id)
    }

    /// A process that is stopped first, by SIGTERM: it has 15 seconds to end.
    pub fn service(&self, pid: u32) {
        self.tell(&format!("service {pid}"));
    }

    /// A process that is stopped after all services, by `signal`: it has 15 seconds to end.
    pub fn store(&self, pid: u32, signal: Signal) {
        self.tell(&format!("store {pid} {}", signal.name()));
    }

    /// A process that has ended and was waited for: its number may belong to somebody else from now on.
    pub fn forget(&self, pid: u32) {
        self.tell(&format!("forget {pid}"));
    }

    /// A folder that is removed when everything has ended. Only a folder whose name begins with `adplane-`.
    pub fn remove_at_end(&self, folder: &Path) {
        if let Some(folder) = folder.to_str().filter(|folder| !folder.contains(['\n', '\\', '\''])) {
            self.tell(&format!("folder 0 {folder}"));
        }
    }

    /// Stops everything now and waits until it has ended. What is told later is ignored. Blocks.
    pub fn finish(&self) {
        drop(lock(&self.0.pipe).take());
        if let Some(mut child) = lock(&self.0.child).take() {
            // The only error is that somebody else has waited for it.
            drop(child.wait());
        }
    }

    /// A guard that was killed cannot be told anything; its processes then end by themselves or not at all.
    fn tell(&self, line: &str) {
        if let Some(pipe) = lock(&self.0.pipe).as_mut() {
            drop(writeln!(pipe, "{line}"));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("/bin/sleep").arg("600").process_group(0).spawn().unwrap()
    }

    #[test]
    fn finish_stops_services_and_stores() {
        let guard = Guard::start().unwrap();
        let (mut service, mut store) = (sleeper(), sleeper());
        guard.store(store.id(), Signal::Interrupt);
        guard.service(service.id());
        guard.finish();
        assert!(service.try_wait().unwrap().is_some());
        assert!(store.try_wait().unwrap().is_some());
    }

    #[test]
    fn services_have_ended_before_a_store_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let slow = |name: &str, signal: &str, seconds: &str| {
            let script = format!(
                "trap 'sleep {seconds}; echo {name} >> {log}; exit 0' {signal}; echo ready; while :; do sleep 0.05; done",
                log = log.display()
            );
            let mut child =
                Command::new("/bin/sh").args(["-c", &script]).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
            child
        };
        let guard = Guard::start().unwrap();
        // Not SIGINT: a shell that was started in the background cannot trap it.
        let mut store = slow("store", "TERM", "0");
        let mut service = slow("service", "TERM", "0.5");
        guard.store(store.id(), Signal::Terminate);
        guard.service(service.id());
        guard.finish();
        store.wait().unwrap();
        service.wait().unwrap();
        assert_eq!(std::fs::read_to_string(log).unwrap(), "service\nstore\n");
    }

    #[test]
    fn a_forgotten_process_is_left_alone() {
        let guard = Guard::start().unwrap();
        let mut other = sleeper();
        guard.service(other.id());
        guard.forget(other.id());
        guard.finish();
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn only_a_folder_of_ours_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let (ours, other) = (parent.path().join("adplane-1"), parent.path().join("other"));
        std::fs::create_dir(&ours).unwrap();
        std::fs::create_dir(&other).unwrap();
        let guard = Guard::start().unwrap();
        guard.remove_at_end(&ours);
        guard.remove_at_end(&other);
        guard.finish();
        assert!(!ours.exists());
        assert!(other.exists());
    }
}
