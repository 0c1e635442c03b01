use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::account::Account;
use crate::folder::{Folder, write_private};
use crate::guard::{Guard, Signal};
use crate::{Error, held};

/// A running Redis of ours.
#[derive(Debug)]
pub(crate) struct Redis {
    pub(crate) child: Child,
    at: Address,
}

/// Where a server listens and its password.
#[derive(Clone, Debug)]
struct Address {
    port: u16,
    password: String,
}

const START_MAX: Duration = Duration::from_secs(30);

impl Redis {
    pub(crate) fn start(program: &Path, folder: &Folder, account: Account, guard: &Guard) -> Result<Self, Error> {
        let data = folder.inner("redis", account)?;
        let config = data.join("redis.conf");
        stop_former(&config);
        let mut last = String::new();
        // A free port may be taken before the server has it.
        for _ in 0..5 {
            let at = Address { port: held::free_port()?, password: Uuid::new_v4().simple().to_string() };
            write_private(&config, &at.config(&data, folder.temporary), account)?;
            let (log, file) = folder.log("redis.log")?;
            let command: [&OsStr; 2] = [program.as_os_str(), config.as_os_str()];
            let mut child = held::start(&command, account, &data, file, guard, Signal::Terminate)?;
            if wait_until_ready(&mut child, &at) {
                return Ok(Self { child, at });
            }
            guard.forget(child.id());
            last = held::end_of(&log);
            if !last.contains("in use") {
                break;
            }
        }
        Err(Error::Start { server: "Redis", log: last })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/0", self.at.password, self.at.port)
    }
}

impl Address {
    /// The settings, in a file because a password among the arguments is seen by everybody.
    fn config(&self, data: &Path, temporary: bool) -> String {
        let Self { port, password } = self;
        let keep = if temporary { "no" } else { "yes" };
        format!(
            "bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir \"{data}\"\ndaemonize no\nprotected-mode yes\n\
             maxmemory-policy noeviction\nsave \"\"\nappendonly {keep}\nappendfsync everysec\n",
            data = data.display()
        )
    }

    /// The port and password that a settings file of ours names.
    fn read(config: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(config).ok()?;
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        Some(Self { port: value("port ")?.parse().ok()?, password: value("requirepass ")?.to_owned() })
    }

    /// Sends one command and gives the answer's text, or `None` where no server of ours answers.
    fn ask(&self, command: &str) -> Option<String> {
        let timeout = Duration::from_secs(2);
        let address = ([127, 0, 0, 1], self.port).into();
        let mut stream = TcpStream::connect_timeout(&address, timeout).ok()?;
        stream.set_read_timeout(Some(timeout)).ok()?;
        stream.write_all(format!("AUTH {}\r\n{command}\r\nQUIT\r\n", self.password).as_bytes()).ok()?;
        let mut answer = String::new();
        // A server that shuts down closes the connection in the middle.
        drop(stream.read_to_string(&mut answer));
        answer.starts_with("+OK").then_some(answer)
    }
}

fn wait_until_ready(child: &mut Child, at: &Address) -> bool {
    let deadline = Instant::now() + START_MAX;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return false;
        }
        if at.ask("PING").is_some_and(|answer| answer.contains("+PONG")) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(child.kill());
    drop(child.wait());
    false
}

/// Stops a server that an earlier process has left on this data, because its guard was killed as well. It is known by its
/// password.
fn stop_former(config: &Path) {
    let Some(former) = Address::read(config) else { return };
    if former.ask("PING").is_none() {
        return;
    }
    former.ask("SHUTDOWN");
    let deadline = Instant::now() + Duration::from_secs(10);
    while former.ask("PING").is_some() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
}
