use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::account::Account;
use crate::folder::{Folder, write_private};
use crate::guard::{Guard, Signal};
use crate::{Error, held};

/// A running PostgreSQL of ours.
#[derive(Debug)]
pub(crate) struct Postgres {
    pub(crate) child: Child,
    port: u16,
    password: String,
}

const USER: &str = "adplane";
const START_MAX: Duration = Duration::from_mins(1);

impl Postgres {
    pub(crate) fn start(programs: &Path, folder: &Folder, account: Account, guard: &Guard) -> Result<Self, Error> {
        let data = folder.inner("postgres", account)?;
        let password = initialize(programs, folder, &data, account)?;
        stop_former(programs, &data, account)?;
        let mut last = String::new();
        // A free port may be taken before the server has it.
        for _ in 0..5 {
            let port = held::free_port()?;
            let (log, file) = folder.log("postgres.log")?;
            let child = launch(programs, &data, port, folder.temporary, (account, file, guard))?;
            match wait_until_ready(child, &data) {
                Ok(child) => return Ok(Self { child, port, password }),
                Err(pid) => guard.forget(pid),
            }
            last = held::end_of(&log);
            // The port, or memory that processes of a killed server are about to give back.
            if !last.contains("in use") && !last.contains("could not bind") {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Err(Error::Start { server: "PostgreSQL", log: last })
    }

    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }
}

/// Makes the data folder where it is not complete, and gives the password of its one user.
fn initialize(programs: &Path, folder: &Folder, data: &Path, account: Account) -> Result<String, Error> {
    let secret = folder.path.join("postgres.password");
    if data.join("PG_VERSION").is_file() && data.join("adplane.complete").is_file() {
        return std::fs::read_to_string(&secret).map_err(|error| Folder::unusable(&secret, &error));
    }
    // What a run that was killed has left half-made.
    std::fs::remove_dir_all(data).map_err(|error| Folder::unusable(data, &error))?;
    let data = folder.inner("postgres", account)?;
    let password = Uuid::new_v4().simple().to_string();
    write_private(&secret, &password, account)?;
    // SCRAM costs a client that was built for debugging tens of milliseconds for each connection, and tests open thousands.
    let method = if folder.temporary { "--auth=password" } else { "--auth=scram-sha-256" };
    let mut initdb = Command::new(programs.join("initdb"));
    initdb.process_group(0); // Ctrl-C is for the program that started it; half a data folder helps nobody
    initdb
        .args(["--username", USER, method, "-E", "UTF8", "--no-locale", "--no-sync"])
        .arg("--pwfile")
        .arg(&secret)
        .arg("-D")
        .arg(&data)
        .current_dir(&data)
        .stdin(Stdio::null());
    account.apply(&mut initdb);
    let output = initdb.output().map_err(Error::io("run initdb"))?;
    if !output.status.success() {
        let log = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Start { server: "initdb", log });
    }
    write_private(&data.join("adplane.complete"), "", account)?;
    Ok(password)
}

fn launch(
    programs: &Path,
    data: &Path,
    port: u16,
    temporary: bool,
    (account, log, guard): (Account, std::fs::File, &Guard),
) -> Result<Child, Error> {
    let program: PathBuf = programs.join("postgres");
    let port = format!("port={port}");
    let mut settings = vec![
        port.as_str(),
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=300",
        "shared_buffers=64MB",
        "max_wal_size=256MB",
        "logging_collector=off",
        // Statements with their parameters stay out of the log.
        "log_parameter_max_length=0",
        "log_parameter_max_length_on_error=0",
        "log_error_verbosity=terse",
    ];
    if temporary {
        // Nobody will read this data after a crash.
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"]);
    }
    let mut command: Vec<&OsStr> = vec![program.as_os_str(), OsStr::new("-D"), data.as_os_str()];
    for setting in &settings {
        command.extend([OsStr::new("-c"), OsStr::new(setting)]);
    }
    held::start(&command, account, data, log, guard, Signal::Interrupt)
}

/// Waits for the line by which PostgreSQL says in its own file that it takes connections. The number of a process that has
/// ended before.
fn wait_until_ready(mut child: Child, data: &Path) -> Result<Child, u32> {
    let deadline = Instant::now() + START_MAX;
    let file = data.join("postmaster.pid");
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return Err(child.id());
        }
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() == Some(&child.id().to_string()) && lines.any(|line| line.trim() == "ready") {
            return Ok(child);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(child.kill());
    drop(child.wait());
    Err(child.id())
}

/// Stops a server that an earlier process has left on this data, because its guard was killed as well.
///
/// The folder's lock is ours, so no living process uses that server.
fn stop_former(programs: &Path, data: &Path, account: Account) -> Result<(), Error> {
    let file = data.join("postmaster.pid");
    let Ok(text) = std::fs::read_to_string(&file) else { return Ok(()) };
    if is_other_program(text.lines().next().unwrap_or_default().trim(), data) {
        // The server was killed, and its number may have been given away since.
        return std::fs::remove_file(&file).map_err(|error| Folder::unusable(&file, &error));
    }
    let mut stop = Command::new(programs.join("pg_ctl"));
    stop.args(["stop", "-m", "fast", "-w", "-t", "30", "-D"]).arg(data).current_dir(data);
    account.apply(&mut stop);
    stop.output().map_err(Error::io("run pg_ctl"))?;
    Ok(())
}

/// Whether this number is no server on `data`: no process at all, or one that works elsewhere (PostgreSQL works in its data
/// folder). Where that cannot be told, it may be the server.
fn is_other_program(pid: &str, data: &Path) -> bool {
    if pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    if Path::new("/proc/self").exists() {
        return std::fs::read_link(format!("/proc/{pid}/cwd")).map_or(true, |folder| folder != *data);
    }
    !Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
