use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Error;
use crate::account::Account;
use crate::guard::{Guard, Signal};

/// Starts a server that the guard already knows when its program begins.
///
/// The shell waits for a line before it becomes the server, and the line is written after the guard was told the process's
/// number. If this process is killed in between, the line never comes and the shell ends: no server is left behind.
pub(crate) fn start(
    command: &[&std::ffi::OsStr],
    account: Account,
    folder: &Path,
    log: File,
    guard: &Guard,
    signal: Signal,
) -> Result<Child, Error> {
    let errors = log.try_clone().map_err(Error::io("open a server's log"))?;
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "read -r go && exec \"$@\" </dev/null", "sh"])
        .args(command)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(errors)
        // Ctrl-C must not reach the servers before the services that use them have ended.
        .process_group(0);
    account.apply(&mut shell);
    let mut child = shell.spawn().map_err(Error::io("start a server"))?;
    guard.store(child.id(), signal);
    let pipe = child.stdin.take();
    if let Some(mut pipe) = pipe {
        pipe.write_all(b"go\n").map_err(Error::io("start a server"))?;
    }
    Ok(child)
}

/// A loopback port that was free a moment ago. Somebody may take it before the server does; then start anew with another.
pub(crate) fn free_port() -> Result<u16, Error> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).map_err(Error::io("find a free port"))?;
    Ok(listener.local_addr().map_err(Error::io("find a free port"))?.port())
}

/// The last lines of a log, for an error's text.
pub(crate) fn end_of(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().rev().take(8).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
