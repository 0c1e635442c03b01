//! When to stop, what is still running, and the order in which both come together.

use std::io::Read;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

/// A running service, as seen by its own tasks. Clones are the same process.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Fires once, when the process was asked to end. Whatever loops or waits listens to it.
    pub stop: CancellationToken,
    /// Every background task runs here, so that [`Process::finish`] can wait for it.
    pub tasks: TaskTracker,
}

impl Process {
    /// A process that stops at SIGTERM (an orchestrator) or SIGINT (Ctrl-C), from this call on. Needs a tokio runtime.
    pub fn new() -> Self {
        let process = Self::detached();
        match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => {
                process.tasks.spawn(stop_at_signal(terminate, interrupt, process.stop.clone()));
            }
            _ => warn!("signals cannot be listened to; the process ends only when killed"),
        }
        process
    }

    /// As [`Process::new`], and stops as well when its standard input ends.
    ///
    /// A parent that starts it with a pipe as standard input takes it along, also when the parent is killed with SIGKILL:
    /// the kernel closes the pipe.
    pub fn with_parent_pipe() -> Self {
        let process = Self::new();
        let stop = process.stop.clone();
        // A thread and not a task: a task that reads standard input keeps the runtime from ending until a line comes.
        std::thread::spawn(move || {
            wait_for_end(&mut std::io::stdin().lock());
            info!("the parent process has ended");
            stop.cancel();
        });
        process
    }

    /// A process that listens to no signal and ends only by `stop.cancel()`: for tests, and for several services in one
    /// process.
    pub fn detached() -> Self {
        Self::default()
    }

    /// Asks everything to stop and waits for the background tasks, at most `deadline`.
    ///
    /// Says whether all of them ended. Call it after the server has ended its requests and before telemetry is flushed.
    pub async fn finish(&self, deadline: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let ended = tokio::time::timeout(deadline, self.tasks.wait()).await.is_ok();
        if !ended {
            warn!(tasks.left = self.tasks.len(), "tasks did not end in time and are dropped");
        }
        ended
    }
}

async fn stop_at_signal(mut terminate: Signal, mut interrupt: Signal, stop: CancellationToken) {
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: stopping"),
        _ = interrupt.recv() => info!("SIGINT: stopping"),
        () = stop.cancelled() => {}
    }
    stop.cancel();
}

/// Reads and drops until the end. An error is an end too: the pipe is of no more use.
fn wait_for_end(pipe: &mut impl Read) {
    let mut buffer = [0_u8; 64];
    while pipe.read(&mut buffer).is_ok_and(|length| length > 0) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn finish_waits_for_tasks_and_says_that_they_ended() {
        let process = Process::detached();
        let stop = process.stop.clone();
        process.tasks.spawn(async move { stop.cancelled().await });
        assert!(process.finish(Duration::from_secs(5)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_never_ends_does_not_hold_the_process() {
        let process = Process::detached();
        process.tasks.spawn(std::future::pending::<()>());
        assert!(!process.finish(Duration::from_secs(5)).await);
    }

    #[tokio::test]
    async fn sigterm_stops_the_process_in_order() {
        let process = Process::new();
        let own = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &own]).status().unwrap().success());
        let stopped = tokio::time::timeout(Duration::from_secs(10), process.stop.cancelled()).await;
        assert!(stopped.is_ok());
        assert!(process.finish(Duration::from_secs(10)).await);
    }

    #[test]
    fn the_end_of_the_pipe_ends_the_wait() {
        wait_for_end(&mut std::io::Cursor::new(vec![0; 1000]));
    }
}
